# Benches of the GPU packages.
.PHONY: bench-sampler
bench-sampler:
	@mkdir -p build
	$(GO_ENV) go build -o build/bench-sampler ./gpu/sampler/internal/bench
	build/bench-sampler
