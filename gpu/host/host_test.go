package host

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"jouletop/gpu/timebase"
)

// tree makes files below a folder: path and content.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		write(t, root, name, content)
	}
	return root
}

func write(t *testing.T, root, name, content string) {
	t.Helper()
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// zone adds a RAPL zone.
func zone(files map[string]string, folder, name, energy string) {
	dir := "sys/class/powercap/" + folder + "/"
	files[dir+"name"], files[dir+"energy_uj"], files[dir+"max_energy_range_uj"] = name, energy, "262143328850"
}

// server is a machine of two packages, with what may lie beside.
func server() map[string]string {
	files := map[string]string{"sys/class/powercap/intel-rapl/enabled": "1"}
	for i := range 2 {
		zone(files, fmt.Sprintf("intel-rapl:%d", i), fmt.Sprintf("package-%d", i), fmt.Sprint(1000000*(i+1)))
		zone(files, fmt.Sprintf("intel-rapl:%d:0", i), "dram", "500000")
	}
	zone(files, "intel-rapl:0:1", "core", "700000")
	zone(files, "intel-rapl:2", "psys", "9000000")
	zone(files, "intel-rapl-mmio:0", "package-0", "1000000") // the same package again
	files["sys/class/hwmon/hwmon0/name"] = "power_meter"
	files["sys/class/hwmon/hwmon0/power1_average"] = "312000000"
	files["sys/class/hwmon/hwmon0/power1_input"] = "400000000"
	files["sys/class/hwmon/hwmon0/power1_average_interval"] = "1000"
	files["sys/class/hwmon/hwmon1/name"] = "amdgpu"
	files["sys/class/hwmon/hwmon1/power1_average"] = "99000000"
	files["sys/class/hwmon/hwmon2/name"] = "nvme"
	return files
}

func ids(sources []Source) (out []string) {
	for _, s := range sources {
		out = append(out, s.ID)
	}
	return out
}

func TestFind(t *testing.T) {
	sources, problems := Find(Options{Root: tree(t, server())})
	want := []string{"rapl:package-0", "rapl:package-1", "rapl:dram-0", "rapl:dram-1", "rapl:core-0", "rapl:psys-0", "hwmon:power_meter-0:power1"}
	if got := ids(sources); !slices.Equal(got, want) {
		t.Errorf("sources %v, want %v", got, want)
	}
	if len(problems) != 1 || problems[0].Kind != DCMI {
		t.Errorf("problems %v", problems)
	}
	for _, s := range sources {
		within := ""
		if s.Domain == "core-0" {
			within = "rapl:package-0"
		}
		if s.Within != within {
			t.Errorf("%s lies within %q", s.ID, s.Within)
		}
		v, err := s.read()
		if s.Kind == HWMon && (v != 312 || s.PeriodMS != 1000) || s.Domain == "package-1" && v != 2 || err != nil {
			t.Errorf("%s: %g, %v, every %g ms", s.ID, v, err, s.PeriodMS)
		}
		if s.Counter() != (s.Kind == RAPL) || s.Kind == RAPL && s.RangeJ != 262143.32885 {
			t.Errorf("%s: range %g J", s.ID, s.RangeJ)
		}
	}
}

// Where nothing is, or nothing can be read, it is said why.
func TestProblems(t *testing.T) {
	empty := tree(t, map[string]string{"sys/kernel/x": "", "dev/null": ""})
	noRange := server()
	noRange["sys/class/powercap/intel-rapl:1/max_energy_range_uj"] = "many"
	noCounter := map[string]string{}
	zone(noCounter, "intel-rapl:0", "package-0", "not a number")
	only := map[string]string{"sys/class/powercap/dtpm/enabled": "1"}
	for name, c := range map[string]struct {
		root string
		want string
	}{
		"nothing":          {empty, "rapl: this machine has none: no powercap"},
		"no sysfs":         {filepath.Join(empty, "nowhere"), "rapl: this machine has none"},
		"another powercap": {tree(t, only), "rapl: this machine has none: powercap has no RAPL domain"},
		"no range":         {tree(t, noRange), "rapl: list powercap: "},
		"no number":        {tree(t, noCounter), "rapl: "},
	} {
		sources, problems := findRAPL(Options{Root: c.root})
		if len(sources) != 0 || len(problems) != 1 || !strings.HasPrefix(problems[0].String(), c.want) {
			t.Errorf("%s: %v, problems %v, want %q", name, ids(sources), problems, c.want)
		}
	}
	if s, p := findHWMon(Options{Root: empty}); len(s) != 0 || len(p) != 1 {
		t.Errorf("hwmon of nothing: %v %v", s, p)
	}
}

// fakeCounters are counters as a service tells them.
type fakeCounters struct {
	all []Counter
	err error
}

func (f *fakeCounters) Read() ([]Counter, error) { return f.all, f.err }
func (f *fakeCounters) Name() string             { return "the service" }

func TestCountersThroughAService(t *testing.T) {
	all := &fakeCounters{all: []Counter{
		{"intel-rapl:0", "package-0", 262143328850, 5e6}, {"intel-rapl:0:0", "core-0", 262143328850, 3e6}, {"intel-rapl:1", "odd-0", 0, 1},
	}}
	sources, err := throughOthers(all)
	sources = nest(sources)
	if err != nil || len(sources) != 2 || sources[0].Through != "the service" || sources[1].Within != "rapl:package-0" {
		t.Fatalf("%+v, %v", sources, err)
	}
	if v, err := sources[0].read(); v != 5 || err != nil {
		t.Error(v, err)
	}
	time.Sleep(countersEvery/4 + time.Millisecond)
	all.all = all.all[:1]
	if v, err := sources[1].read(); err == nil {
		t.Error("a domain that is gone reads", v)
	}
	all.err = errors.New("service ended")
	time.Sleep(countersEvery/4 + time.Millisecond)
	if v, err := sources[0].read(); err == nil {
		t.Error("a service that has ended reads", v)
	}
}

// Without the permission, whoever has it is asked; else the remedy is told. What is not
// root's alone is read all the same.
func TestNoPermission(t *testing.T) {
	root := tree(t, server())
	files, _ := filepath.Glob(filepath.Join(root, "sys/class/powercap/*/energy_uj"))
	for _, f := range files {
		if err := os.Chmod(f, 0); err != nil {
			t.Fatal(err)
		}
	}
	asNobody(t, root)
	sources, problems := findRAPL(Options{Root: root})
	if len(sources) != 0 || len(problems) != 1 || problems[0].Remedy != remedyRAPL {
		t.Errorf("%v %v", ids(sources), problems)
	}
	if all, err := ReadRAPL(root); err == nil {
		t.Errorf("read %v", all)
	}
	sources, problems = findRAPL(Options{Root: root, Counters: &fakeCounters{err: errors.New("refused")}})
	if len(sources) != 0 || len(problems) != 1 || !strings.Contains(problems[0].What, "refused") {
		t.Errorf("%v %v", ids(sources), problems)
	}
	sources, problems = findRAPL(Options{Root: root, Counters: &fakeCounters{all: []Counter{{"intel-rapl:0", "package-0", 1e9, 1}}}})
	if len(sources) != 1 || len(problems) != 0 {
		t.Errorf("%v %v", ids(sources), problems)
	}
}

func TestSomePermission(t *testing.T) {
	root := tree(t, server())
	if err := os.Chmod(filepath.Join(root, "sys/class/powercap/intel-rapl:1/energy_uj"), 0); err != nil {
		t.Fatal(err)
	}
	asNobody(t, root)
	sources, problems := findRAPL(Options{Root: root})
	if len(sources) != 5 || slices.Contains(ids(sources), "rapl:package-1") || len(problems) != 1 || problems[0].Remedy != remedyRAPL {
		t.Errorf("%v %v", ids(sources), problems)
	}
}

// asNobody lets the test go on as a user who owns nothing below root, where it is root's.
func asNobody(t *testing.T, root string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	for dir := root; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	const nobody = 65534
	runtime.LockOSThread()
	if err := syscall.Setfsuid(nobody); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Setfsuid(0); err != nil {
			t.Fatal(err) // the thread stays locked, and ends with the test
		}
		runtime.UnlockOSThread()
	})
}

// at is a reading at so many seconds.
func at(s *Source, seconds, v float64) Reading {
	r := Reading{TimeNS: int64(seconds * 1e9), Source: s.ID, PowerW: math.NaN(), CounterJ: math.NaN()}
	if s.Counter() {
		r.CounterJ = v
	} else {
		r.PowerW = v
	}
	return r
}

func counter() Source {
	return Source{ID: "rapl:package-0", Kind: RAPL, Domain: "package-0", RangeJ: 65536, PeriodMS: 1}
}

// steady are readings of a power of 100 W, every 0.1 s, the counter beginning at j.
func steady(s *Source, from, to, j float64) []Reading { return constant(s, from, to, j, 100) }

func constant(s *Source, from, to, j, watts float64) (out []Reading) {
	for t := from; t < to+1e-9; t += 0.1 {
		v := watts
		if s.Counter() {
			v = math.Mod(j+watts*(t-from), s.RangeJ)
		}
		out = append(out, at(s, t, v))
	}
	return out
}

func TestWindows(t *testing.T) {
	c := counter()
	power := Source{ID: "hwmon:x", Kind: HWMon, Domain: "x"}
	nan := math.NaN()
	for _, x := range []struct {
		what       string
		source     Source
		readings   []Reading
		start, end float64
		joules     float64 // NaN: not known
		why        string
	}{
		{"steady", c, steady(&c, 0, 10, 20), 1, 9, 800, ""},
		{"a wrap", c, steady(&c, 0, 12, 65036), 1, 11, 1000, ""},
		{"three wraps", c, constant(&c, 0, 80, 60000, 2500), 1, 77, 190000, ""},
		{"between readings", c, steady(&c, 0, 10, 20), 1.05, 9.03, 798, ""},
		{"a step back", c, slices.Concat(steady(&c, 0, 5, 400), steady(&c, 5.1, 10, 100)), 1, 9, nan, "stepped"},
		{"a step back, before", c, slices.Concat(steady(&c, 0, 5, 400), steady(&c, 5.1, 10, 100)), 5.4, 9, 360, ""},
		{"a step on", c, slices.Concat(steady(&c, 0, 5, 0), steady(&c, 5.1, 10, 990)), 1, 9, nan, "stepped"},
		{"one wrong value", c, slices.Concat(steady(&c, 0, 5, 400), []Reading{at(&c, 5.1, 200)}, steady(&c, 5.2, 10, 920)), 5.05, 5.25, nan, "stepped"},
		{"after one wrong value", c, slices.Concat(steady(&c, 0, 5, 400), []Reading{at(&c, 5.1, 200)}, steady(&c, 5.2, 10, 920)), 5.15, 9, nan, "stepped"},
		{"a failure", c, slices.Concat(steady(&c, 0, 5, 0), []Reading{at(&c, 5.5, nan)}, steady(&c, 6, 10, 600)), 1, 9, nan, "could not be read"},
		{"reset while it failed", c, slices.Concat(steady(&c, 0, 5, 0), []Reading{at(&c, 5.1, nan)}, steady(&c, 5.2, 10, 3)), 1, 9, nan, "stepped"},
		{"a gap in which it wrapped", c, slices.Concat(steady(&c, 0, 5, 65000), steady(&c, 15, 20, 900)), 1, 19, nan, "stepped"},
		{"a gap", c, slices.Concat(steady(&c, 0, 5, 400), steady(&c, 15, 20, 1900)), 1, 19, 1800, ""},
		{"a gap in which it may have wrapped", c, slices.Concat(steady(&c, 0, 5, 400), steady(&c, 35, 40, 3900)), 1, 39, nan, "gone round"},
		{"a value beyond the range", c, slices.Concat(steady(&c, 0, 5, 0), []Reading{at(&c, 5.1, 70000)}, steady(&c, 5.2, 10, 520)), 1, 9, nan, "could not be read"},
		{"a counter that stands still", c, slices.Concat(steady(&c, 0, 2, 0), []Reading{at(&c, 3, 201), at(&c, 4, 201), at(&c, 5, 201), at(&c, 6, 201)}), 1, 6, nan, "stood still"},
		{"it vanished", c, steady(&c, 0, 5, 0), 1, 9, nan, "all the time"},
		{"it came late", c, steady(&c, 5, 10, 0), 1, 9, nan, "all the time"},
		{"never read", c, nil, 1, 9, nan, "not read"},
		{"the past again", c, append(steady(&c, 0, 10, 20), at(&c, 4, 3)), 1, 9, 800, ""},
		{"of another", c, append(steady(&c, 0, 10, 20), Reading{TimeNS: 11e9, Source: "rapl:dram-0", CounterJ: 3}), 1, 9, 800, ""},
		{"power", power, steady(&power, 0, 10, 0), 1, 9, 800, ""},
		{"power between", power, steady(&power, 0, 10, 0), 1.01, 8.99, 798, ""},
		{"power, a gap", power, slices.Concat(steady(&power, 0, 2, 0), steady(&power, 8, 10, 0)), 1, 9, nan, "a while"},
		{"power, impossible", power, slices.Concat(steady(&power, 0, 5, 0), []Reading{at(&power, 5.1, -4)}, steady(&power, 5.2, 10, 0)), 1, 9, nan, "could not be read"},
		{"power, impossible elsewhere", power, slices.Concat(steady(&power, 0, 5, 0), []Reading{at(&power, 5.1, 1e9)}, steady(&power, 5.2, 10, 0)), 6, 9, 300, ""},
	} {
		m := NewMeter(x.source)
		for _, r := range x.readings {
			m.Add(r)
		}
		e := m.Window(int64(x.start*1e9), int64(x.end*1e9))
		if math.IsNaN(x.joules) {
			if e.Known() || !strings.Contains(e.Why, x.why) {
				t.Errorf("%s: %+v, want unknown: %s", x.what, e, x.why)
			}
			continue
		}
		if !(math.Abs(e.Joules-x.joules) < 1e-6) || !(e.ErrJ < 25+x.joules/100) || e.ErrJ < 0 {
			t.Errorf("%s: %+v, want %g J", x.what, e, x.joules)
		}
	}
}

// Whatever power does between the readings, the interval holds the truth.
func TestTheIntervalHoldsTheTruth(t *testing.T) {
	c := counter()
	// 20 W and 300 W in turns, each for 70 ms.
	truth := func(t float64) float64 {
		n := math.Floor(t / 0.14)
		rest := t - n*0.14
		return n*0.07*320 + 20*min(rest, 0.07) + 300*max(rest-0.07, 0)
	}
	m := NewMeter(c)
	for i := range 200 {
		s := float64(i) * 0.1
		m.Add(at(&c, s, math.Mod(truth(s), c.RangeJ)))
	}
	for i := range 100 {
		a := 0.3 + float64(i)*0.0371
		b := a + 2 + float64(i)*0.0537
		e := m.Window(int64(a*1e9), int64(b*1e9))
		if want := truth(b) - truth(a); !(math.Abs(e.Joules-want) <= e.ErrJ) {
			t.Fatalf("%g to %g s: %+v, truth %g", a, b, e, want)
		}
	}
}

func TestTotal(t *testing.T) {
	sources, _ := Find(Options{Root: tree(t, server())})
	of := map[string]Energy{}
	for i, s := range sources {
		of[s.ID] = Energy{Joules: float64(10 * (i + 1)), ErrJ: 1}
	}
	if sum, domains, ok := Total(sources, of); !ok || sum.Joules != 10+20+30+40 || sum.ErrJ != 4 || len(domains) != 4 {
		t.Errorf("%+v of %v", sum, domains)
	}
	of["rapl:dram-1"] = unknown("gone")
	if sum, _, ok := Total(sources, of); !ok || sum.Known() || !strings.Contains(sum.Why, "dram-1: gone") {
		t.Errorf("%+v", sum)
	}
	delete(of, "rapl:package-0")
	if sum, _, ok := Total(sources, of); !ok || sum.Known() {
		t.Errorf("%+v", sum)
	}
	if _, _, ok := Total(nil, nil); ok {
		t.Error("a total of nothing")
	}
}

// A domain that vanishes is told of once, and so is its return.
func TestWatch(t *testing.T) {
	root := tree(t, server())
	sources, _ := findRAPL(Options{Root: root})
	synctest.Test(t, func(t *testing.T) {
		var readings []Reading
		var problems []string
		clock := timebase.Monotonic()
		w := Watch(clock, sources, func(r Reading) { readings = append(readings, r) }, func(err error) { problems = append(problems, err.Error()) })
		time.Sleep(2050 * time.Millisecond)
		file := filepath.Join(root, "sys/class/powercap/intel-rapl:1/energy_uj")
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		write(t, root, "sys/class/powercap/intel-rapl:1/energy_uj", "77")
		time.Sleep(2 * time.Second)
		w.Stop()
		if len(problems) != 2 || !strings.Contains(problems[0], "package-1 is not read any more") || !strings.Contains(problems[1], "package-1 is read again") {
			t.Errorf("%v", problems)
		}
		n, blank := map[string]int{}, 0
		for _, r := range readings {
			n[r.Source]++
			if math.IsNaN(r.CounterJ) {
				blank++
			}
		}
		if blank != 1 || n["rapl:package-0"] < 90 || n["rapl:package-1"] > 50 || n["rapl:package-1"] < 35 {
			t.Errorf("%d blank, %v", blank, n)
		}
	})
}

const dcmiText = `
    Instantaneous power reading:                   412 Watts
    Minimum during sampling period:                 10 Watts
    Maximum during sampling period:                900 Watts
    Average power reading over sample period:      400 Watts
    IPMI timestamp:                           Thu Nov 26 19:20:00 2026
    Sampling period:                          00000001 Seconds.
    Power reading state is:                   activated

`

func TestDCMI(t *testing.T) {
	if r, err := parseDCMI([]byte(dcmiText)); err != nil || r != (dcmiReading{412, 1000}) {
		t.Errorf("%+v, %v", r, err)
	}
	for _, bad := range []string{"", "Instantaneous power reading: lots", strings.Replace(dcmiText, "412", "0", 1), strings.Replace(dcmiText, "412", "999999", 1), strings.Replace(dcmiText, " activated", " deactivated", 1)} {
		if r, err := parseDCMI([]byte(bad)); err == nil {
			t.Errorf("%q reads %+v", bad, r)
		}
	}
	root := tree(t, map[string]string{"dev/ipmi0": "", "ipmitool": "#!/bin/sh\ncat <<'X'" + dcmiText + "X"})
	tool := filepath.Join(root, "ipmitool")
	if err := os.Chmod(tool, 0o755); err != nil {
		t.Fatal(err)
	}
	sources, problems := findDCMI(Options{Root: root, IPMITool: tool})
	if len(sources) != 1 || len(problems) != 0 {
		t.Fatalf("%v %v", ids(sources), problems)
	}
	if v, err := sources[0].read(); v != 412 || err != nil {
		t.Error(v, err)
	}
	write(t, root, "ipmitool", "#!/bin/sh\nexit 3")
	if _, problems := findDCMI(Options{Root: root, IPMITool: tool}); len(problems) != 1 || !strings.Contains(problems[0].What, "exit status 3") {
		t.Errorf("%v", problems)
	}
	t.Setenv("PATH", "")
	if _, problems := findDCMI(Options{Root: root}); len(problems) != 1 || problems[0].Remedy != "install ipmitool" {
		t.Errorf("%v", problems)
	}
}

func FuzzParseDCMI(f *testing.F) {
	f.Add([]byte(dcmiText))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := parseDCMI(text)
		if err == nil && !(r.watts > 0 && r.watts <= mostServerW && r.periodMS >= 0) {
			t.Errorf("%+v", r)
		}
	})
}
