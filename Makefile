# jouletop: `make` builds bin/jouletop, `make run` opens the dashboard,
# `make test` runs every test. `make bench-…` prints figures beside their targets
# and fails when one falls short.
include engine/llama/native.mk
include $(wildcard */bench.mk */*/bench.mk */*/cuda.mk)

.DEFAULT_GOAL := all
.PHONY: all build run test lint fmt clean

all: build

build: native
	@mkdir -p bin
	$(GO_ENV) go build -o bin/jouletop ./cmd/jouletop

run: build
	bin/jouletop

test: native
	$(GO_ENV) go test ./...

lint: native
	$(GO_ENV) go vet ./...
	$(GO_ENV) go tool staticcheck ./...

fmt:
	gofmt -w cmd tui engine gpu workloads

clean:
	rm -rf bin build engine/llama/upstream
