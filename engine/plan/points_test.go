package plan

import (
	"strings"
	"testing"

	"jouletop/engine"
	"jouletop/gpu"
	"jouletop/workloads"
)

// Points of one id would be one point to whoever reads their requests; so many that they
// fill the memory are a slip. Both are refused before anything runs.
func TestPointsThatCannotBeToldApartOrHeldAreRefused(t *testing.T) {
	data := []Dataset{{Name: "d", Queries: []workloads.Query{{ID: "1"}}}, {Name: "e", Queries: []workloads.Query{{ID: "1"}}}}
	m, n := engine.ModelSpec{Name: "m", Path: "a/m.gguf"}, engine.ModelSpec{Name: "m", Path: "b/m.gguf"}
	info := gpu.Info{SMClocks: []int{1005, 1980}}
	for name, c := range map[string]struct {
		specs    []engine.ModelSpec
		settings []Setting
		repeats  int
		err      string
	}{
		"all different": {[]engine.ModelSpec{m}, []Setting{Fixed(1005), Fixed(1980)}, 3, ""},
		"one name":      {[]engine.ModelSpec{m, n}, []Setting{Fixed(1005)}, 1, "m.d.b1.c1005.r1 would run twice"},
		"one setting":   {[]engine.ModelSpec{m}, []Setting{ByPolicy("none"), ByPolicy("none")}, 1, "m.d.b1.r1 would run twice"},
		"too many":      {[]engine.ModelSpec{m}, []Setting{Fixed(1005), Fixed(1980)}, 100_000_000, "4 combinations, 100000000 times each"},
	} {
		o := Work{Batches: []int{1}, MaxTokens: 10, MaxSlowdown: "3%", Policy: "none"}
		pts, err := Points(&o, info, c.specs, data, c.settings, c.repeats)
		if c.err == "" && (err != nil || len(pts) != len(c.specs)*len(data)*len(c.settings)*c.repeats) {
			t.Errorf("%s: %d points, %v", name, len(pts), err)
		}
		if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %v, want %q", name, err, c.err)
		}
	}
}
