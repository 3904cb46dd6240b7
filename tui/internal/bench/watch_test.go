package main

import (
	"fmt"
	"math"
	"testing"
)

func TestMemoryOfWhatIsMapped(t *testing.T) {
	mapped := func(head string, rss, referenced, anonymous int) string {
		return fmt.Sprintf("%s\nSize: 99999 kB\nRss: %d kB\nReferenced: %d kB\nAnonymous: %d kB\nVmFlags: rd wr mr\n", head, rss, referenced, anonymous)
	}
	got, err := memoryOf(mapped("00400000-01aa0000 r-xp 00000000 fe:00 42 /opt/a program", 20000, 3000, 0) +
		mapped("038a9000-04240000 rw-p 00000000 fe:00 42 /opt/a program", 9000, 1200, 200) +
		mapped("344144000000-344148800000 rw-p 00000000 00:00 0", 40000, 30000, 40000) +
		mapped("7ffc000-7ffd000 rw-p 00000000 00:00 0 [stack]", 100, 100, 100))
	const mb = 1e6 / 1024
	want := memory{own: 40300 / mb, file: 4000 / mb, resident: 69100 / mb}
	for _, d := range []float64{got.own - want.own, got.file - want.file, got.resident - want.resident} {
		if err != nil || math.Abs(d) > 1e-9 {
			t.Fatalf("%+v, %v; want %+v", got, err, want)
		}
	}
	if _, err := memoryOf("no such process"); err == nil {
		t.Error("memory of nothing")
	}
}
