package report

import (
	"bytes"
	"strings"
	"testing"

	"jouletop/engine/analysis/curve/curvetest"
	"jouletop/engine/event"
)

func TestStudyBesidePublished(t *testing.T) {
	var ps []event.PointDone
	for _, mhz := range []int{180, 960, 2842} {
		ps = append(ps, curvetest.Point(mhz, 1, 10+float64(mhz)/300, 1.05-float64(mhz)/60000))
	}
	var text bytes.Buffer
	for _, table := range Study(ps, 0.03) {
		table.Simulated = true
		if len(table.Rows) == 0 {
			continue
		}
		if err := table.WriteText(&text, true); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"SIMULATED Table XI", "42.3", "+52.4", "Table XII", "960", "Table XIII", "TruthfulQA (100)", "Table XVI", "2.92"} {
		if want == "TruthfulQA (100)" {
			want = "truthfulqa"
		}
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	for i, line := range strings.Split(text.String(), "\n") {
		if strings.Contains(line, "NaN") {
			t.Errorf("line %d: %s", i, line)
		}
	}
}

func TestFlaggedPointsAreListed(t *testing.T) {
	bad, failed := curvetest.Point(1000, 3, 99, 9), curvetest.Point(1000, 4, 99, 9)
	bad.Flags, failed.PointResult.Err = "throttled", "boom"
	if list := flagged([]event.PointDone{curvetest.Point(1000, 1, 10, 1), bad, failed}); len(list.Rows) != 2 {
		t.Errorf("%d rows of what went wrong, want 2", len(list.Rows))
	}
}

func TestPaperMean(t *testing.T) {
	curvetest.Near(t, "XI mean at batch 1", paperMean("energy_reduction_pct", 1), 41.88, 0.01)
}
