package draw

import (
	"math"
	"testing"
)

func TestMoments(t *testing.T) {
	const n = 200_000
	var u, uu, z, zz, lag float64
	last := 0.0
	for i := range uint64(n) {
		a, b := Uniform(Mix(7, i)), Normal(Mix(7, i))
		if a < 0 || a >= 1 || math.IsNaN(b) || math.IsInf(b, 0) {
			t.Fatalf("key %d: %v, %v", i, a, b)
		}
		u, uu = u+a/n, uu+a*a/n
		z, zz = z+b/n, zz+b*b/n
		lag += b * last / n
		last = b
	}
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"uniform mean", u, 0.5}, {"uniform variance", uu - u*u, 1.0 / 12},
		{"normal mean", z, 0}, {"normal variance", zz - z*z, 1}, {"correlation of neighbours", lag, 0},
	} {
		if math.Abs(c.got-c.want) > 0.01 {
			t.Errorf("%s is %.4f, want %.4f", c.name, c.got, c.want)
		}
	}
}

func TestTextsDiffer(t *testing.T) {
	seen := map[uint64]string{}
	for _, s := range []string{"", "a", "b", "ab", "ba", "boolq\x001", "boolq\x002"} {
		if other, ok := seen[String(s)]; ok {
			t.Errorf("%q and %q have the same key", s, other)
		}
		seen[String(s)] = s
	}
}
