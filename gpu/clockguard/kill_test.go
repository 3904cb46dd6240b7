package clockguard

import (
	"fmt"
	"math/rand/v2"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"jouletop/gpu/nvml/fakenvml"
)

// backAfter is how soon the clock must be the driver's again.
const backAfter = time.Second

// victims is a random choice of whom to hit with what.
type victims map[string]syscall.Signal

func (v victims) String() string {
	var parts []string
	for _, who := range []string{"parent", "guard", "watcher"} {
		if sig, hit := v[who]; hit {
			parts = append(parts, map[syscall.Signal]string{syscall.SIGKILL: "kill ", syscall.SIGSTOP: "stop "}[sig]+who)
		}
	}
	return strings.Join(parts, ", ")
}

// survivor tells whether guard or watcher is left to reset the clock.
func (v victims) survivor() bool {
	_, guard := v["guard"]
	_, watcher := v["watcher"]
	return !guard || !watcher
}

func randomVictims(r *rand.Rand) victims {
	v := victims{}
	for len(v) == 0 {
		for _, who := range []string{"parent", "guard", "watcher"} {
			if r.IntN(2) == 0 {
				v[who] = []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP}[r.IntN(2)]
			}
		}
	}
	return v
}

// killRound starts a phase-aware run, hits the victims at a random moment, and
// returns how long the clock took to be the driver's again.
func (b *rig) killRound(r *rand.Rand, v victims) (back time.Duration, err error) {
	p, err := b.start()
	if err != nil {
		return 0, err
	}
	pids := map[string]process{"parent": identify(p.cmd.Process.Pid), "guard": p.rec.Guard, "watcher": p.rec.Watcher}
	defer func() {
		// Whatever was stopped and lives goes on now: it must leave the clock alone.
		for who := range v {
			if pids[who].alive() {
				_ = syscall.Kill(pids[who].PID, syscall.SIGCONT)
			}
		}
		if perr := p.end(); perr != nil && v["parent"] != syscall.SIGKILL && err == nil {
			err = fmt.Errorf("parent: %w", perr)
		}
		for end := time.Now().Add(3 * time.Second); p.rec.Guard.alive() || p.rec.Watcher.alive(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				err = fmt.Errorf("guard or watcher is still there: %+v", p.rec)
				return
			}
		}
		if b.locked() && err == nil {
			err = fmt.Errorf("clock locked again by a process that had been stopped")
		}
	}()

	time.Sleep(time.Duration(r.IntN(60_000)) * time.Microsecond)
	hit := time.Now()
	for who, sig := range v { // in an order that varies
		if err := syscall.Kill(pids[who].PID, sig); err != nil {
			return 0, fmt.Errorf("%s: %w", who, err)
		}
	}
	if v.survivor() {
		if _, ok := b.unlockedWithin(2 * backAfter); !ok {
			return 0, fmt.Errorf("knobs not given back after %v", 2*backAfter)
		}
		return time.Since(hit), nil
	}

	// Nobody is left: the next start finds the record.
	time.Sleep(beatLimit / 2)
	if !b.locked() {
		return 0, fmt.Errorf("clock given back although guard and watcher were dead")
	}
	c, err := Open(b.ctx, b.info, b.options())
	if err != nil {
		return 0, err
	}
	if b.locked() {
		return 0, fmt.Errorf("clock still locked after the next start; notes %q", c.Notes())
	}
	if notes := strings.Join(c.Notes(), "\n"); !strings.Contains(notes, "never given back") {
		return 0, fmt.Errorf("next start does not say that it reset the clock: %q", notes)
	}
	return 0, nil
}

// killResult is what many rounds came to.
type killResult struct {
	rounds, survived int
	worst            time.Duration
	failures         []string
}

// killRounds runs rounds on several GPUs at once, fixed ones first.
func killRounds(rigs []*rig, seed uint64, fixed []victims, rounds int) killResult {
	var (
		mu   sync.Mutex
		wg   sync.WaitGroup
		next int
		res  killResult
	)
	for i, b := range rigs {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() {
			for {
				mu.Lock()
				n := next
				next++
				mu.Unlock()
				if n >= rounds {
					return
				}
				v := randomVictims(r)
				if n < len(fixed) {
					v = fixed[n]
				}
				back, err := b.killRound(r, v)
				if err == nil && back > backAfter {
					err = fmt.Errorf("clock back after %v", back)
				}
				mu.Lock()
				res.rounds++
				if v.survivor() {
					res.survived++
					res.worst = max(res.worst, back)
				}
				if err != nil {
					res.failures = append(res.failures, fmt.Sprintf("%s: %v", v, err))
				}
				mu.Unlock()
				if err != nil {
					b.unlock()
				}
			}
		})
	}
	wg.Wait()
	return res
}

// Every kind of end once; make bench-clockguard runs 200 random ones.
func TestClockIsGivenBackAfterKills(t *testing.T) {
	const k, s = syscall.SIGKILL, syscall.SIGSTOP
	fixed := []victims{
		{"parent": k}, {"parent": s}, {"guard": k}, {"guard": s}, {"watcher": k}, {"watcher": s},
		{"parent": k, "guard": k}, {"parent": k, "watcher": s}, {"parent": s, "guard": s},
		{"parent": k, "guard": k, "watcher": k}, {"guard": s, "watcher": s}, {"parent": s, "guard": s, "watcher": k},
	}
	if testing.Short() {
		fixed = fixed[:6]
	}
	res := killRounds(newRig(t, 4, fakenvml.H100()), 1, fixed, len(fixed))
	for _, f := range res.failures {
		t.Error(f)
	}
}

// What the terminal and the system send, and a quit.
func TestClockIsGivenBackAfterSignals(t *testing.T) {
	rigs := newRig(t, 4, fakenvml.H100())
	var wg sync.WaitGroup
	for i, tt := range []struct {
		who string
		sig syscall.Signal
	}{{"parent", syscall.SIGHUP}, {"parent", syscall.SIGTERM}, {"guard", syscall.SIGTERM}, {"parent", 0}} {
		if tt.sig == syscall.SIGHUP && signal.Ignored(syscall.SIGHUP) {
			continue // the tests run under nohup, and so does the parent
		}
		b := rigs[i]
		wg.Go(func() {
			p, err := b.start()
			if err != nil {
				t.Error(err)
				return
			}
			switch {
			case tt.sig == 0:
				_ = p.stdin.Close()
			case tt.who == "parent":
				err = p.cmd.Process.Signal(tt.sig)
			default:
				err = syscall.Kill(p.rec.Guard.PID, tt.sig)
			}
			if err != nil {
				t.Error(err)
			}
			if took, ok := b.unlockedWithin(backAfter); !ok {
				t.Errorf("%s %v: still locked after %v", tt.who, tt.sig, took)
			}
			_ = p.end()
		})
	}
	wg.Wait()
}

// A terminal's signals reach neither guard nor watcher.
func TestGuardIgnoresTheTerminal(t *testing.T) {
	b := newRig(t, 1, fakenvml.H100())[0]
	p, err := b.start()
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{p.rec.Guard.PID, p.rec.Watcher.PID} {
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGHUP} {
			if err := syscall.Kill(pid, sig); err != nil {
				t.Error(err)
			}
		}
		if sid, err := getsid(pid); err != nil || sid != pid {
			t.Errorf("process %d has session %d (%v), want its own", pid, sid, err)
		}
	}
	time.Sleep(50 * time.Millisecond)
	if !b.locked() || !p.rec.Guard.alive() || !p.rec.Watcher.alive() {
		t.Error("guard or watcher ended at a signal of the terminal")
	}
	if err := p.end(); err != nil || b.locked() {
		t.Errorf("end: %v, locked %v", err, b.locked())
	}
}
