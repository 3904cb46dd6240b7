# The energy of requests among others, simulated with their truth and recorded; and a
# real model that serves on the CPU.
.PHONY: bench-serving
bench-serving: build ## how right the energy of requests among others is
	$(GO_ENV) go run ./engine/rig/internal/benchserving -program $(PROGRAM) $(if $(SERVING_RECORDING),-recording '$(SERVING_RECORDING)')

.PHONY: bench-versus
bench-versus: build ## our throughput beside that of a llama-server (LLAMA_SERVER=PROGRAM), on the CPU
	$(GO_ENV) go run ./engine/rig/internal/benchserving -program $(PROGRAM) -llama-server '$(LLAMA_SERVER)'
