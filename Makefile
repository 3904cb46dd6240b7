# `make help` lists what there is to make.
include engine/llama/native.mk
include $(wildcard */bench.mk */*/bench.mk */*/cuda.mk)

.DEFAULT_GOAL := all
.PHONY: all build run test lint outdated pictures fmt clean help install dist

all: build

PROGRAM ?= bin/jouletop

# The commit is stamped into the program wherever git tells it.
VCS := -buildvcs=$(if $(shell git rev-parse HEAD 2>/dev/null),true,false)

build: native ## build bin/jouletop (the first time llama.cpp too)
	$(GO_ENV) go build $(VCS) -o $(PROGRAM) ./cmd/jouletop

$(PROGRAM):
	$(MAKE) build

help: ## list what there is to make
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | sort | while IFS="$$(printf '\t')" read -r name what; do printf '  %-18s %s\n' "$$name" "$$what"; done
	@echo "Variables: MARCH, LLAMA, LLAMA_SRC, CGO_ENABLED (engine/llama/native.mk), CUDA_ARCH (engine/backends/cuda.mk), PREFIX, DESTDIR."

# Where things are installed. DESTDIR goes before it, for packages.
PREFIX ?= /usr/local
UNITDIR ?= $(PREFIX)/lib/systemd/system
install: $(PROGRAM) ## install the program, manual, completions and the clock guard's unit (PREFIX, DESTDIR)
	rm -rf build/man && $(PROGRAM) man build/man
	install -Dm755 $(PROGRAM) '$(DESTDIR)$(PREFIX)/bin/jouletop'
	install -d '$(DESTDIR)$(PREFIX)/share/man/man1' && install -m644 build/man/*.1 '$(DESTDIR)$(PREFIX)/share/man/man1/'
	for shell in bash:bash-completion/completions/jouletop zsh:zsh/site-functions/_jouletop fish:fish/vendor_completions.d/jouletop.fish; do \
		$(PROGRAM) completion $${shell%%:*} >build/completion && \
		install -Dm644 build/completion '$(DESTDIR)$(PREFIX)/share/'$${shell#*:} || exit 1; done
	sed 's|/usr/local/bin/|$(PREFIX)/bin/|' gpu/clockguard/systemd/jouletop-clockguard.service >build/unit
	install -Dm644 build/unit '$(DESTDIR)$(UNITDIR)/jouletop-clockguard.service'

# A tarball to unpack into / or a prefix: for any x86-64-v3 machine (AVX2, 2013 and
# later) with the C library of this one or a newer one. The C++ library is linked in.
DIST = build/jouletop-x86-64-v3
dist: ## make build/jouletop-x86-64-v3.tar.gz, a program for other machines
	rm -rf $(DIST)
	$(MAKE) MARCH=x86-64-v3 CGO_LDFLAGS='-static-libstdc++ -static-libgcc' PROGRAM=build/dist/jouletop build
	$(MAKE) PROGRAM=build/dist/jouletop DESTDIR='$(CURDIR)/$(DIST)' install
	install -Dm644 README.md LICENSE -t '$(DIST)$(PREFIX)/share/doc/jouletop'
	tar -C $(DIST) --owner=0 --group=0 --sort=name -czf $(DIST).tar.gz .
	@echo "$(DIST).tar.gz"

run: build ## open the dashboard
	bin/jouletop

test: native ## run every test
	$(GO_ENV) go test -timeout 30m ./...

lint: native ## go vet and staticcheck
	$(GO_ENV) go vet ./...
	$(GO_ENV) go tool staticcheck ./...

# Modules in the program of which there is a newer release. github.com/ollama/ollama
# is pinned: later ones carry no llama.cpp.
outdated: ## modules of which there is a newer release
	@go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{end}}' ./... | sort -u | grep -v '^github.com/ollama/ollama$$' | \
		xargs go list -m -u -e -f '{{if .Update}}{{.Path}} {{.Version}} -> {{.Update.Version}}{{end}}' | grep . || echo "all current"

# The README's pictures, by the program itself from the simulated sessions that the
# dashboard's tests are shown.
PICTURE = $(PROGRAM) replay --config none tui/testdata/sessions/$(1) --picture tui/testdata/tour/$(2).svg
pictures: build ## draw the README's pictures anew
	$(call PICTURE,run,live) --at 9.2s --size 140x42
	$(call PICTURE,run,clock) --at 9.2s --press "f 1 0 0 5"
	$(call PICTURE,serving,serving) --at 3.4s --window 2s
	$(call PICTURE,sweep,curves) --screen curves
	$(call PICTURE,sweep,sweep) --screen sweep
	$(call PICTURE,sweep,compare) --screen compare
	$(call PICTURE,sweep,workload) --screen workload
	$(call PICTURE,sweep,session) --screen session
	$(call PICTURE,sweep,rows) --screen rows
	$(call PICTURE,sweep,terms) --screen curves --press "i"
	$(call PICTURE,run,help) --at 9.2s --press "?"

fmt: ## gofmt
	gofmt -w cmd tui engine gpu workloads

clean: ## remove what was built here
	rm -rf bin build engine/llama/upstream
