# `make` alone prints what there is. Targets are grouped by the ##@ lines and described by what
# follows their ##.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-print-directory

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
FUZZTIME ?= 60s

# The race detector needs a C compiler, the product does not.
RACE := $(if $(shell command -v $${CC:-gcc} || command -v clang),-race)

# Tools are built once into the user's cache, in a directory that is named by the versions of their
# module and of Go, so that a fresh clone finds them. Those whose dependencies conflict with others
# have a module of their own.
tools_of = $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/hallpass/tools/$(shell { go env GOVERSION; cat hack/$1/go.mod hack/$1/go.sum; } | cksum | cut -d' ' -f1)
TOOLS   := $(call tools_of,tools)

CONTROLLER_GEN := $(TOOLS)/controller-gen
GOLANGCI_LINT  := $(TOOLS)/golangci-lint
GOVULNCHECK    := $(TOOLS)/govulncheck
BENCHSTAT      := $(TOOLS)/benchstat
ETCDUTL        := $(call tools_of,etcdutl)/etcdutl
HELM           := $(call tools_of,helm)/helm
KUBE_SCORE     := $(call tools_of,kube-score)/kube-score
PROMTOOL       := $(call tools_of,promtool)/promtool

##@ Try it

.PHONY: run
run: ## Start everything on this machine and fetch a token; Ctrl-C ends it. ARGS="…" goes to hack/run
	@echo "Compiling. Then come seven steps: control plane, installation, manager, token server, samples, token, introspection."
	@mkdir -p bin
	@hack/progress.sh "make run" go build -v -o bin/run ./hack/run
	@# On a terminal the program gets a process group of its own, so that Ctrl-C ends it and not make: exit 0.
	@if [[ -t 0 ]]; then set -m; bin/run $(ARGS); else exec bin/run $(ARGS); fi

##@ Test

# Packages whose tests need the control plane are those that import test/kit/controlplane.
UNIT_PACKAGES = $(shell go list -f '{{.ImportPath}} {{.Imports}} {{.TestImports}} {{.XTestImports}}' ./... \
	| grep -v '/test/kit/controlplane' | cut -d' ' -f1)

MODULE = github.com/hallpass-dev/hallpass
# What these test are processes of their own; the race detector would only slow down who asks them.
# They are built as the product is, so that both share what is compiled. SECOND_LONGEST is one, too:
# it renders and installs by helm, kubectl and kustomize, and reads megabytes of YAML.
BLACK_BOX_PACKAGES = $(addprefix $(MODULE)/test/system/,availability faults revocation attack)
BLACK_BOX          = CGO_ENABLED=0 go test -trimpath
# Modules of their own for callers of Hallpass. Their tests need nothing, and run beside the others.
CLIENT_MODULES     = client client/grpcauth
# The longest of them has a command of its own, so that it begins with the others. The second
# longest begins when those of BLACK_BOX_PACKAGES have ended, so that it is not alone at the end.
LONGEST_PACKAGE    = $(MODULE)/test/e2e
SECOND_LONGEST     = $(MODULE)/test/compat/install

.PHONY: test
test: race-note ## Run every test but what takes long: the core, the reconcilers on a real API server, and the whole journey
	@echo "--- the control plane"
	@CGO_ENABLED=0 go run -trimpath ./test/kit/controlplane/prefetch >/dev/null
	@echo "--- helm, etcdutl and the validators of each promised Kubernetes"
	@$(MAKE) helm etcdutl validators >/dev/null
	@echo "--- the proxies"
	@hack/test-tools.sh || echo "they could not be installed"
	@echo "--- compiling (the first run takes some minutes)"
	@go list -e $(RACE) -export -deps -test ./... >/dev/null
	@echo "--- the modules for callers"
	@$(MAKE) test-client
	@echo "--- tests, in three commands beside each other"
	@failed=0; \
	go test -short $(RACE) -timeout 60m $(LONGEST_PACKAGE) & longest=$$!; \
	{ result=0; $(BLACK_BOX) -short -timeout 60m -p 2 $(BLACK_BOX_PACKAGES) || result=1; \
	$(BLACK_BOX) -short -timeout 60m $(SECOND_LONGEST) || result=1; exit $$result; } & black_box=$$!; \
	go test -short $(RACE) -timeout 60m -p 2 $(filter-out $(LONGEST_PACKAGE) $(SECOND_LONGEST) $(BLACK_BOX_PACKAGES),$(shell go list ./...)) || failed=1; \
	wait $$longest || failed=1; \
	wait $$black_box || failed=1; \
	exit $$failed

.PHONY: long
long: race-note ## Run what make test leaves out, as test/long.txt lists it with its time, as far as it fits. MINUTES=30 ONLY=tests
	@ONLY=$(ONLY) hack/long.sh $(or $(MINUTES),30) $(RACE)

.PHONY: test-unit
test-unit: race-note ## Run the tests that need no control plane
	@go test -short $(RACE) $(UNIT_PACKAGES)

.PHONY: test-client
test-client: race-note ## Run the tests of the modules for callers, client and client/grpcauth
	@for module in $(CLIENT_MODULES); do (cd "$$module" && go test -short $(RACE) ./...) || exit 1; done

.PHONY: test-tools
test-tools: ## Install the proxies that tests start (Debian, as root)
	@hack/test-tools.sh

.PHONY: smuggle
smuggle: ## Send 5,000 smuggling requests through each documented proxy
	@HALLPASS_SMUGGLES=5000 go test -count=1 -v -run TestNothingIsSmuggledPastAProxy ./test/compat/proxies | grep -vE '^(=== |ok)'

.PHONY: histories
histories: ## Replay 10,000 random histories of 200 steps of each reconciler of credentials. HISTORIES=1000
	@HALLPASS_HISTORIES=$(or $(HISTORIES),10000) HALLPASS_HISTORY_STEPS=200 go test -count=1 -timeout 3h -run TestRandomHistoriesOfAClientEndWell ./internal/controller/oauth2client
	@HALLPASS_HISTORIES=$(or $(HISTORIES),10000) HALLPASS_HISTORY_STEPS=200 go test -count=1 -timeout 3h -run TestRandomHistoriesOfATokenEndWell ./internal/controller/oauth2token

.PHONY: faults
faults: ## Put faults back into the code, one by one, and have random histories find each. ONLY="a label"
	@go run ./hack/faults -only '$(ONLY)'

.PHONY: robustness
robustness: ## Attack the token server and login for two minutes: 5,000 slow connections, stream resets, 10,000 wrong secrets a second
	@HALLPASS_HONEST=6000 HALLPASS_SLOW=5000 HALLPASS_WRONG=10000 HALLPASS_CLIENTS=100000 HALLPASS_UNREAD=1000 HALLPASS_UNREAD_SECONDS=10 HALLPASS_IDLE=4085 go test -count=1 -v -timeout 15m ./test/system/attack

.PHONY: outage
outage: ## Take the API server away for an hour under load. OUTAGE=1h
	@HALLPASS_OUTAGE=$(or $(OUTAGE),1h) go test -count=1 -v -timeout 2h -run TestTheAPIServerIsAway ./test/system/availability

.PHONY: soak
soak: ## Keep a replica under load for half an hour with a fault every 30 s, and compare what it takes afterwards. SOAK=30m
	@HALLPASS_SOAK=$(or $(SOAK),30m) HALLPASS_FAULT_EVERY=30s go test -count=1 -v -timeout 2h -run TestNothingGrows ./test/system/availability

.PHONY: upgrade
upgrade: ## Replace all replicas again and again under 1,000,000 requests, behind a balancer that lags by up to 5 s
	@HALLPASS_REQUESTS=$(or $(REQUESTS),1000000) \
		go test -count=1 -v -timeout 3h -run TestNoRequestFails ./test/system/availability

.PHONY: pairings
pairings: ## Run manager and token server of this build and of the release before in each pairing, under 100,000 requests each
	@HALLPASS_PAIRINGS=$(or $(REQUESTS),100000) go test -count=1 -v -timeout 2h -run TestPairings ./test/system/availability

.PHONY: usage
usage: ## Use 5,000 clients at once and count the writes a second that telling of it costs. ACTIVE=20000
	@HALLPASS_ACTIVE=$(or $(ACTIVE),5000) go test -count=1 -v -timeout 60m -run TestManyActiveClients ./test/system/usage

.PHONY: e2e-node
e2e-node: ## Install the chart on a real node, made for it on this machine (Debian, as root; the first run compiles for long)
	@hack/node/packages.sh
	@for module in hack/node/*/; do (cd "$$module" && go mod tidy -diff) || { echo "$$module: run go mod tidy there"; exit 1; }; done
	@HALLPASS_NODE=1 go test -count=1 -v -timeout 3h ./test/compat/node

.PHONY: timing
timing: ## Ask Welch's t-test whether the time of a refusal says why it was refused
	@HALLPASS_TIMING=$(or $(SAMPLES),500000) go test -count=1 -v -timeout 60m -run TestTiming ./internal/tokenserver

.PHONY: battery
battery: ## Send 1,000,000 malformed requests, forged tokens, and forged assertions of each kind
	@HALLPASS_BATTERY=1000000 go test -count=1 -v -timeout 120m -run 'TestForged|TestMalformed' ./internal/tokenserver

.PHONY: kube-score
kube-score: $(KUBE_SCORE) $(HELM) ## Let kube-score judge what the chart installs
	@hack/kube-score.sh $(KUBE_SCORE) $(HELM)

.PHONY: alerts
alerts: $(PROMTOOL) ## Run the tests of the alert rules
	@cd config/monitoring && $(PROMTOOL) check rules alerts.yaml && $(PROMTOOL) test rules alerts_test.yaml

.PHONY: helm
helm: $(HELM) ## Build helm, once for this machine, and print where it is
	@echo $(HELM)

.PHONY: validators
validators: ## Build the validators of each promised Kubernetes, once for this machine, and print where they are
	@hack/validators.sh

.PHONY: etcdutl
etcdutl: $(ETCDUTL) ## Build etcdutl, which restores backups of etcd, once for this machine, and print where it is
	@echo $(ETCDUTL)

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (60s)
	@hack/fuzz.sh $(FUZZTIME)

.PHONY: race-note
race-note:
	@$(if $(RACE),:,echo "no C compiler found: tests run WITHOUT the race detector")

##@ Measure

.PHONY: bench
bench: ## Measure the token server beside the floor. ARGS="-against BINARY -peers -paths '^token' -clients 10 -changes 50"
	@go run ./test/bench $(ARGS)

.PHONY: bench-scale
bench-scale: ## Measure how manager and token server grow with the number of clients; fail if a goal is missed. ARGS="-sizes 1000,10000,100000"
	@go run ./test/bench/scale $(ARGS)

# The Go benchmarks of the hot code, and the stored result that they are compared with.
BENCH_PACKAGES = ./internal/jws ./internal/oauth2 ./internal/revocation ./internal/registration ./internal/directory ./internal/directory/memory ./internal/tokenserver ./internal/extauthz
BENCH_STORED   = test/bench/results/go.txt

.PHONY: benchstat
benchstat: $(BENCHSTAT) ## Compare the Go benchmarks with the stored result; STORE=1 stores what was measured instead
	@mkdir -p bin
	@go test -run='^$$' -bench=. -benchmem -count=6 -benchtime=0.2s $(BENCH_PACKAGES) > bin/bench.txt
	@$(if $(STORE),cp bin/bench.txt $(BENCH_STORED),$(BENCHSTAT) $(BENCH_STORED) bin/bench.txt)

.PHONY: bench-client
bench-client: ## Compare the verifier in Go with the look-up of a string (x-lookup, at most 2) and with a signature (x-signature, at most 1.05)
	@cd client && go test -run='^$$' -bench=. -benchtime=2s -count=3 ./verify

.PHONY: profile
profile: ## Leave CPU and heap profiles of the token server on each path in bin/profiles
	@go run ./test/bench -rounds 1 -profiles bin/profiles $(ARGS)

.PHONY: bench-grants
bench-grants: ## Time changes of consent that concern every client. ARGS="-clients 10000 -resources 100"
	@go run ./test/bench/grants $(ARGS)

.PHONY: bench-cli
bench-cli: ## Time kubectl hallpass, and its console with 10,000 clients; fail if a goal is missed. ARGS="-rounds 20 -clients 1000"
	@go run ./test/bench/cli $(ARGS)
	@HALLPASS_BENCH=1 go test -count=1 -v -run TestTheGoalsOfTenThousandClients ./test/compat/console | grep -vE '^(=== |ok)'

.PHONY: bench-revoke
bench-revoke: ## Time 10,000 revocations to three replicas, kill them, inject errors, and load a million
	@HALLPASS_REVOCATIONS=10000 HALLPASS_FAULTY_REVOCATIONS=10000 HALLPASS_LIVE_REVOCATIONS=1000000 \
		go test -count=1 -v -timeout 20m ./test/system/revocation | grep -vE '^(=== |ok)'

.PHONY: logins
logins: ## Race 10,000 codes at three replicas, and log 10 persons in each second for ten minutes. CODES=10000 LOGINS=10m
	@HALLPASS_CODES=$(or $(CODES),10000) HALLPASS_LOGINS=$(or $(LOGINS),10m) CGO_ENABLED=0 go test -trimpath -count=1 -v -timeout 60m \
		-run 'TestEachCodeIsRedeemedOnce|TestLogins' ./test/system/revocation | grep -vE '^(=== |ok)'

.PHONY: bench-apply
bench-apply: ## Time kubectl apply to Ready and to the first token. ARGS="-clients 200 -rounds 1000 -lag 2s"; ARGS="-against BINARY" fails above -goal 1.05
	@go run ./test/bench/apply $(ARGS)

.PHONY: tenants
tenants: ## Compare an honest tenant beside 20 hostile ones with one beside spinners that take the same CPU. ARGS="-tenants 20 -share 0.3"
	@go run ./test/bench/tenants $(ARGS)

##@ Develop

.PHONY: generate
generate: $(CONTROLLER_GEN) ## Write what is generated: deep copies, CRDs and RBAC from markers in the code, the chart and docs/api.md from config
	@hack/generate.sh $(CONTROLLER_GEN)

.PHONY: format
format: $(GOLANGCI_LINT) ## Format the Go files and order their imports
	@$(GOLANGCI_LINT) fmt

.PHONY: lint
lint: $(GOLANGCI_LINT) $(GOVULNCHECK) ## Run the linters, the API linter and the check for known vulnerabilities
	@echo "--- golangci-lint"
	@$(GOLANGCI_LINT) run --allow-serial-runners
	@for module in $(CLIENT_MODULES); do echo "--- golangci-lint in $$module"; (cd "$$module" && $(GOLANGCI_LINT) run --allow-serial-runners) || exit 1; done
	@echo "--- the rules on who may import whom refuse what they should"
	@hack/test-import-rules.sh $(GOLANGCI_LINT)
	@echo "--- govulncheck"
	@hack/govulncheck.sh $(GOVULNCHECK) . $(CLIENT_MODULES)

.PHONY: verify
verify: $(CONTROLLER_GEN) $(GOLANGCI_LINT) ## Check that generated files, formatting, go.mod and pinned actions are right; changes nothing
	@hack/verify.sh $(CONTROLLER_GEN) $(GOLANGCI_LINT)

# The documentation site has an environment of its own, which is made from PyPI once and then needs
# no network.
DOCS   := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/hallpass/tools/docs-$(shell cksum <hack/docs/requirements.txt | cut -d' ' -f1)
MKDOCS  = NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/python -m mkdocs

.PHONY: docs
docs: $(DOCS)/ready ## Build the documentation site from docs/ and serve it on this machine. PORT=8000
	@$(MKDOCS) serve --config-file hack/docs/mkdocs.yml --dev-addr 127.0.0.1:$(or $(PORT),8000)

.PHONY: docs-check
docs-check: $(DOCS)/ready ## Build the documentation site into bin/_site, or into SITE; a broken link, anchor or entry of its menu fails
	@$(MKDOCS) build --strict --config-file hack/docs/mkdocs.yml $(if $(SITE),--site-dir $(SITE))

.PHONY: docs-tools
docs-tools: $(DOCS)/ready

##@ Build

.PHONY: build
build: ## Build bin/manager, bin/tokenserver, bin/login and bin/kubectl-hallpass
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w -X main.version=$(VERSION)' -o bin/ ./cmd/...

.PHONY: plugin
plugin: ## Build bin/kubectl-hallpass, the plugin of kubectl
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w -X main.version=$(VERSION)' -o bin/ ./cmd/kubectl-hallpass

.PHONY: plugin-archives
plugin-archives: ## Build the plugin for each platform into bin/plugin, its checksums and its manifest for krew. PLATFORMS="linux/amd64 darwin/arm64"
	@hack/plugin.sh $(VERSION) $(shell git log -1 --format=%ct) bin/plugin

.PHONY: image
image: ## Build the images for amd64 and arm64 into bin/images, without a container engine, and their SBOMs
	@go run ./hack/image -out bin/images -version $(VERSION) -source-date-epoch $(shell git log -1 --format=%ct)

.PHONY: verify-image
verify-image: ## Build the images twice, in two places and from nothing, and compare them byte by byte
	@hack/verify-image.sh $(VERSION)

.PHONY: clean
clean: ## Remove what make build and make run left in the tree
	@rm -rf bin .run

##@ Help

.PHONY: help
help: ## Print this
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---------------------------------------------------------------------------------------------------------------------

$(CONTROLLER_GEN): TOOL = sigs.k8s.io/controller-tools/cmd/controller-gen
$(GOVULNCHECK):    TOOL = golang.org/x/vuln/cmd/govulncheck
$(BENCHSTAT):      TOOL = golang.org/x/perf/cmd/benchstat
# golangci-lint with kube-api-linter compiled in.
$(GOLANGCI_LINT):  TOOL = sigs.k8s.io/kube-api-linter/cmd/golangci-lint-kube-api-linter
$(ETCDUTL):        TOOL = go.etcd.io/etcd/etcdutl/v3
$(HELM):           TOOL = helm.sh/helm/v4/cmd/helm
$(KUBE_SCORE):     TOOL = github.com/zegl/kube-score/cmd/kube-score
$(PROMTOOL):       TOOL = github.com/prometheus/prometheus/cmd/promtool

MODULE_OF = tools
$(ETCDUTL) $(HELM) $(KUBE_SCORE) $(PROMTOOL): MODULE_OF = $(@F)
$(GOLANGCI_LINT) $(PROMTOOL): NOTE = ; this takes some minutes

# Some targets print the path of a tool, so messages go to standard error.
$(CONTROLLER_GEN) $(GOLANGCI_LINT) $(GOVULNCHECK) $(BENCHSTAT) $(ETCDUTL) $(HELM) $(KUBE_SCORE) $(PROMTOOL):
	@echo "building $(@F) of hack/$(MODULE_OF), once for this machine$(NOTE)" >&2
	@mkdir -p $(@D)
	@progress=$$PWD/hack/progress.sh; cd hack/$(MODULE_OF) && CGO_ENABLED=0 GOFLAGS= $$progress $(@F) go build -v -trimpath -ldflags='-s -w' -o $@.$$$$ $(TOOL) && mv $@.$$$$ $@

$(DOCS)/ready:
	@echo "installing MkDocs, once for this machine" >&2
	@rm -rf $(DOCS)
	@python3 -m venv $(DOCS)
	@$(DOCS)/bin/pip install --quiet --disable-pip-version-check --requirement hack/docs/requirements.txt
	@touch $@
