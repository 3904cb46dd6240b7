// Package draw makes random values that depend on a key alone: whoever asks
// for the value of a key gets the same, in whatever order. Simulations that
// must not depend on who looks when draw from it.
package draw

import "math"

// Mix joins two keys into one that looks random (the finaliser of splitmix64).
func Mix(a, b uint64) uint64 {
	z := a + 0x9e3779b97f4a7c15*(b+1)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// String returns the key of a text (FNV-1a).
func String(s string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return h
}

// Uniform returns a value in [0, 1).
func Uniform(key uint64) float64 { return float64(Mix(key, 0)>>11) / (1 << 53) }

// Normal returns a standard normal value (Box and Muller).
func Normal(key uint64) float64 {
	u := 1 - Uniform(Mix(key, 1)) // not 0
	v := Uniform(Mix(key, 2))
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v)
}
