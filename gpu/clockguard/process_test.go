package clockguard

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jouletop/gpu"
	"jouletop/gpu/nvml"
	"jouletop/gpu/nvml/fakenvml"
)

// The tests below run guard, watcher and parent as processes of their own, all
// this test binary, on a fake NVML whose state outlives them.

const (
	parentMode      = "clock-test-parent"
	serviceUserMode = "clock-test-user"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case Subcommand:
			os.Exit(Main(os.Args[2:], openNVML))
		case parentMode:
			os.Exit(parentMain(os.Args[2:]))
		case backendMode:
			os.Exit(backendMain(os.Args[2:]))
		case latencyMode:
			os.Exit(latencyMain(os.Args[2:]))
		case stormMode:
			stormMain(os.Args[2], os.Args[3] == "true")
		case serviceUserMode:
			os.Exit(serviceUserMain(os.Args[2], os.Args[3]))
		}
	}
	os.Exit(m.Run())
}

func openNVML(index int) (gpu.Device, error) { return nvml.Open(index) }

// turnKnobs sets all knobs, each at its own pace.
func turnKnobs(c *Client, i int) error {
	err := c.Set([]int{1980, 1005}[i%2])
	for k, v := range map[gpu.KnobID]int{
		gpu.KnobMem: []int{1593, 2619}[i/3%2], gpu.KnobPower: []int{400_000, 550_000}[i/2%2], gpu.KnobProfile: []int{1, 2}[i/4%2],
	} {
		if err == nil && (i == 0 || i%2 == int(k)%2) {
			_, _, err = c.SetKnob(k, v)
		}
	}
	return err
}

// parentMain is a program in a phase-aware run: it arms clock control and
// turns the knobs until a call fails or it is told to end.
// Arguments: folder, GPU index.
func parentMain(args []string) int {
	index, err := strconv.Atoi(args[1])
	if err != nil {
		return 2
	}
	dev, err := nvml.Open(index)
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	c, err := Open(context.Background(), dev.Info(), Options{Dir: args[0], Notify: func(s string) { fmt.Println("notify", s) }})
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	for _, n := range c.Notes() {
		fmt.Println("note", n)
	}
	if err := c.Arm(true); err != nil {
		fmt.Println("error", err)
		return 1
	}
	end := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(end)
	}()
	for i := 0; ; i++ {
		if err := turnKnobs(c, i); err != nil {
			fmt.Println("lost", err)
			// The program stays up with its guard gone.
			<-end
			return 0
		}
		if i == 0 {
			fmt.Println("running")
		}
		select {
		case <-end:
			if err := c.Close(); err != nil {
				fmt.Println("error", err)
				return 1
			}
			return 0
		case <-time.After(time.Duration(3+i%17) * time.Millisecond):
		}
	}
}

// serviceUserMain arms clock control through a service and says how it went.
func serviceUserMain(socket, uuid string) int {
	c, err := Open(context.Background(), gpu.Info{UUID: uuid}, Options{Socket: socket, Dir: "/nonexistent"})
	if err == nil {
		err = c.Arm(true)
	}
	if err != nil {
		fmt.Println(err)
		return 0
	}
	fmt.Println("armed")
	if err := c.Close(); err != nil {
		return 1
	}
	return 0
}

// rig is a fake GPU and the folder of its leases.
type rig struct {
	ctx   context.Context
	dir   string
	index int
	gpu   fakenvml.GPU
	state *fakenvml.State
	info  gpu.Info
}

// newRig makes n fake GPUs, each with an own folder, and makes this process
// see them.
func newRig(t *testing.T, n int, conf fakenvml.Config) []*rig {
	t.Helper()
	lib, err := fakenvml.Build()
	if err != nil {
		t.Skip(err)
	}
	confs := make([]fakenvml.Config, n)
	for i := range confs {
		confs[i] = conf
	}
	st, err := fakenvml.Create(filepath.Join(t.TempDir(), "gpus"), confs...)
	if err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		for i := range n {
			st.GPU(i).Set(fakenvml.Permission, fakenvml.Anybody)
		}
	}
	for i := range n { // what was set before is no default
		st.GPU(i).Set(fakenvml.PowerLimitMW, powerBefore)
		st.GPU(i).Set(fakenvml.Profiles, 0b111)
		st.GPU(i).Set(fakenvml.Requested, profilesBefore)
	}
	st.Setenv(t, lib)
	out := make([]*rig, n)
	for i := range out {
		dev, err := nvml.Open(i)
		if err != nil {
			t.Skip(err)
		}
		out[i] = &rig{ctx: t.Context(), dir: filepath.Join(t.TempDir(), "run"), index: i, gpu: st.GPU(i), state: st, info: dev.Info()}
		if err := dev.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// The knobs of a rig's GPU as they were before: mW, a set.
const powerBefore, profilesBefore = 650_500, 0b100

// locked tells whether any knob is not as it was before.
func (b *rig) locked() bool {
	_, _, sm := b.gpu.Locked()
	_, mem := b.gpu.MemLocked()
	return sm || mem || b.gpu.Get(fakenvml.PowerLimitMW) != powerBefore || b.gpu.Get(fakenvml.Requested) != profilesBefore
}

// unlock makes them so, as nobody is left to.
func (b *rig) unlock() {
	b.gpu.Unlock()
	b.gpu.Set(fakenvml.PowerLimitMW, powerBefore)
	b.gpu.Set(fakenvml.Requested, profilesBefore)
}

// unlockedWithin waits until all knobs are given back, for at most limit, and
// returns how long that took.
func (b *rig) unlockedWithin(limit time.Duration) (time.Duration, bool) {
	start := time.Now()
	for b.locked() {
		if time.Since(start) > limit {
			return limit, false
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(start), true
}

// lockedWithin waits until a clock is locked, for at most limit.
func (b *rig) lockedWithin(limit time.Duration) (time.Duration, bool) {
	start := time.Now()
	for !b.locked() {
		if time.Since(start) > limit {
			return limit, false
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(start), true
}

func writeFile(path, text string) error { return os.WriteFile(path, []byte(text), 0o600) }

// makeWritable makes a folder that everybody may write.
func makeWritable(dir string) error {
	return errors.Join(os.MkdirAll(dir, 0o700), os.Chmod(dir, 0o777))
}

func (b *rig) options() Options { return Options{Dir: b.dir} }

func getsid(pid int) (int, error) { return unix.Getsid(pid) }

// parent is a running parentMain.
type parent struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines chan string
	rec   Record // of its guard
}

// start runs a parent until its clock is locked.
func (b *rig) start() (*parent, error) {
	cmd := exec.Command(os.Args[0], parentMode, b.dir, strconv.Itoa(b.index))
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &parent{cmd: cmd, stdin: stdin, lines: make(chan string, 100)}
	go func() {
		sc := bufio.NewScanner(stdout)
		for sc.Scan() {
			p.lines <- sc.Text()
		}
		close(p.lines)
	}()
	if line, err := p.expect("running", 20*time.Second); err != nil {
		return nil, fmt.Errorf("%w; last line %q", err, line)
	}
	rec, found := readRecord(b.dir, b.info.UUID)
	if !found || !rec.Guard.alive() || !rec.Watcher.alive() {
		return nil, fmt.Errorf("no record of a living guard and watcher: %+v", rec)
	}
	p.rec = rec
	return p, nil
}

// expect reads lines until one starts with prefix.
func (p *parent) expect(prefix string, limit time.Duration) (string, error) {
	t := time.After(limit)
	last := ""
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				return last, fmt.Errorf("parent ended before %q", prefix)
			}
			if last = line; strings.HasPrefix(line, prefix) {
				return line, nil
			}
		case <-t:
			return last, fmt.Errorf("no %q within %v", prefix, limit)
		}
	}
}

// end tells the parent to end and waits for it.
func (p *parent) end() error {
	_ = p.stdin.Close()
	go func() {
		for range p.lines { // let it write on
		}
	}()
	return p.cmd.Wait()
}

func TestGuardSetsAndGivesBack(t *testing.T) {
	b := newRig(t, 1, fakenvml.H100())[0]
	c, err := Open(t.Context(), b.info, b.options())
	if err != nil {
		t.Fatal(err)
	}
	if c.Armed() {
		t.Error("armed before Arm")
	}
	if err := c.Set(1005); !errors.Is(err, ErrNotArmed) {
		t.Errorf("Set: %v, want %v", err, ErrNotArmed)
	}
	if err := c.Arm(true); err != nil {
		t.Fatal(err)
	}
	if b.locked() {
		t.Error("arming locked the clock")
	}
	before := monotonic()
	timing, err := c.SetTimed(1005)
	if err != nil {
		t.Fatal(err)
	}
	if lo, hi, _ := b.gpu.Locked(); hi != 1005 {
		t.Errorf("locked to %d to %d MHz, want 1005", lo, hi)
	}
	if timing.CallNS < before || timing.ReturnNS < timing.CallNS || timing.ReturnNS > monotonic() {
		t.Errorf("timing %+v is not within the call", timing)
	}
	if err := c.Set(1006); !errors.Is(err, gpu.ErrBadClock) {
		t.Errorf("Set(1006): %v, want %v", err, gpu.ErrBadClock)
	}
	if err := c.Reset(); err != nil || b.locked() {
		t.Errorf("Reset: %v, locked %v", err, b.locked())
	}
	if err := c.Set(1500); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil || b.locked() {
		t.Errorf("Close: %v, locked %v", err, b.locked())
	}
	if err := c.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if _, found := readRecord(b.dir, b.info.UUID); found {
		t.Error("record left behind")
	}
	if err := c.Arm(true); err != nil {
		t.Errorf("arm again: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	log, err := os.ReadFile(b.options().logPath())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"mhz=1005", "mhz=1006", "msg=reset", "the program said goodbye"} {
		if !strings.Contains(string(log), want) {
			t.Errorf("log lacks %q:\n%s", want, log)
		}
	}
}

func TestSecondProgramIsTold(t *testing.T) {
	b := newRig(t, 1, fakenvml.H100())[0]
	open := func() *Client {
		c, err := Open(t.Context(), b.info, b.options())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first, second := open(), open()
	if err := first.Arm(true); err != nil {
		t.Fatal(err)
	}
	err := second.Arm(true)
	var held *HeldError
	if !errors.As(err, &held) || !errors.Is(err, ErrHeld) || held.Holder.PID != os.Getpid() {
		t.Fatalf("second Arm: %v, want a HeldError naming pid %d", err, os.Getpid())
	}
	if _, err := Reset(t.Context(), b.info, b.options(), true); !errors.Is(err, ErrHeld) {
		t.Errorf("Reset while held: %v, want %v", err, ErrHeld)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := second.Arm(true); err != nil {
		t.Errorf("second Arm once free: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}

func TestReadOnlyOpensNothing(t *testing.T) {
	b := newRig(t, 1, fakenvml.H100())[0]
	o := b.options()
	o.ReadOnly = true
	if _, err := Open(t.Context(), b.info, o); !errors.Is(err, gpu.ErrReadOnly) {
		t.Errorf("Open: %v, want %v", err, gpu.ErrReadOnly)
	}
	if _, err := Reset(t.Context(), b.info, o, true); !errors.Is(err, gpu.ErrReadOnly) {
		t.Errorf("Reset: %v, want %v", err, gpu.ErrReadOnly)
	}
	if _, err := os.Stat(b.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("read-only made %s", b.dir)
	}
}
