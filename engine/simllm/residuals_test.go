package simllm

import (
	"testing"

	"jouletop/gpu/simgpu"
)

func TestResiduals(t *testing.T) {
	for _, profile := range simgpu.Profiles() {
		list, err := Residuals(profile)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list {
			format := "%s: %-13s batch %d %-20s want %9.1f got %9.1f, off by %+5.1f of %.0f %s"
			if !r.OK() {
				t.Errorf(format, profile, r.Model, r.Batch, r.Quantity, r.Want, r.Got, r.Diff, r.Limit, r.Unit)
			} else {
				t.Logf(format, profile, r.Model, r.Batch, r.Quantity, r.Want, r.Got, r.Diff, r.Limit, r.Unit)
			}
		}
	}
}
