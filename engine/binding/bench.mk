# What is said to have held the SM clock against the simulation's truth: 1,500 points of
# all sorts under fifteen seeds; fails where less than 98 % is right. SEED=… is the first
# of the seeds.
.PHONY: bench-binding
bench-binding: native ## whether a limit is rightly said to have bound
	@cd engine && $(GO_ENV) JOULETOP_BENCH=1 JOULETOP_SEED=$(SEED) go test -run '^TestBindingInTheLarge$$' -count=1 -timeout 9m
	@cd engine/binding && $(GO_ENV) JOULETOP_BENCH=1 JOULETOP_SEED=$(SEED) go test -run '^TestHeldOut' -count=1 -v | grep -v '^---\|^===\|^ok\|^PASS'
