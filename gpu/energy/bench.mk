# How right the energies are, against a simulated GPU's true energy.
.PHONY: bench-accuracy
bench-accuracy: ## how right the energies are
	$(GO_ENV) go run ./gpu/energy/internal/accuracy
