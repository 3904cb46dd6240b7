package compare

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"jouletop/engine/event"
	"jouletop/gpu/plaintext"
)

// mismatches are the reasons for which a and b are not the same but for their setting.
func mismatches(a, b *Side) []string {
	var out []string
	for _, side := range []*Side{a, b} {
		for _, p := range side.parts[min(1, len(side.parts)):] {
			for _, m := range mismatches(side.parts[0], p) {
				out = append(out, "within "+plaintext.Line(side.Name)+", "+m)
			}
		}
	}
	differ := func(what, of, than string) {
		if of != than {
			out = append(out, fmt.Sprintf("%s: %s against %s", what, cmp.Or(plaintext.Line(of), "none"), cmp.Or(plaintext.Line(than), "none")))
		}
	}
	differ("measured or not", cmp.Or(a.simulated(), "measured"), cmp.Or(b.simulated(), "measured"))
	differ("device", a.device(), b.device())
	differ("backend", a.manifest.Backend, b.manifest.Backend)
	differ("model", a.models(), b.models())
	differ("dataset", a.datasets(), b.datasets())
	differ("batch size", a.batches(), b.batches())
	out = append(out, workload(a, b)...)
	differ("sensor", a.method(), b.method())
	if x, y := a.throttle > throttled, b.throttle > throttled; x || y {
		out = append(out, fmt.Sprintf("throttling: a limit held the clock down for %s of the time against %s", percent(a.throttle), percent(b.throttle)))
	}
	if x, y := a.spoilt(), b.spoilt(); x != "" || y != "" {
		out = append(out, fmt.Sprintf("flags: %s against %s", cmp.Or(plaintext.Line(string(x)), "none"), cmp.Or(plaintext.Line(string(y)), "none")))
	}
	if a.failed > 0 || b.failed > 0 {
		out = append(out, fmt.Sprintf("failures: %s against %d", plaintext.Plural(a.failed, "failed request"), b.failed))
	}
	return out
}

// throttled is from what share of the time on, in percent, a point counts as throttled.
const throttled = 1

func percent(v float64) string {
	if math.IsNaN(v) {
		return "an unknown share"
	}
	return fmt.Sprintf("%.3g %%", v)
}

// harmless are flags of rows that can be compared all the same: queries whose energy is
// not resolved are left out by themselves, the rest is said of both sides or of what was
// left out of the readings.
var harmless = []event.Flag{
	event.FlagEnergyUnresolved, event.FlagFailedRequests, event.FlagThrottled, event.FlagNoAnswer,
	event.FlagSensorImplausible, event.FlagSensorZero, event.FlagSensorOutvoted, event.FlagRetried,
}

// spoilt are the flags for which a side is not what it says, or not known well.
func (s *Side) spoilt() event.Flags { return s.flags.Without(harmless...) }

// device is what ran, and under which limit.
func (s *Side) device() string {
	var out []string
	for _, g := range s.manifest.GPUs {
		if !s.gpus[g.ID] && len(s.gpus) > 0 {
			continue
		}
		text := g.Name + " " + g.ID
		if g.PowerLimitW > 0 {
			text += fmt.Sprintf(" %.0f W", g.PowerLimitW)
		}
		out = append(out, text)
	}
	if len(out) == 0 {
		out = slices.Sorted(maps.Keys(s.gpus))
	}
	return strings.Join(out, ", ")
}

// models are the models that ran, by their content where it is known.
func (s *Side) models() string {
	used := map[string]bool{}
	for q := range s.runs {
		used[q.model] = true
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(used)) {
		text := name
		for _, m := range s.manifest.Models {
			if m.Name == name {
				text = strings.TrimSpace(fmt.Sprintf("%s %s %.12s on %s", name, m.Quantisation, m.SHA256, strings.Join(m.Devices, "+")))
			}
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

func (s *Side) datasets() string {
	used := map[string]bool{}
	for q := range s.runs {
		used[q.dataset] = true
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(used)) {
		for _, d := range s.manifest.Datasets {
			if d.Name == name && d.SHA256 != "" {
				name += fmt.Sprintf(" %.12s", d.SHA256)
				break
			}
		}
		out = append(out, name)
	}
	return strings.Join(out, ", ")
}

func (s *Side) batches() string {
	used := map[int]bool{}
	for q := range s.runs {
		used[q.batch] = true
	}
	var out []string
	for _, n := range slices.Sorted(maps.Keys(used)) {
		out = append(out, fmt.Sprint(n))
	}
	return strings.Join(out, ", ")
}

// tokensMay is by how much, as a share, tokens of the same queries may differ: a text
// that a rounding ends a token earlier, not another text.
const tokensMay = 0.005

// workload compares which queries ran, and how many tokens they had.
func workload(a, b *Side) []string {
	var out []string
	of, than := paired(a, b)
	both := common(of, than)
	if len(both) < len(a.runs) || len(both) < len(b.runs) {
		out = append(out, fmt.Sprintf("workload: %d queries against %d, of which %d are the same", len(a.runs), len(b.runs), len(both)))
	}
	var in, other, generated, outputs float64
	for _, q := range both {
		x, y := mean(of[q]), mean(than[q])
		in, other, generated, outputs = in+x.in, other+y.in, generated+x.out, outputs+y.out
	}
	for _, t := range []struct {
		what string
		a, b float64
	}{{"input", in, other}, {"output", generated, outputs}} {
		if math.Abs(t.a-t.b) > tokensMay*max(t.a, t.b) {
			out = append(out, fmt.Sprintf("tokens: %.0f %s tokens against %.0f over the same queries", t.a, t.what, t.b))
		}
	}
	return out
}

// common are the queries of both, in an order of their own.
func common(a, b map[query]map[int][]figures) []query {
	var out []query
	for q := range a {
		if b[q] != nil {
			out = append(out, q)
		}
	}
	slices.SortFunc(out, func(x, y query) int {
		return cmp.Or(cmp.Compare(x.model, y.model), cmp.Compare(x.dataset, y.dataset), cmp.Compare(x.id, y.id), x.batch-y.batch)
	})
	return out
}

// mean is a query's mean over its repeats; what is unknown in one is left out.
func mean(repeats map[int][]figures) figures {
	var out figures
	for _, f := range fields {
		sum, n := 0.0, 0.0
		for _, of := range repeats {
			for _, r := range of {
				if v := *f(&r); !math.IsNaN(v) && !math.IsInf(v, 0) {
					sum, n = sum+v, n+1
				}
			}
		}
		*f(&out) = sum / n // NaN of none
	}
	return out
}

// fields are a request's figures one by one.
var fields = []func(*figures) *float64{
	func(f *figures) *float64 { return &f.joules }, func(f *figures) *float64 { return &f.latency },
	func(f *figures) *float64 { return &f.ttft }, func(f *figures) *float64 { return &f.prefill },
	func(f *figures) *float64 { return &f.decode }, func(f *figures) *float64 { return &f.quality },
	func(f *figures) *float64 { return &f.in }, func(f *figures) *float64 { return &f.out },
}
