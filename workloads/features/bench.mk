# The time that features take, against the target.
.PHONY: bench-features
bench-features: ## the time that features take
	BENCH_FEATURES=1 $(GO_ENV) go test -v -count=1 -run '^TestBenchFeatures$$' ./workloads/features
