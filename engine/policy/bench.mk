# The online optimizer over 100 seeds of each of eight workloads and both goals;
# fails where fewer than 95 end near the optimum.
.PHONY: bench-optimizer
bench-optimizer: native
	@cd engine/policy && $(GO_ENV) JOULETOP_BENCH=1 go test -run '^TestOptimizerFindsTheClock$$' -count=1 -timeout 4m -v
