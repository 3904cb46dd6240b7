package draw

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Unknown stands for a figure that is not known.
const Unknown = "–"

// Int writes a count.
func Int(v int) string { return strconv.Itoa(v) }

// Float writes v with that many decimals, unknown as "–".
func Float(v float64, decimals int) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return Unknown
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

// Sig writes v with about four significant digits and no exponent.
func Sig(v float64) string {
	a := math.Abs(v)
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return Unknown
	case a >= 1e7:
		return strconv.FormatFloat(v/1e6, 'f', 0, 64) + "M"
	case a >= 1000 || a == 0:
		return Float(v, 0)
	case a >= 100:
		return Float(v, 1)
	case a >= 10:
		return Float(v, 2)
	case a >= 0.1:
		return Float(v, 3)
	case a >= 0.0001:
		return Float(v, 5)
	}
	return "0.0000"
}

// Seconds writes a duration in s as ms or s.
func Seconds(s float64) string {
	switch {
	case math.IsNaN(s) || math.IsInf(s, 0):
		return Unknown
	case s < 0.9995:
		d := 0
		if s < 0.1 {
			d = 1
		}
		return Float(s*1000, d) + " ms"
	case s < 99.95:
		return Float(s, 2) + " s"
	}
	return Float(s, 0) + " s"
}

// Clock writes ns as h:mm:ss.
func Clock(ns int64) string {
	s := ns / int64(time.Second)
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

// Left writes a time left in s, "–" for unknown.
func Left(s float64) string {
	if math.IsNaN(s) || math.IsInf(s, 0) || s > 1e8 {
		return Unknown
	}
	return Clock(int64(max(s, 0) * 1e9))
}

// About writes a time in s that is known about: in s, min or h.
func About(s float64) string {
	switch {
	case math.IsNaN(s) || math.IsInf(s, 0):
		return Unknown
	case s < 90:
		return Float(max(s, 1), 0) + " s"
	case s < 90*60:
		return Float(s/60, 0) + " min"
	case s < 48*3600:
		return Float(s/3600, 1) + " h"
	}
	return Float(s/86400, 1) + " days"
}

// Bytes writes a size.
func Bytes(n int64) string {
	v, u := float64(n), "B"
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if v < 1024 {
			break
		}
		v, u = v/1024, next
	}
	if u == "B" || v >= 100 {
		return Float(v, 0) + " " + u
	}
	return Float(v, 1) + " " + u
}

// Change writes a relative change in %, with its sign.
func Change(from, to float64) string {
	v := (to - from) / from * 100
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return Unknown
	}
	return fmt.Sprintf("%+.1f %%", v)
}

// PlusMinus writes a mean with the half-width of its interval, in the digits that that
// leaves: one of the half-width, two where it begins with a 1. Where the half-width is
// not known the mean stands alone.
func PlusMinus(mean, half float64) string {
	if math.IsNaN(half) || math.IsInf(half, 0) || math.IsNaN(mean) || half <= 0 {
		return Sig(mean)
	}
	decimals := -int(math.Floor(math.Log10(half)))
	if half*math.Pow10(decimals) < 2 {
		decimals++
	}
	decimals = min(max(decimals, 0), 5)
	return Float(mean, decimals) + " ± " + Float(half, decimals)
}

// Percent writes a relative change in %, with its sign and the half-width of its
// interval where that is known.
func Percent(mean, half float64) string {
	if math.IsNaN(mean) || math.IsInf(mean, 0) {
		return Unknown
	}
	text := fmt.Sprintf("%+.1f", mean)
	if !math.IsNaN(half) && !math.IsInf(half, 0) {
		text += fmt.Sprintf(" ± %.1f", half)
	}
	return text + " %"
}

// Plural writes a count with its noun.
func Plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return Int(n) + " " + noun
}

// MHz writes a clock; 0 is the driver's choice, negative unknown.
func MHz(mhz int) string {
	switch {
	case mhz == 0:
		return "auto"
	case mhz < 0:
		return Unknown
	}
	return Int(mhz)
}

// Pad aligns text right in w columns (left for negative w).
func Pad(text string, w int) string {
	n := len([]rune(text))
	if w < 0 {
		return text + strings.Repeat(" ", max(-w-n, 0))
	}
	return strings.Repeat(" ", max(w-n, 0)) + text
}

// ErrSuffix writes what went wrong after what it went wrong with.
func ErrSuffix(err string) string {
	if err == "" {
		return ""
	}
	return ": " + err
}

// SplitUnit cuts "12.3 ms" at its blank.
func SplitUnit(s string) (value, unit string) {
	for i := range s {
		if s[i] == ' ' {
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}
