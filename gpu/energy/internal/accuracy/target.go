package main

import "fmt"

// target prints a target with what was reached and returns how many were missed: 0
// or 1.
func target(name, reached string, ok bool) int {
	mark, missed := "met", 0
	if !ok {
		mark, missed = "MISSED", 1
	}
	fmt.Printf("%-66s %10s %10s\n", name, reached, mark)
	return missed
}
