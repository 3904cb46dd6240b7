// Package engine runs a plan of inference jobs in the background and publishes
// everything that happens on one stream.Stream of events. Backend, device, policy,
// clock control and recorder are handed in; it knows no terminal.
package engine
