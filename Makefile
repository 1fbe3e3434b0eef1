# Keelway. `make help` lists what there is. A machine with Go (and a shell, make, git) is enough for every target but image.
SHELL := /bin/sh
BIN := $(CURDIR)/bin
GO ?= go
CONTROLLER_GEN := $(BIN)/controller-gen
BENCHSTAT := $(BIN)/benchstat
# Packages that are tested at once: each may have a control plane of its own (0.5 GB), and much of their time is waiting, but an API server
# that waits for a processor for seconds makes a leader end.
TEST_PARALLEL ?= 2
# Packages with test functions named TestReal….
REAL_PACKAGES := ./hack/debian/... ./internal/transport/... ./internal/provider/local/... ./hack/e2e

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-zA-Z_-]+:.*## /{printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: build ## three servers, an etcd cluster across them, a check; CRASH=1 kills the operator, FAIL=1 breaks it, KEEP=1 leaves it running, DRIVER=Docker makes them real Debian
	@CRASH=$(CRASH) FAIL=$(FAIL) KEEP=$(KEEP) DRIVER=$(DRIVER) $(BIN)/demo

.PHONY: demo-clouds
demo-clouds: build ## one workflow over simulated UpCloud, EC2 and a local cloud, the operator killed in the middle; servers, ids and cost
	@$(BIN)/democlouds

.PHONY: test
test: ## every test: unit, property, conformance, and the suites against a real API server
	@$(GO) run ./hack/controlplane/cmd/controlplane build
	KEELWAY_REQUIRE_LAB=1 $(GO) test -p $(TEST_PARALLEL) ./...

.PHONY: e2e
e2e: ## the operator's program under kills, faults, frozen leaders and bad input: the long form, which takes about forty minutes
	@$(GO) run ./hack/controlplane/cmd/controlplane build
	KEELWAY_REQUIRE_LAB=1 KEELWAY_LONG=1 $(GO) test -count=1 -timeout 30m -v ./hack/e2e
	KEELWAY_REQUIRE_LAB=1 KEELWAY_LONG=1 $(GO) test -count=1 -timeout 90m -v -run TestCrashSuite ./controllers/server

.PHONY: test-real
test-real: ## the suites that need real Debian servers: transports, drivers, the operator (docker.io, debootstrap, root)
	@$(GO) run ./hack/controlplane/cmd/controlplane build
	$(GO) run ./hack/debian/cmd/debian run -- env KEELWAY_REQUIRE_LAB=1 $(GO) test -count=1 -timeout 30m -p 1 -run 'Real' $(REAL_PACKAGES)

.PHONY: test-unit
test-unit: ## only what needs no API server (-short)
	$(GO) test -short ./...

.PHONY: build
build: ## the operator, the command line and the demo, into bin/
	@$(GO) build -o $(BIN)/ ./cmd/... ./hack/demo ./hack/democlouds

# Where the command line is installed, as keelway and as a plug-in of kubectl, which completes it by asking another program.
PREFIX ?= /usr/local

.PHONY: install
install: build ## keelway and kubectl-keelway into $(PREFIX)/bin, manual pages into $(PREFIX)/share/man
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 0755 $(BIN)/keelway $(DESTDIR)$(PREFIX)/bin/keelway
	ln -sf keelway $(DESTDIR)$(PREFIX)/bin/kubectl-keelway
	ln -sf keelway $(DESTDIR)$(PREFIX)/bin/kubectl_complete-keelway
	install -m 0644 docs/cli/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1/

.PHONY: generate
generate: $(CONTROLLER_GEN) ## code, CRDs and roles from the types' and controllers' markers
	$(CONTROLLER_GEN) object paths=./api/...
	$(CONTROLLER_GEN) crd paths=./api/... output:crd:dir=config/crd/bases
	$(CONTROLLER_GEN) rbac:roleName=keelway-manager paths=./controllers/... output:rbac:dir=config/rbac
	$(GO) run ./hack/verify/charts
	$(GO) run ./hack/verify/reference

$(CONTROLLER_GEN): hack/tools/go.mod
	@mkdir -p $(BIN)
	$(GO) build -C hack/tools -o $@ sigs.k8s.io/controller-tools/cmd/controller-gen

.PHONY: verify
verify: generate ## regenerate, format, vet, tidy; fails when that changes anything
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not formatted:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(GO) mod tidy -diff
	@git diff --exit-code -- api config charts docs/cli || { echo "generated files are stale: commit what 'make generate' wrote"; exit 1; }

.PHONY: guards
guards: ## break each guard of the house in a copy and demand that its test turns red (docs/track-record.md)
	$(GO) run ./hack/verify/guards

.PHONY: bench
bench: ## how fast workflows run on a real API server, beside the floor of what must be written; ONLY=REGEXP chooses loads, ROUNDS=5
	@$(GO) run ./hack/controlplane/cmd/controlplane build >/dev/null
	$(GO) run ./hack/bench -rounds $(or $(ROUNDS),5) -only '$(ONLY)' $(if $(ONLY),,-out docs/benchmarks.md) $(if $(FORCE),-force)

.PHONY: bench-go
bench-go: ## Go benchmarks of the deciding packages, with allocations
	$(GO) test -run '^$$' -bench . -benchmem ./internal/dag ./internal/saga ./internal/plan

.PHONY: bench-compare
bench-compare: $(BENCHSTAT) ## the same beside those of BASE=REVISION (HEAD), in turn, COUNT=6 times, as benchstat tells the difference; BENCH=REGEXP chooses
	@hack/bench/compare.sh $(BENCHSTAT) $(or $(BASE),HEAD) $(or $(COUNT),6) '$(or $(BENCH),.)'

$(BENCHSTAT): hack/tools/go.mod
	@mkdir -p $(BIN)
	$(GO) build -C hack/tools -o $@ golang.org/x/perf/cmd/benchstat

.PHONY: controlplane
controlplane: ## build the control plane of tests and demo into the cache
	$(GO) run ./hack/controlplane/cmd/controlplane build

.PHONY: image
image: ## the operator's container image (needs Docker)
	docker build -t keelway/manager:dev .

.PHONY: clean
clean: ## remove bin/; the cached control plane stays
	rm -rf $(BIN)
