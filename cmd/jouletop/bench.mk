# Random faults at random moments of runs and sweeps on a stand-in for NVML: what
# was claimed, lost, told and left behind, beside targets; fails where one falls
# short. FAULTS=300 for more of them, SEED=… to repeat some.
FAULTS ?= 100
SEED ?= 0
.PHONY: bench-faults
bench-faults: native ## random faults at random moments
	@cd cmd/jouletop && $(GO_ENV) JOULETOP_FAULTS=$(FAULTS) JOULETOP_SEED=$(SEED) go test -run '^TestBenchFaults$$' -count=1 -timeout 20m
