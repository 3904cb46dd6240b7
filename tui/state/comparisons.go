package state

import (
	"cmp"
	"math"
	"slices"

	"jouletop/engine/analysis/paired"
	"jouletop/engine/event"
)

// SettingName names a setting for a title.
func SettingName(s event.Policy) string {
	if s.Kind == event.NoPolicy {
		return "driver's clock"
	}
	return s.String()
}

// Bounds of what comparisons keep.
const (
	keepSettings = 64
	keepAnswers  = 50_000 // a query's of one repeat; those of old jobs go first
	keepBatches  = 64     // whose setting, or phases, are waited for
)

// Comparisons gathers what ran under each setting, so that two can be compared by the rule
// that recordings are compared by.
type Comparisons struct {
	Settings []event.Policy // in order of appearance
	Version  uint64
	sides    map[event.Policy]*paired.Side
	last     map[event.Policy]uint64 // the version at which it was last added to
	job      int                     // the one that runs, or ran last
	running  bool
	oldest   int // job that is kept
	batches  map[string]*comparedBatch
	order    []string // of batches
}

// session stands for the one that the sides are of.
const session = "this session"

// comparedBatch joins a batch's phases and its setting, of which either may come first.
type comparedBatch struct {
	setting event.Policy
	known   bool
	phases  []event.PhaseEnergy // that wait for the setting
}

func (c *Comparisons) reset() {
	*c = Comparisons{
		sides: map[event.Policy]*paired.Side{}, last: map[event.Policy]uint64{}, batches: map[string]*comparedBatch{},
		Version: c.Version + 1, oldest: 1,
	}
}

func (c *Comparisons) began() { c.job, c.running = c.job+1, true }

func (c *Comparisons) ended() {
	c.running = false
	c.Version++
}

// side is the setting's; nil where there are too many.
func (c *Comparisons) side(s event.Policy) *paired.Side {
	side := c.sides[s]
	if side == nil && len(c.Settings) < keepSettings {
		// All are of the one session, of which all else is the same.
		side = paired.NewSide(SettingName(s), session, paired.Facts{})
		c.sides[s] = side
		c.Settings = append(c.Settings, s)
	}
	return side
}

func (c *Comparisons) add(e event.RequestEnergy) {
	s := paired.Setting(e.Policy, e.RequestedSMMHz)
	if e.MixedClock && paired.Constant(s) && e.Err == "" {
		return // its clock was changed under it: it belongs to neither side
	}
	side := c.side(s)
	if side == nil || !c.room() {
		return
	}
	side.Add(c.job, &e, max(e.PointBatchSize, e.BatchSize))
	c.Version++
	c.last[s] = c.Version
}

// room makes room for one answer more, and tells whether there is some.
func (c *Comparisons) room() bool {
	for {
		size := 0
		for _, s := range c.sides {
			size += s.Size()
		}
		if size < keepAnswers {
			return true
		}
		if c.oldest >= c.job {
			return false
		}
		for _, s := range c.sides {
			s.Forget(c.oldest)
		}
		c.oldest++
	}
}

// point takes what a point is known by beside its requests.
func (c *Comparisons) point(e event.PointDone) {
	if side := c.sides[paired.Setting(e.Policy, e.RequestedSMMHz)]; side != nil {
		side.Point(c.job, &e)
		c.Version++
	}
}

// answered says which setting a batch ran under.
func (c *Comparisons) answered(r event.Request) {
	b := c.batch(r.BatchID)
	if b.known {
		return
	}
	b.setting, b.known = paired.Setting(r.Policy, r.RequestedSMMHz), true
	for _, e := range b.phases {
		c.addPhase(b.setting, e)
	}
	b.phases = nil
}

// phase takes a phase of a batch.
func (c *Comparisons) phase(e event.PhaseEnergy) {
	if b := c.batch(e.BatchID); b.known {
		c.addPhase(b.setting, e)
	} else if len(b.phases) < keepBatches {
		b.phases = append(b.phases, e)
	}
}

func (c *Comparisons) addPhase(s event.Policy, e event.PhaseEnergy) {
	if paired.Constant(s) && (e.MixedClock || s.MHz != e.RequestedSMMHz) {
		return // its clock was changed under it
	}
	if side := c.side(s); side != nil {
		side.AddPhase(c.job, e.Phase, paired.PhaseOf(&e))
		c.Version++
	}
}

// batch is the batch of that id; old ones are forgotten.
func (c *Comparisons) batch(id string) *comparedBatch {
	b := c.batches[id]
	if b == nil {
		if len(c.order) == keepBatches {
			delete(c.batches, c.order[0])
			c.order = slices.Delete(c.order, 0, 1)
		}
		b = &comparedBatch{}
		c.batches[id], c.order = b, append(c.order, id)
	}
	return b
}

// Compare compares b with a; soFar tells that both still run.
func (c *Comparisons) Compare(a, b event.Policy) (x paired.Comparison, soFar bool) {
	sideA, sideB := c.sides[a], c.sides[b]
	if sideA == nil || sideB == nil {
		return paired.Comparison{}, false
	}
	if c.running && paired.SharedJob(sideA, sideB) == c.job {
		return paired.SoFar(sideA, sideB), true
	}
	return paired.Against(sideA, sideB), false
}

// lookBack is how many settings are looked at for a pair: those that ran last.
const lookBack = 8

// MostShared returns the two of the newest settings that have answered most
// queries in common, the newest where equal; the higher clock, the baseline, first.
func (c *Comparisons) MostShared() (a, b event.Policy) {
	newest := slices.SortedFunc(slices.Values(c.Settings), func(x, y event.Policy) int { return cmp.Compare(c.last[x], c.last[y]) })
	newest = newest[max(len(newest)-lookBack, 0):]
	most := -1
	for i, x := range newest {
		for _, y := range newest[i+1:] {
			n, together := paired.Shared(c.sides[x], c.sides[y])
			if n > 0 && paired.Constant(x) != paired.Constant(y) {
				n += keepAnswers // a clock for each phase against one for all: what is asked most
			}
			if together {
				n += 2 * keepAnswers // in turns, of which the difference is known best
			}
			if n >= most {
				a, b, most = x, y, n
			}
		}
	}
	if baseline(b) > baseline(a) {
		a, b = b, a
	}
	return a, b
}

// baseline ranks a setting as the one to compare with: a clock for all phases
// before others, of clocks the higher, the driver's first.
func baseline(s event.Policy) int {
	switch {
	case s.Kind == event.NoPolicy:
		return math.MaxInt
	case paired.Constant(s):
		return s.MHz
	}
	return 0
}
