# What the dashboard costs: a frame after an 8-hour session with 50,000 points, and the
# whole program at 200×60 beside htop while a run is live, with where its time goes.
.PHONY: bench-tui
bench-tui: build ## what the dashboard costs, beside htop
	$(GO_ENV) go build -o build/bench-tui ./tui/internal/bench
	build/bench-tui -jouletop bin/jouletop
