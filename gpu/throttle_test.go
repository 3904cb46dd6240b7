package gpu

import "testing"

// The names are NVML's own bits, those of its release 13 included; one that has no
// name yet is told as a bit and never dropped.
func TestThrottleNames(t *testing.T) {
	for bits, want := range map[Throttle]string{
		0: "", 1: "idle", 0x200: "board-limit", 0x400: "reliability", 0x604: "power-cap+board-limit+reliability",
		0x800: "0x800", 0x8000000000000001: "idle+0x8000000000000000",
	} {
		if got := bits.String(); got != want {
			t.Errorf("%#x: %q, want %q", uint64(bits), got, want)
		}
		if back, err := ParseThrottle(want); err != nil || back != bits {
			t.Errorf("%q: %#x, %v", want, uint64(back), err)
		}
		if limits := bits&^1 != 0; bits.Limits() != limits { // all of these but idleness
			t.Errorf("%q: limits %v", want, bits.Limits())
		}
	}
	if _, err := ParseThrottle("fatigue"); err == nil {
		t.Error("a word that is no reason was read")
	}
}
