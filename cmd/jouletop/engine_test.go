package main

import (
	"testing"

	"jouletop/engine/llama"
)

// engineBuilt tells whether this build has llama.cpp in it.
func engineBuilt() bool { return len(llama.Devices()) > 0 }

func TestEngineReportNeverFails(t *testing.T) {
	r := describeEngine(&options{})
	if engineBuilt() != (len(r.BuildFlags) > 0) {
		t.Errorf("devices %v but build flags %v", r.Devices, r.BuildFlags)
	}
	if !engineBuilt() && r.Warning == "" {
		t.Error("a build without the engine says nothing of it")
	}
}
