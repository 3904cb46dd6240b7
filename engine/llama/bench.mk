# Tokens/s of the binding against a bare loop over the same library calls.
# BARELOOP=PROGRAM compares with a program of its own instead, and
# BENCH_ENGINE_FLAGS takes more flags (-model, -gpu-layers, -backend-dir, …).
.PHONY: bench-engine
bench-engine: native ## tokens/s against a bare loop
	$(GO_ENV) go build -o build/benchengine ./engine/llama/internal/benchengine
	build/benchengine $(if $(BARELOOP),-bareloop $(BARELOOP)) $(BENCH_ENGINE_FLAGS)

# Tokens/s while requests are served, all that is measured with it, against a bare loop.
# BENCH_SERVE_FLAGS takes flags (-model, -gpu-layers, -backend-dir, -batch, …).
.PHONY: bench-serve
bench-serve: build ## tokens/s of serving, measured, against a bare loop
	$(GO_ENV) go build -o build/benchserve ./engine/llama/internal/benchserve
	build/benchserve -program $(PROGRAM) $(if $(BENCH_SERVE_FLAGS),$(BENCH_SERVE_FLAGS),-batch 8 -prompt 64 -requests 32 -flags '--gpu sim')
