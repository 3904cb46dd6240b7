# What the dashboard costs: a frame after an 8-hour session, and the whole
# program at 200×60 beside a bare Bubble Tea program and htop.
.PHONY: bench-tui
bench-tui: build ## what the dashboard costs
	$(GO_ENV) go build -o build/bench-tui ./tui/internal/bench
	build/bench-tui -jouletop bin/jouletop
