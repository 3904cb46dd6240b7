package plan

import (
	"slices"
	"strings"
	"testing"

	"jouletop/engine"
	"jouletop/engine/event"
	"jouletop/gpu"
	"jouletop/workloads"
)

func TestSettleDrafts(t *testing.T) {
	for name, c := range map[string]struct {
		sweeps []string
		depths []int
		drafts bool
		want   []int
		rest   []string
		err    string
	}{
		"nothing":             {},
		"the usual":           {drafts: true},
		"a list":              {depths: []int{8, 0, 4, 4}, drafts: true, want: []int{0, 4, 8}},
		"an axis":             {sweeps: []string{"sm=all", "draft=0,2,8"}, drafts: true, want: []int{0, 2, 8}, rest: []string{"sm=all"}},
		"a range":             {sweeps: []string{"draft=0:8:5"}, drafts: true, want: []int{0, 2, 4, 6, 8}},
		"a range of few":      {sweeps: []string{"draft=1:2:5"}, drafts: true, want: []int{1, 2}},
		"one":                 {sweeps: []string{"draft=3:7:1"}, drafts: true, want: []int{7}},
		"nothing drafts":      {depths: []int{4}, err: "nothing drafts"},
		"nothing drafts axis": {sweeps: []string{"draft=4"}, err: "nothing drafts"},
		"twice":               {sweeps: []string{"draft=4"}, depths: []int{2}, drafts: true, err: "given twice"},
		"too deep":            {depths: []int{33}, drafts: true, err: "--draft-depth 33"},
		"negative":            {depths: []int{-1}, drafts: true, err: "--draft-depth -1"},
		"no number":           {sweeps: []string{"draft=a"}, drafts: true, err: `"a" is not a number`},
		"two of three":        {sweeps: []string{"draft=1:2"}, drafts: true, err: "want MIN:MAX:COUNT"},
		"beyond":              {sweeps: []string{"draft=1:200000000:3"}, drafts: true, err: "at most 32"},
	} {
		o := Work{Sweeps: c.sweeps, DraftDepths: c.depths}
		err := o.SettleDrafts(c.drafts)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want %q", name, err, c.err)
			}
			continue
		}
		if err != nil || !slices.Equal(o.DraftDepths, c.want) || !slices.Equal(o.Sweeps, c.rest) {
			t.Errorf("%s: %v, depths %v, other knobs %v", name, err, o.DraftDepths, o.Sweeps)
		}
	}
}

// Each depth is a point of its own, with a name of its own; a model without a drafter has
// one.
func TestPointsOfDraftDepths(t *testing.T) {
	o := Work{Batches: []int{1}, MaxTokens: 10, MaxSlowdown: "3%", Policy: "none"}
	data := []Dataset{{Name: "d", Queries: []workloads.Query{{ID: "1"}}}}
	spec := engine.ModelSpec{Name: "m", Drafter: engine.Drafter{Name: "self"}}
	info := gpu.Info{SMClocks: []int{1005, 1980}}
	points := func(spec engine.ModelSpec) (list []event.Drafting, ids []string) {
		t.Helper()
		pts, err := Points(&o, info, []engine.ModelSpec{spec}, data, []Setting{ByPolicy("none")}, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pts {
			list, ids = append(list, p.Drafting), append(ids, p.PointID)
		}
		return list, ids
	}
	if got, _ := points(spec); !slices.Equal(got, []event.Drafting{{Draft: "self", DraftDepth: 4}}) {
		t.Errorf("by default %v", got)
	}
	o.DraftDepths = []int{0, 6}
	got, ids := points(spec)
	if !slices.Equal(got, []event.Drafting{{Draft: "self"}, {Draft: "self", DraftDepth: 6}}) || ids[0] == ids[1] || ids[1] != "m.d.b1.self-d6.r1" {
		t.Errorf("%v, %v", got, ids)
	}
	if got, ids := points(engine.ModelSpec{Name: "m"}); !slices.Equal(got, []event.Drafting{{}}) || ids[0] != "m.d.b1.r1" {
		t.Errorf("without a drafter %v, %v", got, ids)
	}
}
