# Knobs given back after random kills, and how soon a phase's clock is asked
# for: figures beside targets; fails where one falls short.
.PHONY: bench-clockguard
bench-clockguard: native ## knobs given back after kills
	@cd gpu/clockguard && $(GO_ENV) JOULETOP_BENCH=1 go test -run '^TestBench$$' -count=1 -timeout 4m
