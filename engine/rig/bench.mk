# The energy of requests among others: simulated, with their truth, and recorded.
.PHONY: bench-serving
bench-serving: ## how right the energy of requests among others is
	$(GO_ENV) go run ./engine/rig/internal/benchserving $(if $(SERVING_RECORDING),-recording '$(SERVING_RECORDING)')
