package clockguard

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"jouletop/gpu"
	"jouletop/gpu/nvml/fakenvml"
)

// armed opens and arms a client on a fresh fake GPU.
func armed(t *testing.T, conf fakenvml.Config) (*rig, *Client, chan string) {
	t.Helper()
	b := newRig(t, 1, conf)[0]
	told := make(chan string, 10)
	o := b.options()
	o.Notify = func(s string) { told <- s }
	c, err := Open(t.Context(), b.info, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Arm(true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil && !errors.Is(err, ErrBusy) {
			t.Errorf("Close: %v", err)
		}
	})
	return b, c, told
}

// What the driver refuses comes back as what it is, and leaves no record.
func TestRefusalsOfTheDriver(t *testing.T) {
	for _, tt := range []struct {
		name   string
		conf   fakenvml.Config
		want   error
		record bool
	}{
		{"no permission", fakenvml.H100().With(fakenvml.Permission, fakenvml.Nobody), gpu.ErrNoPermission, false},
		{"not supported", fakenvml.H100().With(fakenvml.Unsupported, fakenvml.NoLock), gpu.ErrNotSupported, false},
		{"GPU lost", fakenvml.H100().With(fakenvml.SetFault, fakenvml.CodeGPULost).With(fakenvml.SetFaultLeft, 1), gpu.ErrLost, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newRig(t, 1, tt.conf)[0]
			for _, f := range []fakenvml.Field{fakenvml.Permission, fakenvml.Unsupported} {
				b.gpu.Set(f, tt.conf.Fields[f])
			}
			c, err := Open(t.Context(), b.info, b.options())
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Arm(true); err != nil {
				t.Fatal(err)
			}
			if err := c.Set(1005); !errors.Is(err, tt.want) || !strings.Contains(err.Error(), "1005") {
				t.Errorf("Set: %v, want %v that names the clock", err, tt.want)
			}
			if _, found := readRecord(b.dir, b.info.UUID); found != tt.record {
				t.Errorf("record %v, want %v", found, tt.record)
			}
			if !c.Armed() {
				t.Error("a refused clock ended clock control")
			}
			if err := c.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			if _, found := readRecord(b.dir, b.info.UUID); found {
				t.Error("record left behind")
			}
		})
	}
}

// A reset that fails now and then is tried until it works.
func TestResetIsRetried(t *testing.T) {
	b, c, _ := armed(t, fakenvml.H100())
	if err := c.Set(1005); err != nil {
		t.Fatal(err)
	}
	b.gpu.Set(fakenvml.ResetFault, fakenvml.CodeUnknown)
	b.gpu.Set(fakenvml.ResetFaultLeft, 3)
	if err := c.Close(); err != nil || b.locked() {
		t.Errorf("Close: %v, locked %v; it was given back at the fourth try", err, b.locked())
	}
}

// A reset that fails for good, or hangs, is told with the remedy.
func TestNotGivenBack(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault fakenvml.Field
		left  fakenvml.Field
		value int64
	}{
		{"reset fails", fakenvml.ResetFault, fakenvml.ResetFaultLeft, fakenvml.CodeUnknown},
		{"reset hangs", fakenvml.HangMS, fakenvml.HangLeft, 6000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newRig(t, 1, fakenvml.H100())[0]
			c, err := Open(t.Context(), b.info, b.options())
			if err == nil {
				err = errors.Join(c.Arm(true), c.Set(1005))
			}
			if err != nil {
				t.Fatal(err)
			}
			b.gpu.Set(tt.left, -1)
			b.gpu.Set(tt.fault, tt.value)
			err = c.Close()
			if !errors.Is(err, ErrNotGivenBack) || !strings.Contains(err.Error(), "jouletop gpu reset") {
				t.Errorf("Close: %v, want %v with the remedy", err, ErrNotGivenBack)
			}
			b.gpu.Set(tt.fault, 0)
			if took, ok := b.unlockedWithin(8 * time.Second); !ok {
				t.Errorf("the guard does not try on: locked for %v", took)
			}
		})
	}
}

// A GPU that is lost for good keeps its record, for the next start.
func TestLostGPUKeepsItsRecord(t *testing.T) {
	b := newRig(t, 1, fakenvml.H100())[0]
	p, err := b.start()
	if err != nil {
		t.Fatal(err)
	}
	b.gpu.Set(fakenvml.Lost, 1)
	if _, err := p.expect("lost", 5*time.Second); err != nil {
		t.Error(err)
	}
	for _, pr := range []process{p.rec.Guard, p.rec.Watcher} { // they would try for long
		if !pr.kill(time.Second) {
			t.Errorf("%d does not die", pr.PID)
		}
	}
	if err := p.end(); err != nil {
		t.Errorf("the program did not stay up: %v", err)
	}
	b.gpu.Set(fakenvml.Lost, 0)
	if !b.locked() {
		t.Fatal("not locked any more")
	}
	if _, stale := Stale(b.info, b.options()); !stale {
		t.Fatal("no record of the locked clock")
	}
	text, err := Reset(t.Context(), b.info, b.options(), false)
	if err != nil || b.locked() || !strings.Contains(text, "never given back") {
		t.Errorf("Reset: %q, %v, locked %v", text, err, b.locked())
	}
	if text, err = Reset(t.Context(), b.info, b.options(), false); err != nil || text != "" {
		t.Errorf("second Reset: %q, %v; want nothing to do", text, err)
	}
	before := resets(b)
	if text, err = Reset(t.Context(), b.info, b.options(), true); err != nil || text == "" || resets(b) != before+1 {
		t.Errorf("forced Reset: %q, %v, %d calls", text, err, resets(b)-before)
	}
}

func resets(b *rig) int {
	n := 0
	for _, c := range b.state.Log() {
		if c.Reset && c.Knob == 0 && c.GPU == b.index {
			n++
		}
	}
	return n
}

// A set call that hangs holds up Set for its limit, later ones not at all, and
// the clock is given back within a second of the call's return, though the
// program was killed in between.
func TestHangingCall(t *testing.T) {
	const hang = callLimit + 700*time.Millisecond
	b, c, _ := armed(t, fakenvml.H100().With(fakenvml.HangMS, hang.Milliseconds()).With(fakenvml.HangLeft, 1))
	start := time.Now()
	if err := c.Set(1005); !errors.Is(err, ErrBusy) {
		t.Errorf("Set: %v, want %v", err, ErrBusy)
	}
	if took := time.Since(start); took > hang-100*time.Millisecond {
		t.Errorf("Set waited %v for a call that hangs", took)
	}
	again := time.Now()
	if err := c.Set(1500); !errors.Is(err, ErrBusy) {
		t.Errorf("second Set: %v, want %v", err, ErrBusy)
	}
	if took := time.Since(again); took > 500*time.Millisecond {
		t.Errorf("second Set waited %v", took)
	}
	if !c.Armed() {
		t.Error("a call that hangs ended clock control")
	}
	if _, ok := b.lockedWithin(hang); !ok {
		t.Fatal("the hanging call never took effect")
	}
	// It goes on where it was: the answer has come, the lease was renewed.
	time.Sleep(100 * time.Millisecond)
	if err := c.Set(1500); err != nil {
		t.Errorf("Set after the hang: %v", err)
	}
}

func TestKilledDuringAHangingCall(t *testing.T) {
	rigs := newRig(t, 3, fakenvml.H100())
	var wg sync.WaitGroup
	for i, who := range []string{"parent killed", "parent stopped", "watcher killed"} {
		wg.Go(func() {
			if err := rigs[i].killDuringHang(who); err != nil {
				t.Errorf("%s: %v", who, err)
			}
		})
	}
	wg.Wait()
}

func (b *rig) killDuringHang(who string) error {
	const hang = 1500 * time.Millisecond
	p, err := b.start()
	if err != nil {
		return err
	}
	b.gpu.Set(fakenvml.HangMS, hang.Milliseconds())
	b.gpu.Set(fakenvml.HangLeft, 1)
	for b.gpu.Get(fakenvml.HangLeft) == 1 { // until a call hangs
		time.Sleep(time.Millisecond)
	}
	returns := time.Now().Add(hang)
	pid, sig := p.cmd.Process.Pid, syscall.SIGKILL
	switch who {
	case "parent stopped":
		sig = syscall.SIGSTOP
	case "watcher killed":
		pid = p.rec.Watcher.PID
	}
	if err := syscall.Kill(pid, sig); err != nil {
		return err
	}
	time.Sleep(time.Until(returns))
	took, ok := b.unlockedWithin(backAfter)
	if sig == syscall.SIGSTOP {
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
	_ = p.end() // killed or not: the test is of the clock
	if !ok {
		return fmt.Errorf("still locked %v after the call returned", took)
	}
	if b.locked() {
		return errors.New("locked again")
	}
	return nil
}

// The operator is told why clock control ended, and may arm it again.
func TestGuardLostIsTold(t *testing.T) {
	b, c, told := armed(t, fakenvml.H100())
	if err := c.Set(1005); err != nil {
		t.Fatal(err)
	}
	losses := make(chan Loss, 2)
	c.OnLoss(func(l Loss) { losses <- l })
	held := c.HeldUntil()
	time.Sleep(3 * renewEvery)
	if h := c.HeldUntil(); h <= held || h > monotonic() {
		t.Errorf("known to be held until %d, and until %d some renewals later", held, h)
	}
	rec, _ := readRecord(b.dir, b.info.UUID)
	killed := monotonic()
	if !rec.Guard.kill(time.Second) {
		t.Fatal("cannot kill the guard")
	}
	if l := <-losses; l.HeldNS > killed || killed-l.HeldNS > int64(3*renewEvery) || !errors.Is(l.Err, ErrGuardLost) {
		t.Errorf("loss %+v, killed at %d", l, killed)
	}
	if took, ok := b.unlockedWithin(backAfter); !ok {
		t.Errorf("still locked after %v", took)
	}
	select {
	case text := <-told:
		if !strings.Contains(text, "killed") || !strings.Contains(text, "the clock is the driver's again") {
			t.Errorf("told %q", text)
		}
	case <-time.After(5 * time.Second):
		t.Error("not told")
	}
	if c.Armed() {
		t.Error("still armed")
	}
	if err := c.Set(1005); !errors.Is(err, ErrGuardLost) {
		t.Errorf("Set: %v, want %v", err, ErrGuardLost)
	}
	if err := c.Arm(true); err != nil {
		t.Fatalf("arm again: %v", err)
	}
	if err := c.Set(1005); err != nil || !b.locked() {
		t.Errorf("Set after arming again: %v", err)
	}
}

// A program that was stopped is told, once it goes on, since when the clock has
// been the driver's.
func TestLossWhileStopped(t *testing.T) {
	b, c, _ := armed(t, fakenvml.H100())
	if err := c.Set(1005); err != nil {
		t.Fatal(err)
	}
	losses := make(chan Loss, 2)
	c.OnLoss(func(l Loss) { losses <- l })
	b.gpu.Set(fakenvml.ResetFaultLeft, 2) // the first reset that is tried counts: it may have had its effect
	b.gpu.Set(fakenvml.ResetFault, fakenvml.CodeUnknown)
	rec, _ := readRecord(b.dir, b.info.UUID)
	if err := syscall.Kill(rec.Guard.PID, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	l := <-losses
	var first int64
	for _, call := range b.state.Log() {
		if call.Reset && first == 0 {
			first = call.StartNS
		}
	}
	if l.HeldNS > first {
		t.Errorf("held until %d, and the first reset began at %d", l.HeldNS, first)
	}
}

// Another boot has undone every lock: its record is dropped, the clock left be.
func TestRecordOfAnotherBoot(t *testing.T) {
	b := newRig(t, 1, fakenvml.H100())[0]
	if err := makeDir(b.dir); err != nil {
		t.Fatal(err)
	}
	if err := (Record{GPU: b.info.UUID, Boot: "another", MHz: 1005}).write(b.dir); err != nil {
		t.Fatal(err)
	}
	c, err := Open(t.Context(), b.info, b.options())
	if err != nil || len(c.Notes()) != 0 {
		t.Errorf("Open: %v, notes %q", err, c.Notes())
	}
	if err := c.Arm(true); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if n := resets(b); n != 0 {
		t.Errorf("%d resets of a clock that nobody set", n)
	}
	if _, found := readRecord(b.dir, b.info.UUID); found {
		t.Error("record left behind")
	}
}

// A record that cannot be read still means that a clock was locked.
func TestDamagedRecord(t *testing.T) {
	b := newRig(t, 1, fakenvml.H100())[0]
	if err := makeDir(b.dir); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(recordPath(b.dir, b.info.UUID), `{"gpu": "GP`); err != nil {
		t.Fatal(err)
	}
	c, err := Open(t.Context(), b.info, b.options())
	if err != nil || len(c.Notes()) != 1 || resets(b) != 1 {
		t.Errorf("Open: %v, notes %q, %d resets; want one of each", err, c.Notes(), resets(b))
	}
}

// A folder that others can write is not trusted with leases.
func TestUntrustedFolder(t *testing.T) {
	b := newRig(t, 1, fakenvml.H100())[0]
	if err := makeWritable(b.dir); err != nil {
		t.Fatal(err)
	}
	c, err := Open(t.Context(), b.info, b.options())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Arm(true); err == nil || !strings.Contains(err.Error(), b.dir) {
		t.Errorf("Arm: %v, want an error that names %s", err, b.dir)
	}
}
