# Benches of the GPU packages.
.PHONY: bench-sampler
bench-sampler: ## what sampling costs and how punctual it is
	@mkdir -p build
	$(GO_ENV) go build -o build/bench-sampler ./gpu/sampler/internal/bench
	build/bench-sampler
