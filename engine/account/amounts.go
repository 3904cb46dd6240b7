package account

import (
	"math"

	"jouletop/engine/event"
	"jouletop/engine/serving"
	"jouletop/gpu/energy"
)

// passKinds are the kinds of pass as amounts and costs number them.
var passKinds = [2]string{decodePass, prefillPass}

func kindOf(p energy.Phase) int {
	if p.Kind == prefillPass {
		return 1
	}
	return 0
}

// aloneIn is how many evaluations of a pass were for one token alone.
func aloneIn(it event.IterationSpan) int {
	if it.PrefillTokens > 0 {
		return 0
	}
	if it.DecodeRequests == 1 {
		return max(it.Evaluations, 1)
	}
	return min(it.Alone, it.Evaluations)
}

// evaluationsOf is which load an evaluation is that a pass had for one of its members.
func evaluationsOf(p energy.Phase) int {
	switch {
	case p.Loads[loadAlone] > 0:
		return loadAlone
	case p.Loads[loadWide] > 0:
		return loadWide
	}
	return loadPasses
}

// evaluation is which load an evaluation for so many decodes alone is.
func evaluation(decodes int) int {
	switch {
	case decodes == 1:
		return loadAlone
	case decodes > fewTokens:
		return loadWide
	}
	return loadPasses
}

// loadsOf are a member's own.
func loadsOf(p energy.Phase, m event.IterationMember) energy.Loads {
	l := energy.Loads{loadKV: float64(m.Known)}
	l[evaluationsOf(p)] = m.Evaluations
	if m.Prefill {
		l[loadPrefill] = float64(m.Fresh)
	} else {
		l[loadDecode] = 1
	}
	return l
}

// loadsOfPass are a pass's loads and its kind.
func loadsOfPass(p serving.Pass) (energy.Loads, int) {
	l := energy.Loads{loadPasses: 1, loadPrefill: float64(p.PrefillTokens()), loadDecode: float64(p.Decodes()), loadKV: float64(p.KVTokens())}
	if l[loadPrefill] > 0 {
		return l, 1
	}
	l[loadPasses] = 0
	l[evaluation(p.Decodes())] = 1
	return l, 0
}

// evaluated are passes of one kind together: how many, and their loads.
type evaluated [howMany + 1]float64

// The last of evaluated is how many passes; the others are their loads.
const howMany = len(energy.Loads{})

func (e *evaluated) add(l energy.Loads, n float64) {
	for j, x := range l {
		e[j] += x
	}
	e[howMany] += n
}

// amounts are passes of each kind.
type amounts [2]evaluated

// add adds b so many times.
func (a *amounts) add(b amounts, times float64) {
	for k := range a {
		for j := range a[k] {
			a[k][j] += times * b[k][j]
		}
	}
}

// costs are what passes of each kind cost.
type costs [2]energy.Cost

// known tells whether anything is known of passes of a kind.
func (c *costs) known(k int) bool { return c[k].Base > 0 || c[k].PerUnit != energy.Loads{} }

// idleW is what pauses draw, in W.
func (c *costs) idleW() float64 { return max(c[0].IdleW, c[1].IdleW) }

// joules are what amounts cost, in J.
func (c *costs) joules(a amounts) (j float64) {
	for k := range a {
		j += c[k].Base*a[k][howMany] + dot(c[k].PerUnit, a[k])
	}
	return j
}

// seconds is how long amounts take.
func (c *costs) seconds(a amounts) (s float64) {
	for k := range a {
		s += c[k].BaseS*a[k][howMany] + dot(c[k].Seconds, a[k])
	}
	return s
}

// unit is what a unit of a load, or a pass, costs beyond an idle GPU in the time that it
// takes, in J.
func (c *costs) unit(k, i int) float64 {
	if i == howMany {
		return c[k].Base - c.idleW()*c[k].BaseS
	}
	return c[k].PerUnit[i] - c.idleW()*c[k].Seconds[i]
}

// without is the pass that there would be without one of the members of a pass of all
// loads, of the k-th kind; false where that is a pass of the same kind less the member's
// own loads, or where too little is known. Without the only prompt in it a pass is one of
// decodes; without one of two, one for a token alone; without its only member, none.
// Of a pass of several evaluations, whose each was is known as far as its own say.
func (c *costs) without(all energy.Loads, k int, own energy.Loads) (rest amounts, other bool) {
	evaluations := func(l energy.Loads) float64 { return l[loadPasses] + l[loadAlone] + l[loadWide] }
	if evaluations(all) != 1 || evaluations(own) > 0 {
		return rest, false
	}
	left, of := all, k
	for j := range left {
		left[j] = max(left[j]-own[j], 0)
	}
	if left[loadPrefill]+left[loadDecode] == 0 {
		return rest, true
	}
	if left[loadPrefill] == 0 {
		of = 0
	}
	if of == 0 {
		left[loadPasses], left[loadAlone], left[loadWide] = 0, 0, 0
		if e := evaluation(int(left[loadDecode])); c[of].PerUnit[e] > 0 {
			left[e] = 1
		} else {
			left[loadPasses] = 1
		}
	}
	rest[of].add(left, 1)
	return rest, (of != k || left[loadAlone] != all[loadAlone] || left[loadWide] != all[loadWide]) && c.known(of)
}

// added is what there is more in a pass than in the one that there would be without one of
// its members.
func (c *costs) added(all energy.Loads, k int, own energy.Loads) (a amounts) {
	rest, other := c.without(all, k, own)
	if !other {
		a[k].add(own, 0)
		return a
	}
	a[k].add(all, 1)
	a.add(rest, -1)
	return a
}

// bent is by how many J amounts may be off as what passes draw is not proportional to
// their loads. Of evaluations there is one in each whole pass: nothing to be proportional to.
func (c *costs) bent(k int, x evaluated) (j float64) {
	for i, unit := range c[k].PerUnit {
		if evaluates(i) && x[howMany] != 0 {
			continue
		}
		j += unit * x[i]
	}
	return c[k].Unexplained * j
}

// evaluates tells whether a load is evaluations of the model.
func evaluates(load int) bool { return load == loadPasses || load == loadAlone || load == loadWide }

// quadratic is the standard deviation of a sum of amounts.
func quadratic(cov [howMany + 1][howMany + 1]float64, x evaluated) float64 {
	v := 0.0
	for i := range x {
		for j := range x {
			v += x[i] * x[j] * cov[i][j]
		}
	}
	return math.Sqrt(max(v, 0))
}

func product(x, y energy.Loads) (s float64) {
	for i := range x {
		s += x[i] * y[i]
	}
	return s
}

// dot is product where how many passes there are does not count.
func dot(x energy.Loads, y evaluated) (s float64) {
	for i := range x {
		s += x[i] * y[i]
	}
	return s
}
