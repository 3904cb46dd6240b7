// Package sampler polls one GPU and finds out what its power sensors are: a [Sampler]
// reads at fixed deadlines, however busy the machine is, [Discover] watches the
// sensors until it knows how often they are renewed and what they average over.
package sampler
