package tui

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// unknown stands for a figure that is not known.
const unknown = "–"

func fmtInt(v int) string { return strconv.Itoa(v) }

// fmtFloat writes v with that many decimals, unknown as "–".
func fmtFloat(v float64, decimals int) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return unknown
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

// fmtSig writes v with about four significant digits and no exponent.
func fmtSig(v float64) string {
	a := math.Abs(v)
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return unknown
	case a >= 1e7:
		return strconv.FormatFloat(v/1e6, 'f', 0, 64) + "M"
	case a >= 1000 || a == 0:
		return fmtFloat(v, 0)
	case a >= 100:
		return fmtFloat(v, 1)
	case a >= 10:
		return fmtFloat(v, 2)
	case a >= 0.1:
		return fmtFloat(v, 3)
	case a >= 0.0001:
		return fmtFloat(v, 5)
	}
	return "0.0000"
}

// fmtSeconds writes a duration in s as ms or s.
func fmtSeconds(s float64) string {
	switch {
	case math.IsNaN(s) || math.IsInf(s, 0):
		return unknown
	case s < 0.9995:
		d := 0
		if s < 0.1 {
			d = 1
		}
		return fmtFloat(s*1000, d) + " ms"
	case s < 99.95:
		return fmtFloat(s, 2) + " s"
	}
	return fmtFloat(s, 0) + " s"
}

// fmtClock writes ns as h:mm:ss.
func fmtClock(ns int64) string {
	s := ns / int64(time.Second)
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

// fmtLeft writes a time left in s, "–" for unknown.
func fmtLeft(s float64) string {
	if math.IsNaN(s) || math.IsInf(s, 0) || s > 1e8 {
		return unknown
	}
	return fmtClock(int64(max(s, 0) * 1e9))
}

// fmtBytes writes a size.
func fmtBytes(n int64) string {
	v, u := float64(n), "B"
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if v < 1024 {
			break
		}
		v, u = v/1024, next
	}
	if u == "B" || v >= 100 {
		return fmtFloat(v, 0) + " " + u
	}
	return fmtFloat(v, 1) + " " + u
}

// fmtChange writes a relative change in %, with its sign.
func fmtChange(from, to float64) string {
	v := (to - from) / from * 100
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return unknown
	}
	return fmt.Sprintf("%+.1f %%", v)
}

// plural writes a count with its noun.
func plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmtInt(n) + " " + noun
}

// fmtMHz writes a clock; 0 is the driver's choice, negative unknown.
func fmtMHz(mhz int) string {
	switch {
	case mhz == 0:
		return "auto"
	case mhz < 0:
		return unknown
	}
	return fmtInt(mhz)
}

// pad aligns text right in w columns (left for negative w).
func pad(text string, w int) string {
	n := len([]rune(text))
	if w < 0 {
		return text + strings.Repeat(" ", max(-w-n, 0))
	}
	return strings.Repeat(" ", max(w-n, 0)) + text
}
