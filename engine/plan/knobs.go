package plan

import (
	"slices"
	"strconv"
	"strings"

	"jouletop/engine/usage"
	"jouletop/gpu"
)

// Axis is a knob of a sweep and the values that it goes through, in its unit for people:
// MHz, W, a set of profiles.
type Axis struct {
	Knob   gpu.KnobID
	Values []int
}

// String is as --sweep takes it.
func (a Axis) String() string {
	texts := make([]string, len(a.Values))
	for i, v := range a.Values {
		_, texts[i], _ = strings.Cut(gpu.Setting{}.With(a.Knob, v).String(), "=")
	}
	return a.Knob.String() + "=" + strings.Join(texts, ",")
}

// ParseAxes reads what a sweep goes through: --sweep, one knob each, and --clocks for the
// SM clock, seven over the range where no knob is named at all.
func ParseAxes(clocks string, sweeps []string, info gpu.Info, knobs func() []gpu.Knob) ([]Axis, error) {
	var axes []Axis
	for _, text := range sweeps {
		name, list, found := strings.Cut(text, "=")
		var k gpu.KnobID
		if err := k.UnmarshalText([]byte(strings.TrimSpace(name))); err != nil || !found {
			return nil, usage.Errorf("--sweep %s: want KNOB=VALUES with the knob sm, mem, power or profile", text)
		}
		if slices.ContainsFunc(axes, func(a Axis) bool { return a.Knob == k }) {
			return nil, usage.Errorf("--sweep %s: %s is given twice", text, k)
		}
		a := Axis{Knob: k}
		var err error
		if k == gpu.KnobSM {
			if clocks != "" {
				return nil, usage.Errorf("--sweep %s and --clocks %s: give one", text, clocks)
			}
			if strings.TrimSpace(list) == "" {
				return nil, usage.Errorf("--sweep %s: no clock; give a list, MIN:MAX:COUNT or all", text)
			}
			a.Values, err = parseClocks("--sweep sm=", list, info)
		} else {
			a.Values, err = axisValues(text, list, k, knobs)
		}
		if err != nil {
			return nil, err
		}
		axes = append(axes, a)
	}
	if clocks != "" || len(axes) == 0 {
		values, err := ParseClocks(clocks, info)
		if err != nil {
			return nil, err
		}
		axes = append(axes, Axis{gpu.KnobSM, values})
	}
	slices.SortFunc(axes, func(a, b Axis) int { return int(a.Knob) - int(b.Knob) })
	return axes, nil
}

// axisValues reads the values of another knob than the SM clock: a list, MIN:MAX:COUNT,
// or all, where the GPU lists them.
func axisValues(text, list string, id gpu.KnobID, knobs func() []gpu.Knob) ([]int, error) {
	k := gpu.NewKnob(id, "this GPU does not have it")
	if knobs != nil {
		for _, have := range knobs() {
			if have.ID == id {
				k = have
			}
		}
	}
	if k.Unavailable != "" {
		return nil, usage.Errorf("--sweep %s: the %s cannot be set: %s", text, id.Title(), k.Unavailable)
	}
	unit := 1
	if id == gpu.KnobPower {
		unit = 1000
	}
	var out []int
	switch {
	case list == "all" && len(k.Values) == 0:
		return nil, usage.Errorf("--sweep %s: the %s takes every value from %s; give a list or MIN:MAX:COUNT", text, id.Title(), k.Range())
	case list == "all":
		return slices.Clone(k.Values), nil
	case strings.Contains(list, ":"):
		v, err := threeNumbers("--sweep "+text, list)
		if err != nil {
			return nil, err
		}
		lo, hi, n := v[0], v[1], v[2]
		if len(k.Values) > 0 && (hi < k.Min || lo > k.Max) {
			return nil, usage.Errorf("--sweep %s: this GPU has %s", text, k.Range())
		}
		for i := range n {
			at := hi
			if n > 1 {
				at = lo + (hi-lo)*i/(n-1)
			}
			if len(k.Values) > 0 {
				at = gpu.NearestClock(k.Values, at)
			}
			out = append(out, at)
		}
	default:
		for part := range strings.SplitSeq(list, ",") {
			v, err := gpu.ParseKnobValue(id, part)
			if err != nil {
				return nil, usage.Errorf("--sweep %s: %w", text, err)
			}
			out = append(out, v)
		}
	}
	for _, v := range out {
		if err := k.Check(v * unit); err != nil {
			return nil, usage.Errorf("--sweep %s: %w", text, err)
		}
		if v == 0 {
			return nil, usage.Errorf("--sweep %s: 0 leaves the knob to the driver, which is no setting of it", text)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// mostNumber keeps what is worked out of MIN:MAX:COUNT, in mW too, from wrapping around.
const mostNumber = 1e12

// threeNumbers reads MIN:MAX:COUNT.
func threeNumbers(flag, text string) (v [3]int, err error) {
	parts := strings.Split(text, ":")
	if len(parts) != len(v) {
		return v, usage.Errorf("%s: want MIN:MAX:COUNT", flag)
	}
	for i, p := range parts {
		if v[i], err = strconv.Atoi(strings.TrimSpace(p)); err != nil {
			return v, usage.Errorf("%s: %q is not a whole number", flag, p)
		}
		if v[i] < 0 || v[i] > mostNumber {
			return v, usage.Errorf("%s: %d is no value of anything here", flag, v[i])
		}
	}
	switch {
	case v[0] > v[1]:
		return v, usage.Errorf("%s: %d is above %d", flag, v[0], v[1])
	case v[2] < 1 || v[2] > 10000:
		return v, usage.Errorf("%s: the count must be 1 to 10000", flag)
	}
	return v, nil
}

// Settings are all combinations of the axes' values, the first knob's changing last.
func Settings(axes []Axis) []Setting {
	all := []gpu.Setting{{}}
	for _, a := range axes {
		var next []gpu.Setting
		for _, s := range all {
			for _, v := range a.Values {
				next = append(next, s.With(a.Knob, v))
			}
		}
		all = next
	}
	var out []Setting
	for _, s := range all {
		out = append(out, FixedKnobs(s))
	}
	return out
}

// SMClocks are the axes' SM clocks, MHz; nil where it is left to the driver.
func SMClocks(axes []Axis) []int {
	for _, a := range axes {
		if a.Knob == gpu.KnobSM {
			return a.Values
		}
	}
	return nil
}
