# What drafting and verifying are said to have taken against the simulation's truth: 60 seeds
# of nine pairs and depths, sensors that lag by 1 to 8 ms; fails where less than 93 % hold it.
.PHONY: bench-drafted
bench-drafted: native ## whether drafting and verifying are rightly told apart
	@cd engine && $(GO_ENV) JOULETOP_BENCH=1 go test -run '^TestDraftedInTheLarge$$' -count=1 -timeout 9m
