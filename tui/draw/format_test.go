package draw_test

import (
	"math"
	"testing"

	"jouletop/tui/draw"
)

func TestFormats(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{draw.Sig(0.81234), "0.812"}, {draw.Sig(12.345), "12.35"}, {draw.Sig(1234.5), "1234"}, {draw.Sig(0.00012345), "0.00012"},
		{draw.Sig(3e7), "30M"}, {draw.Seconds(0.0123), "12.3 ms"}, {draw.Seconds(0.5), "500 ms"}, {draw.Seconds(1.5), "1.50 s"},
		{draw.Seconds(250), "250 s"}, {draw.Clock(3_723_000_000_000), "1:02:03"}, {draw.Bytes(1500), "1.5 KiB"}, {draw.Bytes(12), "12 B"},
		{draw.Change(100, 68.5), "-31.5 %"}, {draw.Change(0, 1), draw.Unknown}, {draw.MHz(0), "auto"}, {draw.MHz(-1), draw.Unknown}, {draw.MHz(960), "960"},
		{draw.Pad("ab", 4), "  ab"}, {draw.Pad("ab", -4), "ab  "}, {draw.Plural(1, "mark"), "1 mark"}, {draw.Plural(2, "mark"), "2 marks"},
		{draw.Left(-1), "0:00:00"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestIntervals(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		mean, half float64
		want       string
	}{{0.16014, 0.00053, "0.1601 ± 0.0005"}, {3.456, 0.123, "3.46 ± 0.12"}, {1234.5, 56.7, "1234 ± 57"}, {3.4, nan, "3.400"}, {nan, 1, "–"}, {5, 0, "5.000"}, {0.5, 1e-9, "0.50000 ± 0.00000"}} {
		if got := draw.PlusMinus(c.mean, c.half); got != c.want {
			t.Errorf("%g ± %g: %s, want %s", c.mean, c.half, got, c.want)
		}
	}
	if a, b, c := draw.Percent(-31.24, 1.06), draw.Percent(2, nan), draw.Percent(nan, 1); a != "-31.2 ± 1.1 %" || b != "+2.0 %" || c != draw.Unknown {
		t.Error(a, b, c)
	}
}
