// Package plan makes of flags or forms what a run is to do: it reads datasets and
// clock lists, lays out the grid of points, names and shuffles them, and routes queries
// to models.
package plan

import (
	"slices"
	"strconv"
	"strings"

	"jouletop/engine/usage"
	"jouletop/gpu"
)

// Work says what to run: queries, batches, clocks.
type Work struct {
	Datasets  []string // NAME=FILE, FILE or NAME; none is all built-in ones
	Queries   int      // of each dataset, 0 for all
	Batches   []int
	Repeats   int
	Lenient   bool // skip malformed rows
	MaxTokens int
	Chat      bool // wrap prompts in the model's chat template
	// DraftDepths are how many tokens are drafted at a time, of each in turn; none is the
	// usual depth.
	DraftDepths []int

	Policy      string   // as --policy takes it
	MaxSlowdown string   // as --max-slowdown takes it: 3%, 0.03
	Clocks      string   // as --clocks takes them
	Sweeps      []string // as --sweep takes them, a knob each
	Blocks      bool     // also repeat each phase back to back
	Until       string   // as --until takes it: 2%; "": not

	Route      string // rule, model, a file; "" none
	RouteFrom  []string
	RouteAlone bool // without the baseline

	// Knobs lists what can be set of the GPU; see policy.Options.
	Knobs func() []gpu.Knob
}

// Limits of a plan: what is beyond is a slip, and would fill the memory before anything ran.
const (
	mostQueries = 1_000_000 // of a dataset
	mostPoints  = 100_000
)

// Check finds what is wrong with the work taken alone.
func (o *Work) Check() error {
	for i, b := range o.Batches {
		if b < 1 || b > 4096 {
			return usage.Errorf("--batch %d: want 1 to 4096", b)
		}
		if slices.Contains(o.Batches[:i], b) {
			return usage.Errorf("--batch %d: it is given twice; --repeats runs all of it more than once", b)
		}
	}
	if len(o.Batches) == 0 {
		return usage.Errorf("--batch: no batch size")
	}
	if o.Queries < 0 {
		return usage.Errorf("--queries %d: want 0 (all) or more", o.Queries)
	}
	if o.Queries > mostQueries {
		return usage.Errorf("--queries %d: want at most %d", o.Queries, mostQueries)
	}
	if o.MaxTokens < 1 {
		return usage.Errorf("--max-tokens %d: want 1 or more", o.MaxTokens)
	}
	_, err := o.Slowdown()
	return err
}

// Slowdown reads --max-slowdown, as [Share] does.
func (o *Work) Slowdown() (float64, error) { return Share("--max-slowdown", o.MaxSlowdown) }

// Share reads a flag's percentage as a share: "3%" and "0.03" are the same. A bare
// number of 1 or more could be either.
func Share(flag, of string) (float64, error) {
	text, percent := strings.CutSuffix(of, "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	switch {
	case err != nil || !(v >= 0):
		return 0, usage.Errorf("%s %q: want a percentage such as 3%%", flag, of)
	case !percent && v >= 1:
		return 0, usage.Errorf("%s %s: percent or a share? Say %g%%, or %g", flag, of, v, v/100)
	case percent:
		v /= 100
	}
	if v > 10 {
		return 0, usage.Errorf("%s %s: more than 1000%% is no bound", flag, of)
	}
	return v, nil
}
