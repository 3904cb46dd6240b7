package clockguard

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jouletop/gpu/nvml"
	"jouletop/gpu/nvml/fakenvml"
)

// TestBench is `make bench-clockguard`: 200 random kills, and the time from a
// phase's boundary to the driver's call while both cores are busy.
func TestBench(t *testing.T) {
	if os.Getenv("JOULETOP_BENCH") == "" {
		t.Skip("run by make bench-clockguard")
	}
	t.Run("kills", benchKills)
	t.Run("latency", benchLatency)
}

func benchKills(t *testing.T) {
	const rounds = 200
	seed := uint64(time.Now().UnixNano())
	res := killRounds(newRig(t, 4, fakenvml.H100()), seed, nil, rounds)
	fmt.Printf("%d random kill -9 and SIGSTOP of parent, guard, watcher (seed %d)\n", res.rounds, seed)
	fmt.Printf("  %-52s %10s %10s\n", "", "measured", "target")
	fmt.Printf("  %-52s %10d %10d\n", "all knobs given back", res.rounds-len(res.failures), rounds)
	fmt.Printf("  %-52s %10v %10v\n", fmt.Sprintf("slowest where guard or watcher lived (%d)", res.survived),
		res.worst.Round(time.Millisecond), "1s")
	fmt.Printf("  %-52s %10d %10s\n", "given back by the next start", res.rounds-res.survived, "the rest")
	for _, f := range res.failures {
		t.Error(f)
	}
}

// benchLatency measures from the stamp of a phase boundary in a process that
// infers on every core, through a pipe to this one, its policy's goroutine and
// the guard, to the moment before the guard's call of NVML.
func benchLatency(t *testing.T) {
	const (
		runs   = 6 // of each, in turns: what the machine does meanwhile hits both
		each   = 250
		target = 1000 // µs
	)
	kinds := []*struct {
		name, priority string
		judged         bool
		p50, p99, most []float64 // µs, a run each
	}{
		{name: "the same priority", priority: "0"},
		{name: "nice " + backendNice + " (as the backend's process does)", priority: backendNice, judged: true},
	}
	class := ""
	for range runs {
		for _, k := range kinds {
			delays, ran, err := latencies(t, k.priority, each)
			if err != nil {
				t.Fatal(err)
			}
			class = ran
			slices.Sort(delays)
			at := func(q float64) float64 { return delays[int(q*float64(len(delays)-1))] / 1e3 }
			k.p50, k.p99, k.most = append(k.p50, at(0.5)), append(k.p99, at(0.99)), append(k.most, at(1))
		}
	}
	fmt.Printf("\nphase boundary to the moment before NVML's call, %d cores busy inferring; %s\n", runtime.NumCPU(), class)
	fmt.Printf("  %-40s %9s %18s %9s %9s   %s\n", "inference runs at", "p50 µs", "p99 µs, 95 %", "max µs", "switches", "target")
	for _, k := range kinds {
		mean, half := interval(k.p99)
		p50, _ := interval(k.p50)
		text := "for comparison"
		if k.judged {
			text = fmt.Sprintf("p99 under %d µs", target)
		}
		fmt.Printf("  %-40s %9.0f %9.0f ± %6.0f %9.0f %9d   %s\n", k.name, p50, mean, half, slices.Max(k.most), runs*each, text)
		// Only what the interval is sure of.
		if k.judged && mean-half > target {
			t.Errorf("p99 %.0f ± %.0f µs, want under %d", mean, half, target)
		}
	}
}

// interval returns the mean of six values and the half of its 95 % interval.
func interval(x []float64) (mean, half float64) {
	const student = 2.571 // quantile 0.975 of Student's t, 5 degrees of freedom
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		half += (v - mean) * (v - mean)
	}
	n := float64(len(x))
	return mean, student * math.Sqrt(half/(n-1)/n)
}

// backendNice is the niceness of a process that infers on the CPU.
const backendNice = "10"

// latencies runs a program of its own in a session of its own (schedulers group
// by session), with precedence over what else this machine does, and returns
// the delays that it measured, in ns, and how guard and path were scheduled.
func latencies(t *testing.T, nice string, n int) ([]float64, string, error) {
	b := newRig(t, 1, fakenvml.H100().With(fakenvml.SetLatencyUS, 1000))[0]
	cmd := exec.Command(os.Args[0], latencyMode, b.dir, nice, strconv.Itoa(n))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := cmd.Output()
	if err != nil {
		return nil, "", err
	}
	class, rest, _ := strings.Cut(string(out), "\n")
	var delays []float64
	for _, f := range strings.Fields(rest) {
		d, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return nil, "", err
		}
		delays = append(delays, d)
	}
	if len(delays) != n {
		return nil, "", fmt.Errorf("%d of %d boundaries arrived", len(delays), n)
	}
	return delays, class, nil
}

const latencyMode = "clock-test-latency"

// latencyMain is the program between a busy backend and the guard. Arguments:
// folder, the backend's niceness, number of boundaries.
func latencyMain(args []string) int {
	// Without root this is refused, and other programs' load counts too.
	_ = os.WriteFile("/proc/self/autogroup", []byte("-20"), 0)
	PreferLatency()
	if err := measureLatency(args[0], args[1], args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func measureLatency(dir, nice, n string) error {
	dev, err := nvml.Open(0)
	if err != nil {
		return err
	}
	c, err := Open(context.Background(), dev.Info(), Options{Dir: dir})
	if err != nil {
		return err
	}
	if err := c.Arm(true); err != nil {
		return err
	}
	cmd := exec.Command(os.Args[0], backendMode, nice, n)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	// One goroutine reads the backend, another sets clocks, as in the engine.
	class := map[bool]string{true: "real-time priority", false: "ordinary priority (no right to more)"}
	if err := c.Set(1980); err != nil { // the record names the guard
		return err
	}
	rec, _ := readRecord(dir, dev.Info().UUID)
	attr, err := unix.SchedGetAttr(rec.Guard.PID, 0)
	if err != nil {
		return err
	}
	fmt.Printf("guard at %s, the path to it at %s\n", class[attr.Policy == unix.SCHED_FIFO], class[RaiseThread()])
	stamps := make(chan int64, 16)
	go func() {
		RaiseThread()
		defer close(stamps)
		r := bufio.NewReader(out)
		var b [8]byte
		for {
			if _, err := io.ReadFull(r, b[:]); err != nil {
				return
			}
			stamps <- int64(binary.LittleEndian.Uint64(b[:]))
		}
	}()
	i := 0
	for stamp := range stamps {
		timing, err := c.SetTimed([]int{1980, 1005}[i%2])
		if err != nil {
			return err
		}
		i++
		fmt.Println(timing.CallNS - stamp)
	}
	return errors.Join(cmd.Wait(), c.Close())
}

const backendMode = "clock-test-backend"

// backendMain keeps every core busy and stamps a phase boundary every 10 to 30
// ms. Arguments: niceness, number of boundaries.
func backendMain(args []string) int {
	nice, err1 := strconv.Atoi(args[0])
	n, err2 := strconv.Atoi(args[1])
	if errors.Join(err1, err2) != nil {
		return 2
	}
	setNice(nice)
	busy := runtime.NumCPU()
	runtime.GOMAXPROCS(busy + 1)
	for range busy - 1 {
		go spin(nil)
	}
	spin(func(i int) bool {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], uint64(monotonic()))
		_, err := os.Stdout.Write(b[:])
		return err == nil && i+1 < n
	})
	return 0
}

// spin computes without pause; every 10 to 30 ms it calls boundary, if any,
// until that says false.
func spin(boundary func(i int) bool) {
	runtime.LockOSThread()
	x := 1.0
	next := monotonic()
	for i := 0; ; {
		for range 20_000 {
			x = x*1.0000001 + 1e-9
		}
		if boundary == nil || monotonic() < next {
			continue
		}
		if !boundary(i) {
			return
		}
		next = monotonic() + int64(10+(i*7)%20)*int64(time.Millisecond)
		i++
	}
}

func setNice(n int) {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, task := range tasks {
		if tid, err := strconv.Atoi(task.Name()); err == nil {
			_ = unix.Setpriority(unix.PRIO_PROCESS, tid, n)
		}
	}
}
