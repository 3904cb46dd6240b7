package main

import "testing"

// A quarter of an hour of what `make bench-accuracy` does for three hours.
func TestSensorFaults(t *testing.T) {
	missed, err := sensorFaults(6, 100)
	if err != nil {
		t.Fatal(err)
	}
	if missed > 0 {
		t.Errorf("%d targets missed", missed)
	}
}
