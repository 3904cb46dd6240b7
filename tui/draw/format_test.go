package draw_test

import (
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
