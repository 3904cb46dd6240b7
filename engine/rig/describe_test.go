package rig

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"jouletop/engine/models"
	"jouletop/engine/nulljson/nulltest"
	"jouletop/gpu"
	"jouletop/gpu/simgpu"
)

// Whatever is printed as JSON may know nothing.
func TestUnknownIsNull(t *testing.T) {
	nulltest.Check[Report](t)
	nulltest.Check[EngineReport](t)
	nulltest.Check[models.Found](t)
}

// brokenSensor is a GPU of which one power source fails for good.
type brokenSensor struct {
	gpu.Device
	source string
}

func (b brokenSensor) ReadPower(source string) (gpu.PowerReading, error) {
	if source == b.source {
		return gpu.PowerReading{}, errors.New("the sensor does not answer")
	}
	return b.Device.ReadPower(source)
}

func (brokenSensor) Processes() ([]gpu.Process, error) { return nil, gpu.ErrNotSupported }

// A failing sensor takes nothing else from the report.
func TestReportWithoutASensor(t *testing.T) {
	r, err := simRig(&Config{GPU: "sim", Backend: "sim"}, []string{"h100"}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.GPUs[0].Device = brokenSensor{r.GPUs[0].Device, gpu.SourceAverage}
	st := describeGPU(r, r.GPUs[0], &Config{})
	var names []string
	for _, s := range st.Sensors {
		names = append(names, s.Name)
	}
	if got := strings.Join(names, " "); got != "instant buffer counter" {
		t.Errorf("sensors: %s", got)
	}
	problems := strings.Join(st.Problems, "\n")
	if len(st.Problems) != 2 || !strings.Contains(problems, "average gave no reading: the sensor does not answer") || !strings.Contains(problems, "not supported") {
		t.Errorf("problems: %s", problems)
	}
	if st.Processes != nil {
		t.Errorf("processes %v: want unknown", st.Processes)
	}
	var out bytes.Buffer
	if err := st.write(&out, Report{}); err != nil || !strings.Contains(out.String(), "problem") || !strings.Contains(out.String(), "counter") {
		t.Errorf("%v\n%s", err, &out)
	}
}

// A GPU of which nothing is known is reported in words.
func TestReportInWords(t *testing.T) {
	st := GPUState{ID: "0:GPU-x", Info: gpu.UnknownInfo(0), Processes: []gpu.Process{{PID: 7, MemoryMiB: -1}}, Sensors: []gpu.PowerSource{{Name: "average"}}}
	var out bytes.Buffer
	if err := st.write(&out, Report{}); err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"NaN", "-1", " 0 MHz", "0 W", "  ,"} {
		if strings.Contains(out.String(), word) {
			t.Errorf("%q in\n%s", word, &out)
		}
	}
	if n := strings.Count(out.String(), "unknown"); n < 7 {
		t.Errorf("%d times unknown in\n%s", n, &out)
	}
}

// A limit that is set, while another limiter holds power lower, is not told as if it were
// in force.
func TestReportOfALimitHeldLower(t *testing.T) {
	for _, tt := range []struct {
		limiter int
		want    string
	}{{350, "now 700 W, but 350 W in force: another limiter holds it"}, {0, "now 700 W\n"}} {
		r, err := simRig(&Config{GPU: "sim", Backend: "sim"}, []string{"h100"}, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		r.GPUs[0].Device.(*simgpu.GPU).SetLimiter(float64(tt.limiter))
		st := describeGPU(r, r.GPUs[0], &Config{})
		var out bytes.Buffer
		if err := st.write(&out, Report{}); err != nil || !strings.Contains(out.String(), tt.want) {
			t.Errorf("limiter %d W: %v\n%s", tt.limiter, err, &out)
		}
	}
}
