package clockguard

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"jouletop/gpu/regular"
)

// Subcommand is the hidden subcommand under which the program runs [Main].
const Subcommand = "clock-guard"

// sockFD is the descriptor on which a guard finds its client, and a watcher its
// guard.
const sockFD = 3

const usage = `usage: jouletop clock-guard --serve SOCKET [flags]

Sets clocks and power limits for users without the right to, one guard process a
connection.
Run it as root, by hand or as the systemd unit jouletop-clockguard.service.

`

// Main runs the guard's process for the arguments after the subcommand, and
// returns the exit status: the service (--serve), a guard (child) or its
// watcher (watch). open opens a GPU.
func Main(args []string, open Opener) int { return run(args, open, os.Stderr) }

func run(args []string, open Opener, stderr io.Writer) int {
	mode := ""
	if len(args) > 0 && (args[0] == "child" || args[0] == "watch" || args[0] == "restore") {
		mode, args = args[0], args[1:]
	}
	fs := flag.NewFlagSet("clock-guard", flag.ContinueOnError)
	fs.SetOutput(stderr)
	var (
		serve  = fs.String("serve", "", "listen on this Unix `socket`")
		dir    = fs.String("dir", defaultDir(), "keep leases and records in this `folder`")
		logTo  = fs.String("log", "", "write the log to this `file` (default: standard error)")
		uids   = fs.String("uid", os.Getenv("SUDO_UID"), "user `ids` that may connect beside root, separated by commas")
		group  = fs.String("group", "", "members of this `group` may connect too")
		gpus   = fs.String("gpus", "", "`indices` of the GPUs that may be set (default: all)")
		minMHz = fs.Int("min-mhz", 0, "lowest SM clock that may be set")
		maxMHz = fs.Int("max-mhz", 0, "highest SM clock that may be set; 0: no bound")
		minMem = fs.Int("min-mem-mhz", 0, "lowest memory clock that may be set")
		maxMem = fs.Int("max-mem-mhz", 0, "highest memory clock that may be set; 0: no bound")
		minW   = fs.Int("min-power-w", 0, "lowest power limit that may be set")
		maxW   = fs.Int("max-power-w", 0, "highest power limit that may be set; 0: no bound")
		knobs  = fs.String("knobs", "", "`knobs` that may be set: sm, mem, power, profile (default: all)")
		force  = fs.Bool("force", false, "restore: reset without a record too")
	)
	fs.Usage = func() {
		_, _ = fmt.Fprint(stderr, usage)
		fs.PrintDefaults()
	}
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	allowedGPUs, err := integers(*gpus)
	allowedUIDs, err2 := integers(*uids)
	if err = errors.Join(err, err2); err != nil {
		_, _ = fmt.Fprintln(stderr, "clock-guard:", err)
		return 2
	}
	only, err := parseOnly(*knobs)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "clock-guard: --knobs:", err)
		return 2
	}
	gid, err := groupID(*group)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "clock-guard:", err)
		return 2
	}
	out := stderr
	if *logTo != "" {
		f := &rotating{path: *logTo, limit: 4 << 20}
		defer f.close()
		out = f
	}
	log := slog.New(newLimited(slog.NewTextHandler(out, nil))).With("pid", os.Getpid())
	bounds := Bounds{*minMHz, *maxMHz, *minMem, *maxMem, *minW, *maxW, only}
	self := []string{"/proc/self/exe", Subcommand}
	common := []string{"--dir", *dir, "--log", *logTo}
	if mode != "" { // started by ourselves: what is inherited ends with us
		unix.CloseOnExec(sockFD)
	}
	switch mode {
	case "child":
		return runGuard(sockFD, guardConfig{
			dir: *dir, bounds: bounds, gpus: allowedGPUs, open: open, log: log,
			watch: append(append(self, "watch"), common...),
		})
	case "watch", "restore":
		if fs.NArg() != 2 {
			return 2
		}
		index, err := strconv.Atoi(fs.Arg(0))
		if err != nil {
			return 2
		}
		if mode == "watch" {
			return runWatcher(sockFD, *dir, index, fs.Arg(1), open, log)
		}
		return runRestore(*dir, index, fs.Arg(1), *force, open, log, os.Stdout)
	}
	if *serve == "" || fs.NArg() > 0 {
		fs.Usage()
		return 2
	}
	child := slices.Concat(self, []string{"child", "--gpus", *gpus}, bounds.flags(), common)
	return runService(serviceConfig{
		socket: *serve, uids: allowedUIDs, gid: gid, dir: *dir, child: child, open: open, log: log,
	}, stderr)
}

// integers reads "0,2,3".
func integers(s string) ([]int, error) {
	var out []int
	for f := range strings.SplitSeq(s, ",") {
		if f = strings.TrimSpace(f); f == "" {
			continue
		}
		n, err := strconv.Atoi(f)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%q is not a list of numbers", s)
		}
		out = append(out, n)
	}
	return out, nil
}

// groupID is the id of a group given by name or number, -1 for none.
func groupID(name string) (int, error) {
	if name == "" {
		return -1, nil
	}
	if id, err := strconv.Atoi(name); err == nil && id >= 0 {
		return id, nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return -1, fmt.Errorf("--group: %w", err)
	}
	return strconv.Atoi(g.Gid)
}

// rotating is a log file that keeps one older part and so at most twice limit
// bytes. Guard and watcher append to the same file.
type rotating struct {
	path  string
	limit int64
	f     *os.File
}

// Write never fails: a guard without a log still guards.
func (r *rotating) Write(b []byte) (int, error) {
	if r.f != nil {
		if st, err := r.f.Stat(); err == nil && st.Size() > r.limit {
			r.close()
			_ = os.Rename(r.path, r.path+".1")
		}
	}
	if r.f == nil {
		f, err := regular.OpenInside(r.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return len(b), nil
		}
		r.f = f
	}
	_, _ = r.f.Write(b)
	return len(b), nil
}

func (r *rotating) close() {
	if r.f != nil {
		_ = r.f.Close()
		r.f = nil
	}
}
