package plan

import (
	"slices"
	"strconv"
	"strings"

	"jouletop/engine/usage"
	"jouletop/gpu"
)

// paperClocks are the seven SM clocks of the study, MHz (arXiv 2501.08219,
// section IV-B).
var paperClocks = []int{180, 487, 960, 1500, 2000, 2505, 2842}

// ParseClocks reads --clocks: a list, MIN:MAX:COUNT, all, or paper. The result
// is ascending, without repetitions, and supported by the GPU. Of MIN:MAX:COUNT
// the nearest supported clocks are taken.
func ParseClocks(text string, info gpu.Info) ([]int, error) {
	if len(info.SMClocks) == 0 {
		return nil, usage.Errorf("--clocks: this GPU lists no clocks that can be set")
	}
	var out []int
	switch {
	case text == "":
		return spread(info, info.MinSM(), info.MaxSM(), 7), nil
	case text == "all":
		return slices.Clone(info.SMClocks), nil
	case text == "paper":
		out = slices.Clone(paperClocks)
	case strings.Contains(text, ":"):
		return clockRange(text, info)
	default:
		for part := range strings.SplitSeq(text, ",") {
			mhz, err := strconv.Atoi(strings.TrimSpace(part))
			if err != nil {
				return nil, usage.Errorf("--clocks %q: %q is not a clock in MHz", text, part)
			}
			out = append(out, mhz)
		}
	}
	for _, mhz := range out {
		if err := info.CheckSMClock(mhz); err != nil {
			return nil, usage.Errorf("--clocks %s: %w", text, err)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func clockRange(text string, info gpu.Info) ([]int, error) {
	parts := strings.Split(text, ":")
	var v [3]int
	if len(parts) != len(v) {
		return nil, usage.Errorf("--clocks %q: want MIN:MAX:COUNT", text)
	}
	for i, p := range parts {
		n, err := strconv.Atoi(strings.TrimSpace(p))
		if err != nil {
			return nil, usage.Errorf("--clocks %q: %q is not a whole number", text, p)
		}
		v[i] = n
	}
	lo, hi, n := v[0], v[1], v[2]
	switch {
	case lo > hi:
		return nil, usage.Errorf("--clocks %s: %d is above %d", text, lo, hi)
	case n < 1 || n > 10000:
		return nil, usage.Errorf("--clocks %s: the count must be 1 to 10000", text)
	case hi < info.MinSM() || lo > info.MaxSM():
		return nil, usage.Errorf("--clocks %s: this GPU has %d to %d MHz", text, info.MinSM(), info.MaxSM())
	}
	return spread(info, lo, hi, n), nil
}

// spread returns the supported clocks nearest to n values evenly spread from lo
// to hi.
func spread(info gpu.Info, lo, hi, n int) []int {
	var out []int
	for i := range n {
		want := hi
		if n > 1 {
			want = lo + (hi-lo)*i/(n-1)
		}
		out = append(out, gpu.NearestClock(info.SMClocks, want))
	}
	slices.Sort(out)
	return slices.Compact(out)
}
