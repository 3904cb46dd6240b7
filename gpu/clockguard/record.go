package clockguard

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"jouletop/gpu"
	"jouletop/gpu/regular"
)

// Record says that knobs of a GPU were set by us. It is written before the first is
// set and removed after the last is given back, so it stays behind only when both
// guard and watcher were killed.
type Record struct {
	GPU     string     `json:"gpu"` // UUID
	Index   int        `json:"index"`
	MHz     int        `json:"mhz"` // the first SM clock that was locked; 0 none
	Knobs   []heldKnob `json:"knobs,omitempty"`
	damaged bool       // it could not be read
	Boot    string     `json:"boot_id"`
	Since   time.Time  `json:"since"`
	Holder  Holder     `json:"holder"`
	Guard   process    `json:"guard"`
	Watcher process    `json:"watcher"`
}

// defaultDir is where leases and records are: one place for all who may set
// clocks, which is root; another user's own place otherwise.
func defaultDir() string {
	if os.Geteuid() == 0 {
		return systemDir
	}
	if d := os.Getenv("XDG_RUNTIME_DIR"); d != "" {
		return filepath.Join(d, "jouletop")
	}
	return filepath.Join(os.TempDir(), "jouletop-"+strconv.Itoa(os.Getuid()))
}

// systemDir holds root's leases and records, and the service's socket.
const systemDir = "/run/jouletop"

// makeDir makes the folder, and refuses one that another user could have put
// there.
func makeDir(dir string) error {
	mode := fs.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o755 // others may read who holds a lease
	}
	if err := os.MkdirAll(dir, mode); err != nil {
		return fmt.Errorf("make the folder for clock leases: %w", err)
	}
	return ours(dir, os.Geteuid())
}

// ours refuses a folder that anybody but the given users could have filled: under
// the temporary directory another user may have been there first.
func ours(dir string, users ...int) error {
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return fmt.Errorf("look at %s: %w", dir, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || !slices.Contains(users, int(st.Uid)) || st.Mode&0o022 != 0 {
		return fmt.Errorf("%s is not a folder that only user %d can write: remove it, or have its owner do so", dir, users[0])
	}
	return nil
}

// mostBytes is more than any record or lease holds.
const mostBytes = 64 << 10

// readState reads a small file of the state folder. One in a folder of somebody else
// counts as missing; what is no regular file, or too large, is not read. It never
// waits.
func readState(path string) ([]byte, error) {
	if err := ours(filepath.Dir(path), os.Geteuid(), 0); err != nil {
		return nil, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	f, err := regular.OpenInside(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return regular.Read(f, mostBytes)
}

// fileBase turns a UUID into a file name that stays in its folder.
func fileBase(uuid string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-' {
			return r
		}
		return '_'
	}, uuid)
	return clean[:min(len(clean), 100)]
}

func recordPath(dir, uuid string) string { return filepath.Join(dir, fileBase(uuid)+".locked") }
func leasePath(dir, uuid string) string  { return filepath.Join(dir, fileBase(uuid)+".lease") }

// write puts the record on disk whole or not at all.
func (r Record) write(dir string) error {
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write clock record: %w", err)
	}
	tmp := recordPath(dir, r.GPU) + ".new"
	if err := os.WriteFile(tmp, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("write clock record: %w", err)
	}
	if err := os.Rename(tmp, recordPath(dir, r.GPU)); err != nil {
		return fmt.Errorf("write clock record: %w", err)
	}
	return nil
}

// readRecord returns the record of a GPU, found false where there is none. A
// record that cannot be read still says that something was set: it may be any knob.
func readRecord(dir, uuid string) (r Record, found bool) {
	b, err := readState(recordPath(dir, uuid))
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, false
	}
	r = Record{GPU: uuid, Boot: bootID(), damaged: true}
	for _, k := range gpu.KnobIDs() {
		r.Knobs = append(r.Knobs, heldKnob{Knob: k, Lost: true})
	}
	if err == nil {
		var read Record
		if json.Unmarshal(b, &read) == nil && read.GPU == uuid {
			r = read
		}
	}
	return r, true
}

func dropRecord(dir, uuid string) error {
	err := os.Remove(recordPath(dir, uuid))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove clock record: %w", err)
	}
	return nil
}

// held are the knobs that the record says were set. One of an earlier version names
// the SM clock alone.
func (r Record) held() []heldKnob {
	if len(r.Knobs) == 0 {
		return []heldKnob{{Knob: gpu.KnobSM, First: r.MHz}}
	}
	return slices.DeleteFunc(slices.Clone(r.Knobs), func(h heldKnob) bool { return !h.Knob.Known() })
}

// what words which knobs the record says were set.
func (r Record) what() string {
	var what []string
	for _, h := range r.held() {
		what = append(what, h.String())
	}
	if r.damaged {
		return "a clock, or another knob,"
	}
	return strings.Join(what, " and ")
}

func (r Record) String() string {
	text := r.what()
	if r.Holder.PID == 0 {
		return text + " locked by an earlier run"
	}
	return fmt.Sprintf("%s locked by %s", text, r.Holder)
}
