# The chain from queries to routing's savings over the study's 3,817 queries and
# five sizes, simulated, against the target.
.PHONY: bench-workload
bench-workload: build
	$(GO_ENV) go run ./cmd/jouletop/internal/benchworkload bin/jouletop
