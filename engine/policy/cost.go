package policy

import (
	"math"

	"jouletop/engine/event"
)

// What a switch is taken to cost before one was seen. Setting locked clocks
// costs a few ms a call; a V100 settles about 20 ms later, others anywhere from
// a few to hundreds of ms (arXiv 2502.20075).
const (
	priorCallMS   = 4
	priorSettleMS = 20
)

// costModel knows what a switch between two clocks costs on this GPU.
type costModel struct {
	pair map[[2]int]mean // by from and to, in ms
	all  mean            // over all pairs: what an unseen pair is taken to cost
}

// mean is a running mean that forgets: the weight of a value halves about
// every eleven later ones.
type mean struct {
	value  float64
	weight float64
}

func (m *mean) add(x float64) {
	const keep = 0.94
	m.weight = keep*m.weight + 1
	m.value += (x - m.value) / m.weight
}

func newCostModel() *costModel { return &costModel{pair: map[[2]int]mean{}} }

// add learns from one switch; one that was not seen to settle teaches nothing.
func (c *costModel) add(from, to int, callMS, settleMS float64) {
	ms := callMS + settleMS
	if math.IsNaN(ms) || ms < 0 || from == to {
		return
	}
	m := c.pair[[2]int{from, to}]
	m.add(ms)
	c.pair[[2]int{from, to}] = m
	c.all.add(ms)
}

// seconds returns how long after the request for a switch the GPU runs at the
// new clock, and whether that was measured for this very pair.
func (c *costModel) seconds(from, to int) (s float64, measured bool) {
	if from == to {
		return 0, true
	}
	if m, ok := c.pair[[2]int{from, to}]; ok {
		return m.value / 1e3, true
	}
	if c.all.weight > 0 {
		return c.all.value / 1e3, false
	}
	return (priorCallMS + priorSettleMS) / 1e3, false
}

// lengthModel predicts how long a phase takes. For one kind of phase, batch
// size and clock, time is taken as a + b·tokens and fitted by least squares
// that forgets slowly.
type lengthModel struct {
	fits map[phaseKey]*line
	// made is the share of the tokens allowed that a phase really had: decode
	// may end early.
	made map[kindKey]*mean
}

type kindKey struct {
	phase event.Phase
	batch int
}

type phaseKey struct {
	kindKey
	mhz int
}

func newLengthModel() *lengthModel {
	return &lengthModel{fits: map[phaseKey]*line{}, made: map[kindKey]*mean{}}
}

// add learns from a phase that ended; allowed is what its start announced.
func (l *lengthModel) add(p event.PhaseSpan, allowed int) {
	if p.EndNS <= p.StartNS || p.Tokens <= 0 {
		return
	}
	kind := kindKey{p.Phase, p.BatchSize}
	key := phaseKey{kind, p.RequestedSMMHz}
	if l.fits[key] == nil {
		l.fits[key] = &line{}
	}
	l.fits[key].add(float64(p.Tokens), float64(p.EndNS-p.StartNS)/1e9)
	if allowed > 0 {
		if l.made[kind] == nil {
			l.made[kind] = &mean{}
		}
		l.made[kind].add(float64(p.Tokens) / float64(allowed))
	}
}

// fit returns what is known of a kind of phase at a clock, and the factor by
// which to shorten it: a clock not seen yet is judged by the nearest one seen,
// at worst as if time went with 1/clock.
func (l *lengthModel) fit(kind kindKey, mhz int) (*line, float64) {
	if f := l.fits[phaseKey{kind, mhz}]; f != nil {
		return f, 1
	}
	var best *line
	bestMHz := 0
	for k, f := range l.fits {
		// The second condition makes the choice independent of the map's order.
		d, bd := abs(k.mhz-mhz), abs(bestMHz-mhz)
		if k.kindKey == kind && (best == nil || d < bd || d == bd && k.mhz > bestMHz) {
			best, bestMHz = f, k.mhz
		}
	}
	if best == nil || bestMHz == 0 || mhz == 0 {
		return best, 1
	}
	return best, math.Min(1, float64(bestMHz)/float64(mhz))
}

// seconds predicts how long a phase will take at a clock; NaN where nothing
// like it has been seen. tokens is what its start announces.
func (l *lengthModel) seconds(kind kindKey, tokens, mhz int) float64 {
	f, factor := l.fit(kind, mhz)
	if f == nil {
		return math.NaN()
	}
	n := float64(tokens)
	if m := l.made[kind]; m != nil {
		n *= m.value
	}
	return factor * f.at(n)
}

// tokens returns how many tokens a phase must have to last s seconds; NaN where
// that isn't known.
func (l *lengthModel) tokens(kind kindKey, s float64, mhz int) float64 {
	f, factor := l.fit(kind, mhz)
	if f == nil {
		return math.NaN()
	}
	a, b := f.coefficients()
	if b <= 0 {
		return math.NaN()
	}
	return math.Max(0, (s/factor-a)/b)
}

// line fits y = a + b·x with both coefficients at least 0.
type line struct{ w, x, y, xx, xy float64 }

func (f *line) add(x, y float64) {
	const keep = 0.98 // a run's last 50 phases count most
	f.w = keep*f.w + 1
	f.x = keep*f.x + x
	f.y = keep*f.y + y
	f.xx = keep*f.xx + x*x
	f.xy = keep*f.xy + x*y
}

func (f *line) coefficients() (a, b float64) {
	mx, my := f.x/f.w, f.y/f.w
	vx := f.xx/f.w - mx*mx
	// With (almost) one x the slope is unknown: the line through the origin.
	if vx < 1e-4*mx*mx {
		return 0, my / mx
	}
	b = (f.xy/f.w - mx*my) / vx
	a = my - b*mx
	switch {
	case b < 0:
		return my, 0
	case a < 0:
		return 0, f.xy / f.xx
	}
	return a, b
}

func (f *line) at(x float64) float64 {
	a, b := f.coefficients()
	return a + b*x
}

func abs(x int) int {
	if x < 0 {
		return -x
	}
	return x
}
