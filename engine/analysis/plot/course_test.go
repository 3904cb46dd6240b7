package plot

import (
	"bytes"
	"math"
	"os"
	"slices"
	"testing"
)

// Passes are spread over the bins that they last, each with its share of the time.
func TestCourseBins(t *testing.T) {
	c := NewCourse(4, 4)
	c.Pass(0.5, 2, 4, 2, 0)
	c.Pass(3.75, 4, 8, -1, 4)
	c.Pass(9, 10, 100, 100, 100) // after the end
	if !slices.Equal(c.Decode, []float64{2, 4, 0, 2}) || !slices.Equal(c.Prefill, []float64{1, 2, 0, 0}) || !slices.Equal(c.Waiting, []float64{0, 0, 0, 1}) {
		t.Errorf("%v %v %v", c.Decode, c.Prefill, c.Waiting)
	}
	for at, v := range map[float64]float64{0.1: 300, 0.2: 100, 4: 50} {
		c.Power.Add(at, v)
	}
	if c.Power.mean(0) != 200 || c.Power.Least[0] != 100 || c.Power.Most[0] != 300 || c.Power.mean(3) != 50 || !math.IsNaN(c.Power.mean(1)) || !math.IsNaN(c.Power.Most[1]) {
		t.Errorf("%+v", c.Power)
	}
}

func TestDrawCourse(t *testing.T) {
	dir := t.TempDir()
	if files, err := DrawCourse(dir, Course{}, true); err != nil || len(files) > 0 {
		t.Errorf("nothing to draw: %v, %v", files, err)
	}
	empty := NewCourse(10, 20) // passes of which no reading is known
	empty.Pass(0, 10, 3, 1, 0)
	if files, err := DrawCourse(dir, empty, false); err != nil || len(files) != 2 {
		t.Errorf("no readings: %v, %v", files, err)
	}
	c := NewCourse(10, 20)
	c.PowerSource = "buffer<evil>"
	for i := range 10 {
		c.Pass(float64(i), float64(i)+.9, i, 1, 2)
		c.Power.Add(float64(i), 300)
		c.Clock.Add(float64(i), 1980)
	}
	if _, err := DrawCourse(dir, c, true); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(dir + "/passes.svg")
	if err != nil {
		t.Fatal(err)
	}
	// Other fonts than the one it was laid out with take no more room.
	if all, fitted := bytes.Count(svg, []byte("<text")), bytes.Count(svg, []byte(`<text textLength="`)); all == 0 || fitted != all {
		t.Errorf("%d of %d texts have their width", fitted, all)
	}
	if !bytes.Contains(svg, []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;")) {
		t.Error("it has no font but one")
	}
	for _, want := range []string{"SIMULATED", "decode", "prefill", "waiting for a slot", "buffer&lt;evil&gt;", "SM clock", "MHz"} {
		if !bytes.Contains(svg, []byte(want)) {
			t.Errorf("the picture lacks %q", want)
		}
	}
}
