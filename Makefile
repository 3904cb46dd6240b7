# jouletop: `make` builds bin/jouletop, `make run` opens the dashboard,
# `make test` runs every test. `make bench-…` prints figures beside their targets
# and fails when one falls short.
include engine/llama/native.mk
include $(wildcard */bench.mk */*/bench.mk */*/cuda.mk)

.DEFAULT_GOAL := all
.PHONY: all build run test lint outdated picture fmt clean

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

# Modules in the program of which there is a newer release. github.com/ollama/ollama
# is pinned: later ones carry no llama.cpp.
outdated:
	@go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}' ./... | sort -u | grep -v '^github.com/ollama/ollama$$' | \
		xargs go list -m -u -e -f '{{if .Update}}{{.Path}} {{.Version}} -> {{.Update.Version}}{{end}}' | grep . || echo "all current"

# The README's picture, by the program itself from a simulated session.
picture: build
	rm -rf build/picture
	bin/jouletop run --model llama-3.1-8b --dataset narrativeqa --batch 8 --queries 60 --policy phase:1980/1005 --session build/picture
	bin/jouletop replay build/picture --picture tui/testdata/live.svg --at 9s --size 140x42

fmt:
	gofmt -w cmd tui engine gpu workloads

clean:
	rm -rf bin build engine/llama/upstream
