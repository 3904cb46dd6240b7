package main

import "testing"

func TestGarbageIsBounded(t *testing.T) {
	for _, c := range []struct {
		live uint64
		want int
	}{{0, 200}, {4 << 20, 200}, {16 << 20, 75}, {8 << 20, 150}, {100 << 20, 25}, {1 << 40, 25}} {
		if got := collectAt(c.live); got != c.want {
			t.Errorf("with %d bytes alive, collected at %d %% of them, want %d", c.live, got, c.want)
		}
	}
}
