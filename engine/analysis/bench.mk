# Benches of sweeps and what is made of them.
.PHONY: bench-sweep
bench-sweep: build ## sweeps, and what is made of them
	$(GO_ENV) go run ./engine/analysis/internal/benchsweep bin/jouletop
	JOULETOP_SEEDS=100 $(GO_ENV) go test -count=1 -v -run EDPOptimalClock ./engine/analysis/curve

# The chain from queries to routing's savings over the study's 3,817 queries and
# five sizes, simulated, against the target.
.PHONY: bench-workload
bench-workload: build ## from queries to routing's savings
	$(GO_ENV) go run ./engine/analysis/internal/benchworkload bin/jouletop

# Whether comparisons are right: equal sides called different, a true difference found
# with the repeats that were stated, mismatches refused, --until. SEED=… for other noise.
.PHONY: bench-verdict
bench-verdict: build ## whether comparisons are right
	$(GO_ENV) go run ./engine/analysis/internal/benchverdict bin/jouletop
