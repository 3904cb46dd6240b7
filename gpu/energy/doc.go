// Package energy says what a window of time, a request or a phase cost in
// joules on a GPU, and how far off that may be.
//
// Feed a [Meter] the readings of a GPU's power sources and the phases that ran;
// ask it for the energy of a [Meter.Window] or of a phase ([Meter.PhaseEnergy]),
// and for the power of each kind of phase ([Meter.Powers]). Every answer is an
// [Estimate]: joules, the half-width of a 95 % interval, and the method.
//
// # How
//
// No sensor of a GPU is fast enough for one phase of one request (7 to 120 ms
// against 20 to 100 ms), and each delays and averages what it tells. So a
// reading is taken for what it is: the mean power over its own averaging window
// (a bin), which ended a lag before its time stamp. The power itself is
// modelled as
//
//	p(t) = θ[kind] + context + start + loads + drift(t) + u[phase]
//
// with one mean power θ for each kind of phase: model, what it is, batch size,
// requested clock, and whether a limit held the clock down ([Key]). What is known of
// one kind is a vague hint for a kind never seen. To θ comes what the power of a kind
// does with the logarithm of the tokens it attends to, how far it is off in the first
// 5 ms after a pause, while the host launches the work, what the phase's loads add (a
// phase of a model that serves has evaluations, tokens and sequences in it: see
// [Loads]), a slow drift that all kinds
// share (the card warms up), and a deviation u that one phase keeps while it lasts. All
// but u are found by least squares of the bins on the phases' shares in them. A window
// is then the best linear unbiased prediction of ∫p given the bins in and around it:
// where bins lie wholly inside, that is plain integration; where a bin straddles a
// boundary, its energy is split by what is known of either side; where a phase is
// shorter than a bin, it tends to regression. (Robinson, "That BLUP is a good thing",
// Statistical Science 6(1), 1991; Rasmussen and Williams, "Gaussian Processes for
// Machine Learning", 2006, ch. 2.) A point's energy is that of its busy time taken
// together ([Meter.Busy]).
//
// # What is assumed, and how it is checked
//
//   - What bins of one phase scatter is the sensor's noise: an H100's buffer samples a
//     rippling power rather than integrating it. Each reading is predicted from those
//     around it, and the noise of each kind of phase scaled until 95 % lie inside their
//     interval, as the run goes on; [Meter.Check] tells how many do.
//   - Phases of one kind that did the same work draw the same power to within 5 %,
//     of unequal work 8 %, where none is long enough to show it; where some are, their
//     own bins tell (analysis of variance), and a phase of more than three periods is
//     told by its own bins whatever others did.
//   - Boundaries are where they were stamped, and readings late by one lag. It is found
//     where work ends and a pause follows, for power falls there at once, while at its
//     beginning it waits for the host; else from all boundaries, with the doubt that
//     leaves. What another lag would have said is part of every interval.
//   - A gap of less than 3 ms draws idle power and a fifth of what work draws above it,
//     give or take as much again: no sensor tells. The doubt is part of the intervals of
//     the phases beside it.
//   - Phases that lasted much longer than others with as many tokens (the first of their
//     shape, while kernels are loaded) say nothing of their kind and are left out of
//     the fit.
//
// What is resolved (known to within 15 %) is decided by what the energy was expected to
// be, not by the estimate itself, for those that came out high would pass more easily.
// The interval of θ is robust to unequal scatter (each residual divided by one less
// its leverage: MacKinnon and White, J. Econometrics 29, 1985) and to neighbouring
// bins that resemble each other (Newey and West, Econometrica 55(3), 1987). For the
// power of a kind as such ([Meter.Powers]) it takes in how phases of that kind differ
// with their length, and that one after a pause draws less than one in a steady block.
//
// # What is believed of the sources
//
// Nothing a driver says is taken for evidence unchecked. What is assumed of a source,
// and how that is checked while it runs:
//
//   - A reading is what the board drew: no more than 1.5 times its power limit (the
//     highest that can be set), twice that for less than 100 ms, 5 kW where the limit
//     is unknown, and more than nothing: a GPU that answers its driver draws power.
//     What is not so is left out ([FaultImplausible], [FaultZero]).
//   - The counter counts on. A value that does not follow from the one before waits for
//     the next, which tells whether it was that value that was wrong
//     ([FaultImplausible]) or the counter has stepped ([FaultStep]): then nothing is
//     concluded across the step.
//   - Readings come as often as the source is renewed. Where they have not for three
//     periods and the averaging window, nothing is made of the gap but what the counter
//     counted over all of it ([FaultGap]).
//   - A value that stands still is a constant power: the buffer's new stamps, the
//     counter or another source say so. A polled value that stands still with nobody to
//     confirm it may be stuck, and is left out after three seconds ([FaultStill]).
//   - The sources of a board tell of the same power. Every second their mean powers are
//     compared over the last two seconds (more than 25 % apart, besides what each may be
//     off over so short a time, is a contradiction) and over the last 8 to 20 s (more
//     than 6 %). The one that more sources contradict than contradict any other is
//     dropped, for that span and until it has agreed twice ([FaultOutvoted]); one that
//     was wrong from the beginning is forgotten altogether. Where two contradict each
//     other, or two two others, nothing says who is right: energies are widened to hold
//     both, and not stated where that is too wide ([FaultContradiction]).
//
// [Meter.Findings] tells each fault when it begins and when it is over, in a sentence
// that names the source, and [Estimate.Faults] which faults touched a window.
//
// What stays open: a source that turns wrong is believed until the comparison has seen
// it, for two to three seconds; sources that are wrong alike are not found out; nor is
// what one source alone says, as long as a board may draw it and it moves. Time stamps
// are the sampler's to check (sampler.Start).
//
// # What the bound leaves out
//
// A board's power sensors share one constant gain error of about ±5 % (Yang,
// Adámek, Armour, "Part-time power measurements: nvidia-smi's lack of attention",
// SC'24). It scales every joule of a board alike, cannot be seen from within, and
// is not part of any bound here.
package energy
