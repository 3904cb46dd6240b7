package simgpu

import "math"

// mix joins two numbers into one that looks random (splitmix64).
func mix(a, b uint64) uint64 {
	z := a + 0x9e3779b97f4a7c15*(b+1)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// hashString is FNV-1a.
func hashString(s string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return h
}

// uniform maps a hash to [0, 1).
func uniform(h uint64) float64 { return float64(h>>11) / (1 << 53) }

// normal maps a hash to a standard normal value (Box and Muller).
func normal(h uint64) float64 {
	u := 1 - uniform(h) // not 0
	v := uniform(mix(h, 1))
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v)
}
