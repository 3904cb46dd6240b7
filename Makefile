# jouletop: `make` builds bin/jouletop, `make run` opens the dashboard,
# `make test` runs every test.
include engine/llama/native.mk

.PHONY: all build run test lint fmt clean

all: build

build: native
	$(GO_ENV) go build -o bin/jouletop ./cmd/jouletop

run: build
	bin/jouletop

test: native
	$(GO_ENV) go test ./...

lint:
	$(GO_ENV) go vet ./...
	$(GO_ENV) go tool staticcheck ./...

fmt:
	gofmt -w cmd tui engine gpu workloads

clean:
	rm -rf bin build engine/llama/upstream
