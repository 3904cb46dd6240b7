# The online optimizer on the simulated H100, 100 seeds a workload: fails where
# fewer than 95 end within 3 % of the best that keeps the latency bound; and the search
# over three knobs, within 2 % of the best in at most a tenth of their settings.
# SEED=… is the first of the seeds.
.PHONY: bench-optimizer
bench-optimizer: native ## the online optimizer, 100 seeds
	@cd engine/policy && $(GO_ENV) JOULETOP_BENCH=1 JOULETOP_SEED=$(SEED) go test -run '^(TestOnlineOnTheSimulatedGPU|TestKnobSearch)$$' -count=1 -timeout 9m
