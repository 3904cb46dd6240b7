package event

import (
	"maps"
	"slices"
	"strings"
)

// Flag is one reason to look twice at a row, in a word.
type Flag string

// The flags. Each has its meaning in FlagMeanings.
const (
	// Of a point.
	FlagFailedRequests Flag = "failed-requests"
	FlagUnfinished     Flag = "unfinished"
	FlagBackendDied    Flag = "backend-died"

	// Of a command that was watched.
	FlagCommandFailed Flag = "command-failed"

	// Of the clock.
	FlagThrottled    Flag = "throttled"
	FlagClockOff     Flag = "clock-off"
	FlagClockLost    Flag = "clock-lost"
	FlagClockRefused Flag = "clock-refused"

	// Of the energy.
	FlagEnergyUnresolved Flag = "energy-unresolved"
	FlagGPUUnused        Flag = "gpu-unused"

	// Of what a server gave.
	FlagCachedTokens     Flag = "cached-tokens"
	FlagHiddenTokens     Flag = "hidden-tokens"
	FlagBufferedStream   Flag = "buffered-stream"
	FlagCountDoubtful    Flag = "count-doubtful"
	FlagMaxTokensIgnored Flag = "max-tokens-ignored"
	FlagCutShort         Flag = "cut-short"
	FlagNotGreedy        Flag = "not-greedy"
	FlagRetried          Flag = "retried"
	FlagEndDoubtful      Flag = "end-doubtful"
	FlagBatchApart       Flag = "batch-apart"
	FlagStalled          Flag = "stalled"
	FlagOtherModel       Flag = "other-model"

	// Of a server's passes.
	FlagPassesObserved Flag = "passes-observed"
	FlagPassesDoubtful Flag = "passes-doubtful"

	// Of the quality.
	FlagNoAnswer Flag = "no-answer"

	// Of the power sources.
	FlagSensorImplausible Flag = "sensor-implausible"
	FlagSensorZero        Flag = "sensor-zero"
	FlagSensorStill       Flag = "sensor-still"
	FlagSensorOutvoted    Flag = "sensor-outvoted"
	FlagSensorsDisagree   Flag = "sensors-disagree"
	FlagCounterStep       Flag = "counter-step"
	FlagReadingsGap       Flag = "readings-gap"
)

// FlagMeanings says what each flag means, for people: it stands in every
// session's manifest.
var FlagMeanings = map[Flag]string{
	FlagFailedRequests:   "some of the point's requests failed; means are over the others",
	FlagUnfinished:       "the run ended before all of the point's queries had run; means are over those that had",
	FlagBackendDied:      "the inference process ended or hung meanwhile: what ran in it is lost, and a sweep that is resumed runs the point again",
	FlagCommandFailed:    "the command ended with a status other than 0, or by a signal: what it did may be a part of what it was to do",
	FlagThrottled:        "a power or thermal limit held the clock down for more than 1 % of the time",
	FlagClockOff:         "the mean SM clock was more than one step away from the requested one, the mean memory clock more than 3 %, or the power limit in force 1 W or more",
	FlagClockLost:        "the clock, or another knob, asked for was given back or taken away meanwhile, or may have been: it was not in force all the time",
	FlagClockRefused:     "the clock, or another knob, asked for could not be set, or is not known to have been: the driver's, or another, was in force",
	FlagEnergyUnresolved: "the sensors do not tell the energy to within 15 %; energy_err_j is a bound on it",
	FlagGPUUnused:        "the model ran on the CPU, or no kernel ran on the GPU: the energy is what the GPU drew meanwhile, not what the model took",
	FlagCachedTokens:     "the server had part of the prompt, or all of the answer, in a cache and did not compute it: the joules are too few",
	FlagHiddenTokens:     "the server generated tokens that it did not show (reasoning): when the prefill ended is unknown, but for the server's own word",
	FlagBufferedStream:   "the text came several tokens at a time, in bursts or all at once: when the prefill ended is unknown",
	FlagCountDoubtful:    "the server gave no token counts, or counts that cannot be: they are counted or concluded from what came, or unknown",
	FlagMaxTokensIgnored: "more tokens were generated than were asked for",
	FlagCutShort:         "the server ended the text for its length before max_tokens were generated: it has a limit of its own",
	FlagNotGreedy:        "the server refuses temperature 0: the text is sampled, and differs from run to run",
	FlagRetried:          "the request was turned away at first and sent again; its figures are those of the try that was accepted",
	FlagBatchApart:       "the batch's requests did not run together: some began late, for the server did not take them at first, had them wait until others had ended, or this machine was too busy to send them; it is no batch of its size",
	FlagStalled:          "the text stood still for a while in its middle, at the server or on its way: that time is in the joules",
	FlagOtherModel:       "the server says that another model answered than was asked for, or than before: another name of it, or a stand-in",
	FlagEndDoubtful:      "the stream ended without saying why (no finish_reason): the text may be cut",
	FlagPassesObserved:   "which passes the server made is concluded from when its tokens came and from what it says, not known: the request's share of the energy goes by them, and its interval is wider for it",
	FlagPassesDoubtful:   "what the server's passes held is not known (texts that came in bursts, tokens that nobody saw, others' requests on the server, or a server that contradicts itself): no energy is stated for single requests",
	FlagNoAnswer:         "no option had the highest log-likelihood alone: the question counts as not answered, and is in no quality",

	FlagSensorImplausible: "a power source gave values that no board can draw; they were left out",
	FlagSensorZero:        "a power source read 0 W, which no GPU draws that answers; it was left out",
	FlagSensorStill:       "the only power source stood still, and nothing says that it was not stuck; it was left out",
	FlagSensorOutvoted:    "a power source contradicted others that agree; it was left out",
	FlagSensorsDisagree:   "power sources contradict each other and none is in the majority; the energy holds both or is not stated",
	FlagCounterStep:       "the energy counter stepped back, or on by more than a board draws; the time around it was left out",
	FlagReadingsGap:       "a power source told nothing for a part of the time (GPU lost, driver hung, machine too busy)",
}

// AllFlags lists the flags there are, in order.
func AllFlags() []Flag { return slices.Sorted(maps.Keys(FlagMeanings)) }

// Flags is a set of flags as it stands in the flags columns: sorted, joined by
// "+". The zero value is none. Flags of newer programs are kept as they are.
type Flags string

// FlagsOf returns the set of these flags.
func FlagsOf(flags ...Flag) Flags { return Flags("").With(flags...) }

// List returns the flags in order.
func (f Flags) List() []Flag {
	if f == "" {
		return nil
	}
	var out []Flag
	for s := range strings.SplitSeq(string(f), "+") {
		out = append(out, Flag(s))
	}
	return out
}

// Has tells whether f holds any of these flags.
func (f Flags) Has(any ...Flag) bool {
	return slices.ContainsFunc(f.List(), func(x Flag) bool { return slices.Contains(any, x) })
}

// With returns f and these flags.
func (f Flags) With(flags ...Flag) Flags {
	all := append(f.List(), flags...)
	slices.Sort(all)
	var b strings.Builder
	for i, x := range slices.Compact(all) {
		if x == "" {
			continue
		}
		if i > 0 && b.Len() > 0 {
			b.WriteByte('+')
		}
		b.WriteString(string(x))
	}
	return Flags(b.String())
}

// Spoils tells whether a point is of no use for the clock it asked for.
func (f Flags) Spoils() bool {
	return f.Has(FlagThrottled, FlagClockOff, FlagUnfinished, FlagCommandFailed) || f.ClockFailed()
}

// OfClock returns those of f for which ClockFailed is true.
func (f Flags) OfClock() Flags {
	var out Flags
	for _, x := range f.List() {
		if Flags(x).ClockFailed() {
			out = out.With(x)
		}
	}
	return out
}

// ClockFailed tells whether the clock asked for was not in force all the time: a
// sweep that is resumed runs such a point again.
func (f Flags) ClockFailed() bool { return f.Has(FlagClockLost, FlagClockRefused) }

// Without returns f less these flags.
func (f Flags) Without(flags ...Flag) Flags {
	return FlagsOf(slices.DeleteFunc(f.List(), func(x Flag) bool { return slices.Contains(flags, x) })...)
}

// Union returns f and g.
func (f Flags) Union(g Flags) Flags {
	if g == "" || f == g {
		return f
	}
	return f.With(g.List()...)
}
