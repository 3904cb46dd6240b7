# Tokens/s of llama.cpp in a child process against the same in this one.
# BENCH_WORKER_FLAGS takes flags (-model, -gpu-layers, -backend-dir, -threads, …).
.PHONY: bench-worker
bench-worker: native ## tokens/s in a child process
	$(GO_ENV) go build -o build/benchworker ./engine/worker/internal/benchworker
	build/benchworker $(BENCH_WORKER_FLAGS)
