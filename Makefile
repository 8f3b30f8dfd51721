# `make help` lists what can be made. Everything real happens in Go programs: test/runner (stages, budgets), test/kube
# (the local cluster) and cmd/trellis; this file only names them.

export GOFLAGS := -trimpath $(filter-out -trimpath,$(GOFLAGS))
VERSION ?= 0.1.0
LDFLAGS := -X github.com/trellis-operator/trellis/internal/cli.Version=$(VERSION)
RUNNER  := go run ./test/runner

.DEFAULT_GOAL := help
.PHONY: help build check verify generate test test-long ci test-peers bench dev up down

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build trellis, trellis-host and trellis-helper into bin/
	@command -v gcc >/dev/null || $(RUNNER) tools
	@test -x bin/trellis-host || echo "building trellis, trellis-host and trellis-helper: seconds, or some minutes the first time"
	@GOBIN=$(CURDIR)/bin go install -ldflags '$(LDFLAGS)' ./cmd/trellis ./cmd/trellis-host
	@GOBIN=$(CURDIR)/bin CGO_ENABLED=0 go install ./cmd/trellis-helper

check: ## build, vet, linters, unit and property tests (no cluster)
	@$(RUNNER) check

verify: ## regenerate everything and demand a clean tree
	@$(RUNNER) verify

generate: ## regenerate deepcopy, OpenAPI and CRD files
	@$(RUNNER) generate

test: ## check, then API semantics and end to end on a real cluster
	@$(RUNNER) test

ci: ## test, then one third-party peer in turn: what .ci/run runs
	@$(RUNNER) ci

test-long: ## failure tests of the store at full length (17 minutes; results: docs/long-tests.md)
	@$(RUNNER) test-long

test-peers: ## third-party peers (PEER=name for one)
	@$(RUNNER) peers $(PEER)

bench: ## measure, print a table, write bench/latest.jsonl
	@$(RUNNER) bench

dev: build ## trellis on this machine without a cluster: hello world answers on localhost:8080
	bin/trellis dev --apply examples/hello/application.yaml

up: ## a local Kubernetes cluster with Trellis and hello world
	@$(RUNNER) up

down: ## remove every trace of the local cluster
	@$(RUNNER) down
