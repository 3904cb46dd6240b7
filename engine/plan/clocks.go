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
	return parseClocks("--clocks ", text, info)
}

// parseClocks is ParseClocks for the flag that the text stands after.
func parseClocks(flag, text string, info gpu.Info) ([]int, error) {
	if len(info.SMClocks) == 0 {
		return nil, usage.Errorf("%s: this GPU lists no clocks that can be set", strings.TrimRight(flag, " ="))
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
		return clockRange(flag, text, info)
	default:
		for part := range strings.SplitSeq(text, ",") {
			mhz, err := strconv.Atoi(strings.TrimSpace(part))
			if err != nil {
				return nil, usage.Errorf("%s%q: %q is not a clock in MHz", flag, text, part)
			}
			out = append(out, mhz)
		}
	}
	for _, mhz := range out {
		if err := info.CheckSMClock(mhz); err != nil {
			return nil, usage.Errorf("%s%s: %w", flag, text, err)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func clockRange(flag, text string, info gpu.Info) ([]int, error) {
	v, err := threeNumbers(flag+text, text)
	if err != nil {
		return nil, err
	}
	lo, hi, n := v[0], v[1], v[2]
	if hi < info.MinSM() || lo > info.MaxSM() {
		return nil, usage.Errorf("%s%s: this GPU has %d to %d MHz", flag, text, info.MinSM(), info.MaxSM())
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
