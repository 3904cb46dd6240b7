// Package clocks sets the clocks of the GPUs that work on one job, knows which was
// in force when, and tells when what was asked for was not: a [Driver] for each GPU,
// [Drivers] for all.
package clocks
