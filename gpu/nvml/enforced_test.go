//go:build cgo

package nvml

import (
	"errors"
	"testing"

	"jouletop/gpu"
	"jouletop/gpu/nvml/fakenvml"
)

// What another limiter holds lower than the limit set, and a profile that the driver does
// not follow, are told beside what is set.
func TestEnforced(t *testing.T) {
	st := fake(t, fakenvml.H100().With(fakenvml.Permission, fakenvml.Anybody).With(fakenvml.Profiles, 0b111))
	g, d := st.GPU(0), open(t, 0)
	if err := errors.Join(d.Set(gpu.KnobPower, 400_000), d.Set(gpu.KnobProfile, 0b11)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		limiter, out    int64
		power, profiles int
		force           bool
	}{{0, 0, 400_000, 0b11, true}, {650_000, 0b100, 400_000, 0b11, true}, {350_000, 0b10, 350_000, 0b01, false}} {
		g.Set(fakenvml.LimiterMW, tt.limiter)
		g.Set(fakenvml.ProfilesOut, tt.out)
		for k, want := range map[gpu.KnobID]int{gpu.KnobPower: tt.power, gpu.KnobProfile: tt.profiles} {
			set, err := d.State(k)
			got, err2 := gpu.EnforcedKnob(gpu.ReadOnly(d), k)
			if err := errors.Join(err, err2); err != nil || got != want || k.InForce(set, got) != tt.force {
				t.Errorf("limiter %d mW, profiles out %b: %s set to %s, enforced %s, in force %v, %v", tt.limiter, tt.out, k, k.Text(set), k.Text(got), k.InForce(set, got), err)
			}
		}
	}
	if _, err := d.Enforced(gpu.KnobSM); !errors.Is(err, gpu.ErrNotSupported) {
		t.Errorf("of the SM clock: %v", err)
	}
}
