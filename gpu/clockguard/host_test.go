package clockguard

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"jouletop/gpu"
	"jouletop/gpu/host"
)

// The service reads for its users what only root may, and goes on setting clocks beside.
func TestServiceReadsHostCounters(t *testing.T) {
	root := t.TempDir()
	write := func(zone, file, content string) {
		dir := filepath.Join(root, "sys/class/powercap", zone)
		if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, file), []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	const zones = 60 // more than one answer holds
	for i := range zones {
		zone := fmt.Sprintf("intel-rapl:%d", i)
		write(zone, "name", fmt.Sprintf("package-%d", i))
		write(zone, "energy_uj", fmt.Sprint(1000+i))
		write(zone, "max_energy_range_uj", "262143328850")
	}
	t.Setenv("JOULETOP_HOST_ROOT", root)
	s := serve(t)
	c := HostCounters(s.socket)
	got, err := c.Read()
	if err != nil || len(got) != zones {
		t.Fatalf("%d counters, %v", len(got), err)
	}
	for _, x := range got {
		var n uint64
		if _, err := fmt.Sscanf(x.Domain, "package-%d", &n); err != nil || x.Energy != 1000+n || x.Range != 262143328850 || x.Zone != fmt.Sprintf("intel-rapl:%d", n) {
			t.Errorf("%+v", x)
		}
	}
	// Setting clocks is none of its business.
	r := c.(*hostReader)
	if a, err := func() (reply, error) { r.seq++; return r.ask(zones) }(); err != nil || a.text != "" || a.value != 0 {
		t.Errorf("beyond the last: %+v, %v", a, err)
	}
	owner := s.client(t, Bounds{})
	if err := errors.Join(owner.Arm(true), owner.Close()); err != nil {
		t.Error(err)
	}

	if err := os.RemoveAll(filepath.Join(root, "sys")); err != nil {
		t.Fatal(err)
	}
	for range 50 { // what was read a moment ago may be told again
		if _, err = c.Read(); err != nil {
			break
		}
	}
	if err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("counters that are gone: %v", err)
	}
}

func TestHostCountersOfNobody(t *testing.T) {
	c := HostCounters(filepath.Join(t.TempDir(), "nobody.sock"))
	if got, err := c.Read(); err == nil {
		t.Error(got)
	}
	if _, err := c.Read(); err == nil { // told again, not tried again
		t.Error("no error")
	}
}

// A reader that wants something else gets nothing else.
func TestAReaderSetsNoClock(t *testing.T) {
	h := hostCounters{now: monotonic, read: func() ([]host.Counter, error) { return nil, gpu.ErrNoPermission }}
	if a := h.answer(order{op: opHost, seq: 4}); !errors.Is(a.err(), gpu.ErrNoPermission) || a.seq != 4 {
		t.Errorf("%+v", a)
	}
	t.Setenv("JOULETOP_HOST_ROOT", t.TempDir())
	s := serve(t)
	c := HostCounters(s.socket).(*hostReader)
	if err := c.connect(); err != nil {
		t.Fatal(err)
	}
	defer c.shut()
	if _, err := c.ask(0); err == nil {
		t.Error("counters of a machine without")
	}
	s.expectLog(t, "reading host counters")
}

func FuzzParseCounters(f *testing.F) {
	f.Add("intel-rapl:0\tpackage-0\t262143328850\t17\n")
	f.Add("\t\t\t")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseCounters(text)
		for _, c := range got {
			if err == nil && (c.Zone == "" || c.Domain == "") {
				t.Errorf("%+v", c)
			}
		}
	})
}
