package llama

import (
	"strings"
	"testing"
)

func TestParseCPUMax(t *testing.T) {
	for _, c := range []struct {
		in    string
		cores int
		ok    bool
	}{{"max 100000", 0, false}, {"200000 100000", 2, true}, {"50000 100000", 1, true}, {"250000 100000", 3, true}, {"", 0, false}, {"1 0", 0, false}} {
		if n, ok := parseCPUMax(c.in); n != c.cores || ok != c.ok {
			t.Errorf("%q: %d %v", c.in, n, ok)
		}
	}
}

func TestMachine(t *testing.T) {
	if n := Cores(); n < 1 {
		t.Errorf("%d cores", n)
	}
	if m, ok := availableMemory(); !ok || m < 1<<20 {
		t.Errorf("%d bytes of memory, %v", m, ok)
	}
}

func TestBuildWarning(t *testing.T) {
	for _, c := range []struct {
		features  []string
		optimised bool
		avx2      bool
		want      string
	}{
		{[]string{"AVX", "AVX2"}, true, true, ""},
		{[]string{"AVX"}, true, false, ""},
		{[]string{"AVX"}, true, true, "AVX2"},
		{[]string{"AVX2"}, false, true, "optimisation"},
	} {
		if got := buildWarning(c.features, c.optimised, c.avx2); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

func TestLog(t *testing.T) {
	var w strings.Builder
	var s logSink
	s.setWriter(&w)
	s.add(2, "load: a")
	s.add(levelCont, ".")
	s.add(levelCont, ".\n")
	s.add(levelError, "load: bad\nfile: x\n")
	s.add(2, "f: no end")
	if got := s.firstError("none"); got != "bad" {
		t.Errorf("first error %q", got)
	}
	if got := w.String(); got != "load: a..\nload: bad\nfile: x\nf: no end\n" {
		t.Errorf("log %q", got)
	}
	s.mark()
	if got := s.firstError("none"); got != "none" {
		t.Errorf("after mark %q", got)
	}
	for range 2 * keptLines {
		s.add(levelError, "x\n")
	}
	if len(s.errors) != keptLines {
		t.Errorf("%d errors kept", len(s.errors))
	}
}
