package energy

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
	"time"

	"jouletop/gpu"
)

// Faults is a set of what was wrong with a GPU's power sources.
type Faults uint16

// The faults. What a fault concerns is no evidence, but for a contradiction, of
// which nobody can say who is right.
const (
	// FaultImplausible: readings that no board can draw, or that are no numbers.
	FaultImplausible Faults = 1 << iota
	// FaultZero: readings of 0 W, which no GPU draws that answers.
	FaultZero
	// FaultStep: an energy counter that went back, or on by more than a board draws.
	FaultStep
	// FaultGap: a source told nothing for longer than it takes.
	FaultGap
	// FaultStill: a polled value that never changed, with nothing to compare it to.
	FaultStill
	// FaultOutvoted: a source that contradicted others that agree.
	FaultOutvoted
	// FaultContradiction: sources that contradict each other, none in the majority.
	FaultContradiction
	faultsEnd
)

// Each calls f for each fault of the set.
func (s Faults) Each(f func(Faults)) {
	for one := Faults(1); one < faultsEnd; one <<= 1 {
		if s&one != 0 {
			f(one)
		}
	}
}

// Finding is a fault that a person should hear of.
type Finding struct {
	Source   string // gpu.Source…
	Fault    Faults // one
	From, To int64  // ns
	Text     string // a sentence: what was seen, and what is done about it
	over     bool
}

// Late tells whether energies of the time before the finding may have been stated by
// the source, as if it were right.
func (f Finding) Late() bool {
	return !f.over && f.Fault&(FaultOutvoted|FaultContradiction|FaultStill) != 0
}

// faultSpan is a time that one fault of one source touched.
type faultSpan struct {
	fault    Faults
	from, to int64
}

// faultLog keeps which faults touched what time, and what is still to be told.
type faultLog struct {
	spans  []faultSpan // in the order of their beginnings, nearly
	tell   []Finding
	spells []*spell
	gaps   []gap // to be told together, with others that ended soon after
}

// gap is a time that a source told nothing.
type gap struct {
	source   string
	from, to int64
}

// spell is a fault that goes on: it is told when it begins and when it has ended.
type spell struct {
	source string
	fault  Faults
	span   int // the newest, in spans; -1 none
	last   int64
	count  int
	told   bool
}

const (
	// joined is how close, in ns, two of a kind lie to count as one span.
	joined = int64(2 * time.Second)
	// quiet is how long, in ns, a fault must not have been seen to be over.
	quiet = int64(30 * time.Second)
)

// spell returns the fault's of a source.
func (l *faultLog) spell(source string, fault Faults) *spell {
	for _, s := range l.spells {
		if s.source == source && s.fault == fault {
			return s
		}
	}
	s := &spell{source: source, fault: fault, span: -1, last: math.MinInt64}
	l.spells = append(l.spells, s)
	return s
}

// note books a fault of a source over a time; text says what was seen, after the
// source's name.
func (l *faultLog) note(source string, fault Faults, from, to int64, text func() string) {
	s := l.book(source, fault, from, to)
	if !s.told {
		s.told = true
		l.tell = append(l.tell, Finding{Source: source, Fault: fault, From: from, To: to, Text: wordOf(source) + " " + text()})
	}
}

// noteGap books a gap.
func (l *faultLog) noteGap(source string, from, to int64) {
	l.book(source, FaultGap, from, to)
	l.gaps = append(l.gaps, gap{source, from, to})
}

// tellGaps tells of gaps that ended a while before now.
func (l *faultLog) tellGaps(now int64) {
	if len(l.gaps) == 0 || now-l.gaps[0].to < int64(3*time.Second) {
		return
	}
	var names []string
	f := Finding{Source: l.gaps[0].source, Fault: FaultGap, From: l.gaps[0].from, To: l.gaps[0].to}
	longest := int64(0)
	for _, g := range l.gaps {
		if word := wordOf(g.source); !slices.Contains(names, word) {
			names = append(names, word)
		}
		f.From, f.To, longest = min(f.From, g.from), max(f.To, g.to), max(longest, g.to-g.from)
	}
	f.Text = fmt.Sprintf("%s told nothing for %.1f s", strings.Join(names, ", "), float64(longest)/1e9)
	l.tell, l.gaps = append(l.tell, f), l.gaps[:0]
}

// book notes that a fault of a source touched a time.
func (l *faultLog) book(source string, fault Faults, from, to int64) *spell {
	s := l.spell(source, fault)
	s.count++
	if s.span >= 0 && from-l.spans[s.span].to <= joined {
		sp := &l.spans[s.span]
		sp.from, sp.to = min(sp.from, from), max(sp.to, to)
	} else {
		s.span = len(l.spans)
		l.spans = append(l.spans, faultSpan{fault, from, to})
	}
	s.last = max(s.last, to)
	return s
}

// over tells of spells that have ended by time now.
func (l *faultLog) over(now int64) {
	for _, s := range l.spells {
		if !s.told || now-s.last < quiet {
			continue
		}
		l.tell = append(l.tell, Finding{Source: s.source, Fault: s.fault, From: s.last, To: now, over: true,
			Text: fmt.Sprintf("%s has been well for %d s, after %s", wordOf(s.source), quiet/1e9, s.fault.many(s.count))})
		s.told, s.count = false, 0
	}
}

// many words how often a fault was seen.
func (s Faults) many(n int) string {
	what := [...]string{"reading that no board can draw", "reading of 0 W", "step", "gap", "value that stood still", "contradiction", "contradiction"}
	word := what[min(bits.TrailingZeros16(uint16(s)), len(what)-1)]
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d × %s", n, word)
}

// touching returns the faults that touched start to end.
func (l *faultLog) touching(start, end int64) (all Faults) {
	for i := len(l.spans) - 1; i >= 0; i-- {
		if s := &l.spans[i]; s.from < end && s.to > start {
			all |= s.fault
		}
	}
	return all
}

// prune forgets what was over before t.
func (l *faultLog) prune(t int64) {
	n := 0
	for n < len(l.spans) && l.spans[n].to < t {
		n++
	}
	if n < 64 {
		return
	}
	l.spans = append(l.spans[:0], l.spans[n:]...)
	for _, s := range l.spells {
		s.span = max(s.span-n, -1)
	}
}

// take returns what is to be told and forgets it.
func (l *faultLog) take() []Finding {
	out := l.tell
	l.tell = nil
	return out
}

// wordOf names a source in a sentence.
func wordOf(source string) string {
	switch source {
	case gpu.SourceBuffer:
		return "the sample buffer"
	case gpu.SourceCounter:
		return "the energy counter"
	}
	return "the " + source + " power"
}
