// Package usage has the error of a request that cannot be meant: a flag or an argument
// out of range, two that exclude each other. The program ends with status 2 for it.
package usage

import (
	"fmt"
)

// Error is bad usage: exit status 2.
type Error struct{ Err error }

func (e Error) Error() string { return e.Err.Error() }

func (e Error) Unwrap() error { return e.Err }

// Errorf makes an Error.
func Errorf(format string, args ...any) error { return Error{fmt.Errorf(format, args...)} }

// Wrap makes err bad usage.
func Wrap(err error) error { return Error{err} }
