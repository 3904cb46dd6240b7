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
//	p(t) = θ[kind] + u[phase] + w[part of a phase within a bin]
//
// with one mean power θ for each kind of phase (what it is, batch size, requested
// clock), a deviation u that one phase keeps while it lasts (prompts differ) and
// a deviation w from bin to bin. θ is found by least squares of the bins on the
// phases' shares in them, and the variances of u, w and the reading noise from
// the residuals. A window is then the best linear unbiased prediction of ∫p given
// the bins in and around it: where bins lie wholly inside, that is plain
// integration; where a bin straddles a boundary, its energy is split by what is
// known of either side; where a phase is shorter than a bin, it tends to
// regression. (Robinson, "That BLUP is a good thing", Statistical Science 6(1),
// 1991; Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006,
// ch. 2.)
//
// The lag is found where work ends and a pause follows: power falls there at
// once, while at the beginning of a phase it waits for the host, which looks like
// a lag (on an H100 this makes 5 ms where all beginnings and ends together make
// 8 to 15 ms). Phases that lasted much longer than others with as many tokens (the
// first of their shape, while kernels are loaded) say nothing of their kind and are
// left out of the fit.
//
// The interval of θ is robust to unequal scatter (each residual divided by one less
// its leverage: MacKinnon and White, J. Econometrics 29, 1985) and to neighbouring
// bins that resemble each other (Newey and West, Econometrica 55(3), 1987). For the
// power of a kind as such ([Meter.Powers]) it is widened by how phases of that
// kind differ from each other (analysis of variance) and with their length.
//
// # What the bound leaves out
//
// A board's power sensors share one constant gain error of about ±5 % (Yang,
// Adámek, Armour, "Part-time power measurements: nvidia-smi's lack of attention",
// SC'24). It scales every joule of a board alike, cannot be seen from within, and
// is not part of any bound here.
package energy
