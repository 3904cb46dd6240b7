package plan

import (
	"slices"
	"strconv"
	"strings"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/engine/usage"
)

// usualDepth is how many tokens are drafted at a time unless it is said.
const usualDepth = 4

// draftAxis is how a sweep names the depth, which is the engine's knob and no GPU's.
const draftAxis = "draft"

// SettleDrafts takes --sweep draft=DEPTHS out of the other knobs, and checks the depths.
// drafts tells whether something is to draft.
func (o *Work) SettleDrafts(drafts bool) error {
	var rest []string
	for _, text := range o.Sweeps {
		name, list, _ := strings.Cut(text, "=")
		if strings.TrimSpace(name) != draftAxis {
			rest = append(rest, text)
			continue
		}
		if len(o.DraftDepths) > 0 {
			return usage.Errorf("--sweep %s: the depths are given twice", text)
		}
		var err error
		if o.DraftDepths, err = parseDepths("--sweep "+text, list); err != nil {
			return err
		}
	}
	o.Sweeps = rest
	if len(o.DraftDepths) > 0 && !drafts {
		return usage.Errorf("a draft depth, and nothing drafts: give --draft-model or --draft %s", event.DraftNGram)
	}
	for _, d := range o.DraftDepths {
		if d < 0 || d > event.MaxDraftDepth {
			return usage.Errorf("--draft-depth %d: want 0 (decode plainly) to %d tokens", d, event.MaxDraftDepth)
		}
	}
	slices.Sort(o.DraftDepths)
	o.DraftDepths = slices.Compact(o.DraftDepths)
	return nil
}

// parseDepths reads a list, or MIN:MAX:COUNT.
func parseDepths(flag, list string) ([]int, error) {
	if !strings.Contains(list, ":") {
		var out []int
		for part := range strings.SplitSeq(list, ",") {
			n, err := strconv.Atoi(strings.TrimSpace(part))
			if err != nil {
				return nil, usage.Errorf("%s: %q is not a number of tokens", flag, part)
			}
			out = append(out, n)
		}
		return out, nil
	}
	v, err := threeNumbers(flag, list)
	if err != nil {
		return nil, err
	}
	lo, hi, n := v[0], v[1], v[2]
	if hi > event.MaxDraftDepth {
		return nil, usage.Errorf("%s: want at most %d tokens", flag, event.MaxDraftDepth)
	}
	var out []int
	for i := range n {
		d := hi
		if n > 1 {
			d = lo + (2*(hi-lo)*i+n-1)/(2*(n-1)) // to the nearest
		}
		out = append(out, d)
	}
	return out, nil
}

// Drafting is how tokens are drafted for a model where one way is wanted: the deepest.
func (o *Work) Drafting(spec engine.ModelSpec) event.Drafting {
	all := o.drafting(spec)
	return all[len(all)-1]
}

// drafting are the depths at which a model's drafter is to work; none of one that has no
// drafter.
func (o *Work) drafting(spec engine.ModelSpec) []event.Drafting {
	if spec.Drafter.Name == "" {
		return []event.Drafting{{}}
	}
	depths := o.DraftDepths
	if len(depths) == 0 {
		depths = []int{usualDepth}
	}
	var out []event.Drafting
	for _, d := range depths {
		out = append(out, event.Drafting{Draft: spec.Drafter.Name, DraftDepth: d})
	}
	return out
}
