// Package account joins what arrives apart (power readings, samples, phases,
// requests) into what each phase, request and point cost: an [Account] while a
// session runs, a [Recomputer] over a recorded one, by the same code.
package account
