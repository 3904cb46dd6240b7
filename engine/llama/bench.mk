# Tokens/s of the binding against a bare loop over the same library calls.
# BARELOOP=PROGRAM compares with a program of its own instead, and
# BENCH_ENGINE_FLAGS takes more flags (-model, -gpu-layers, -backend-dir, …).
.PHONY: bench-engine
bench-engine: native ## tokens/s against a bare loop
	$(GO_ENV) go build -o build/benchengine ./engine/llama/internal/benchengine
	build/benchengine $(if $(BARELOOP),-bareloop $(BARELOOP)) $(BENCH_ENGINE_FLAGS)
