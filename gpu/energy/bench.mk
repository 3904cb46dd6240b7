# How right the energies are, against a simulated GPU's true energy.
.PHONY: bench-accuracy
bench-accuracy:
	$(GO_ENV) go run ./gpu/energy/internal/accuracy
