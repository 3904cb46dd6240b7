package event

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"jouletop/gpu"
)

// ErrPolicy: a policy that cannot be read.
var ErrPolicy = errors.New("unknown policy")

// PolicyForms names the policies for a usage message.
const PolicyForms = "none, fixed:MHZ, fixed:KNOB=VALUE[,...], phase:PREFILL/DECODE[/SCORE], phase:sm=PREFILL/DECODE[/SCORE][,KNOB=VALUE...], min-energy[:KNOB,...], min-edp[:KNOB,...], phase:min-energy, phase:min-edp"

// PolicyKind tells policies apart.
type PolicyKind int

// The kinds of policies.
const (
	NoPolicy     PolicyKind = iota // the clock is the driver's
	FixedClock                     // one clock for all phases
	ClockByPhase                   // one for each
	MinEnergy                      // the clock of least energy is searched for
	MinEDP                         // that of least energy × delay
	OtherPolicy                    // none that this program knows, in a file
	FixedKnobs                     // one setting for all phases, of other knobs than the SM clock too
)

// Policy says what chooses the SM clock, and other knobs. As text, in --policy and in the
// policy columns, it is one of PolicyForms.
type Policy struct {
	Kind   PolicyKind
	MHz    int         // of FixedClock, and of FixedKnobs, where 0 leaves it to the driver
	Clocks PhaseClocks // of ClockByPhase
	// Knobs are the other knobs of FixedKnobs and ClockByPhase, for all phases.
	Knobs gpu.Setting
	// Searched has a bit (1 << knob) for each knob that MinEnergy and MinEDP search; 0 is
	// the SM clock alone.
	Searched uint8
	// ByPhase: MinEnergy and MinEDP search for the clock of what follows prefill, which
	// keeps the highest.
	ByPhase bool
	other   string
}

// PhaseClocks are the SM clocks of the phases, in MHz; 0 leaves a phase to the driver.
type PhaseClocks struct{ Prefill, Decode, Score int }

// Of returns the clock for a phase and whether that phase has one. Requests in
// different phases at once (mixed) get the highest of all, so that none slows.
func (c PhaseClocks) Of(p Phase) (int, bool) {
	switch p.Decoding() {
	case Prefill:
		return c.Prefill, true
	case Decode:
		return c.Decode, true
	case Score:
		return c.Score, true
	case Mixed:
		return max(c.Prefill, c.Decode, c.Score), true
	}
	return 0, false
}

// String is "1980/1005", with "/SCORE" where that differs from prefill's.
func (c PhaseClocks) String() string {
	text := fmt.Sprintf("%d/%d", c.Prefill, c.Decode)
	if c.Score != c.Prefill {
		text += fmt.Sprintf("/%d", c.Score)
	}
	return text
}

// Searches tells whether the policy finds its clock itself, from energies.
func (p Policy) Searches() bool { return p.Kind == MinEnergy || p.Kind == MinEDP }

// Switches tells whether phases run at clocks of their own.
func (p Policy) Switches() bool { return p.Kind == ClockByPhase || p.ByPhase }

func (p Policy) String() string {
	text := ""
	switch p.Kind {
	case NoPolicy:
		return "none"
	case FixedClock:
		return fmt.Sprintf("fixed:%d", p.MHz)
	case FixedKnobs:
		return "fixed:" + p.Setting().String()
	case ClockByPhase:
		if p.Knobs != (gpu.Setting{}) {
			return "phase:sm=" + p.Clocks.String() + "," + p.Knobs.String()
		}
		return "phase:" + p.Clocks.String()
	case MinEnergy:
		text = "min-energy"
	case MinEDP:
		text = "min-edp"
	default:
		return p.other
	}
	if p.ByPhase {
		text = "phase:" + text
	}
	if searched := p.SearchedKnobs(); len(searched) > 1 || p.Searched > 1 {
		names := make([]string, len(searched))
		for i, k := range searched {
			names[i] = k.String()
		}
		text += ":" + strings.Join(names, ",")
	}
	return text
}

// Setting is what the policy sets for all phases alike.
func (p Policy) Setting() gpu.Setting { return p.Knobs.With(gpu.KnobSM, p.MHz) }

// SearchedKnobs are those that a policy searches; none where it does not.
func (p Policy) SearchedKnobs() []gpu.KnobID {
	if !p.Searches() {
		return nil
	}
	if p.Searched == 0 {
		return []gpu.KnobID{gpu.KnobSM}
	}
	return slices.DeleteFunc(gpu.KnobIDs(), func(k gpu.KnobID) bool { return p.Searched&(1<<k) == 0 })
}

// PolicyOf reads a policy column; "" is none, and what cannot be read OtherPolicy.
func PolicyOf(text string) Policy {
	if text == "" {
		return Policy{}
	}
	p, err := ParsePolicy(text)
	if err != nil {
		return Policy{Kind: OtherPolicy, other: text}
	}
	return p
}

// ParsePolicy reads a policy as --policy takes it; whether a GPU has its clocks is left
// open. Errors wrap ErrPolicy.
func ParsePolicy(spec string) (Policy, error) {
	unknown := fmt.Errorf("%w %q: want one of %s", ErrPolicy, spec, PolicyForms)
	searching := func(name string) (Policy, bool) {
		for _, kind := range []PolicyKind{MinEnergy, MinEDP} {
			if p := (Policy{Kind: kind}); p.String() == name {
				return p, true
			}
		}
		return Policy{}, false
	}
	kind, arg, has := strings.Cut(spec, ":")
	if p, ok := searching(kind); ok {
		return p.searching(spec, arg, has)
	}
	switch {
	case kind == "none" && !has:
		return Policy{}, nil
	case kind != "fixed" && kind != "phase", !has:
		return Policy{}, unknown
	}
	if p, ok := searching(arg); ok && kind == "phase" {
		p.ByPhase = true
		return p, nil
	}
	if strings.Contains(arg, "=") {
		return knobPolicy(spec, kind, arg)
	}
	return clockPolicy(spec, kind, arg, unknown)
}

// searching reads which knobs a policy searches.
func (p Policy) searching(spec, list string, given bool) (Policy, error) {
	if !given {
		return p, nil
	}
	for name := range strings.SplitSeq(list, ",") {
		var k gpu.KnobID
		if err := k.UnmarshalText([]byte(strings.TrimSpace(name))); err != nil {
			return Policy{}, fmt.Errorf("%w %q: %w", ErrPolicy, spec, err)
		}
		if k == gpu.KnobProfile {
			return Policy{}, fmt.Errorf("%w %q: workload power profiles are no scale to search on; fixed:profile=N sets one", ErrPolicy, spec)
		}
		if p.Searched&(1<<k) != 0 {
			return Policy{}, fmt.Errorf("%w %q: %s is given twice", ErrPolicy, spec, k)
		}
		p.Searched |= 1 << k
	}
	if p.Searched == 1<<gpu.KnobSM {
		p.Searched = 0
	}
	return p, nil
}

// knobPolicy reads a fixed or phase policy that names its knobs.
func knobPolicy(spec, kind, arg string) (Policy, error) {
	clocks, rest := "", []string{}
	for part := range strings.SplitSeq(arg, ",") {
		name, value, _ := strings.Cut(part, "=")
		if strings.TrimSpace(name) == gpu.KnobSM.String() {
			switch {
			case clocks != "":
				return Policy{}, fmt.Errorf("%w %q: sm is given twice", ErrPolicy, spec)
			case strings.TrimSpace(value) == "":
				return Policy{}, fmt.Errorf("%w %q: sm has no clock", ErrPolicy, spec)
			}
			clocks = value
			continue
		}
		if kind == "phase" && strings.Contains(value, "/") {
			return Policy{}, fmt.Errorf("%w %q: only the SM clock is set by phase; give %s one value", ErrPolicy, spec, name)
		}
		rest = append(rest, part)
	}
	var p Policy
	if len(rest) > 0 {
		var err error
		if p.Knobs, err = gpu.ParseSetting(strings.Join(rest, ",")); err != nil {
			return Policy{}, fmt.Errorf("%w %q: %w", ErrPolicy, spec, err)
		}
	}
	if clocks == "" && kind == "phase" {
		return Policy{}, fmt.Errorf("%w %q: it names no SM clocks; want phase:sm=PREFILL/DECODE,KNOB=VALUE", ErrPolicy, spec)
	}
	if clocks != "" {
		of, err := clockPolicy(spec, kind, clocks, fmt.Errorf("%w %q: want one of %s", ErrPolicy, spec, PolicyForms))
		if err != nil {
			return Policy{}, err
		}
		p.Kind, p.MHz, p.Clocks = of.Kind, of.MHz, of.Clocks
	}
	if kind == "fixed" && p.Knobs != (gpu.Setting{}) {
		p.Kind = FixedKnobs
	}
	return p, nil
}

// clockPolicy reads the SM clocks of a fixed or phase policy.
func clockPolicy(spec, kind, arg string, unknown error) (Policy, error) {
	parts := strings.Split(arg, "/")
	if n := len(parts); kind == "fixed" && n != 1 || kind == "phase" && n != 2 && n != 3 {
		return Policy{}, unknown
	}
	var clocks []int
	for _, part := range parts {
		mhz, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil {
			return Policy{}, fmt.Errorf("%w %q: %q is not a clock in MHz", ErrPolicy, spec, part)
		}
		clocks = append(clocks, mhz)
	}
	switch {
	case kind == "fixed":
		return Policy{Kind: FixedClock, MHz: clocks[0]}, nil
	case !slices.ContainsFunc(clocks, func(mhz int) bool { return mhz != 0 }):
		return Policy{}, fmt.Errorf("%w %q: no phase has a clock; none is the policy for that", ErrPolicy, spec)
	}
	p := Policy{Kind: ClockByPhase, Clocks: PhaseClocks{clocks[0], clocks[1], clocks[0]}}
	if len(clocks) == 3 {
		p.Clocks.Score = clocks[2]
	}
	return p, nil
}
