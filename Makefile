# rerank-operator: everything a person types. `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
RUN := $(BIN)/python -m
# Only a context that is given on the command line is used; the shell's own KUBECONFIG is left alone.
GIVEN_KUBECONFIG := $(if $(filter command line,$(origin KUBECONFIG)),--kubeconfig $(KUBECONFIG))

##@ See it work
.PHONY: demo demo-down
demo: install ## A real node, a real vLLM, a verified reranker, and a Milvus search before and after (your own cluster: KUBECONFIG=..., DEMO_OPERATOR_IMAGE=...)
	@$(if $(GIVEN_KUBECONFIG),,$(RUN) tests.cluster packages)
	@$(RUN) tests.demo up $(GIVEN_KUBECONFIG)
demo-down: install ## Remove what the demo made
	@$(RUN) tests.demo down $(GIVEN_KUBECONFIG)

##@ Work on it
.PHONY: install fmt lint check test bench generate image
install: .venv/.synced ## Install everything into .venv; gives .venv/bin/rerank-operator
fmt: install ## Format the code
	@$(BIN)/ruff format -q .
	@$(BIN)/ruff check -q --fix .
lint: install ## Formatting, rules, types, import contracts, generated files
	@$(BIN)/ruff format --check -q .
	@$(BIN)/ruff check -q .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports
	@$(RUN) tests.contract.generate --check
	@$(RUN) tests.contract.reasons_page
	@$(RUN) tests.contract.spec_page
	@$(RUN) tests.contract.models_page
check: lint ## The fast part of the tests, in about a minute
	@$(BIN)/pytest -q -m "not control_plane and not node" tests/unit tests/contract
test: lint ## All tests: unit, contract, a real API server, and the real node with the real vLLM
	@$(RUN) tests.cluster packages
	@$(RUN) tests.cluster binaries
	@$(RUN) tests.engine environment
	@$(RUN) tests.engine models
	@$(RUN) tests.apps environments
	@$(BIN)/pytest --durations=25
bench: install ## Measure the budgets; table and build/bench/*.json
	@$(RUN) tests.cluster packages
	@$(RUN) tests.cluster binaries
	@$(RUN) tests.bench
generate: install ## Write every file that is made from another
	@$(RUN) tests.contract.generate
	@$(RUN) tests.contract.reasons_page --write
	@$(RUN) tests.contract.spec_page --write
	@$(RUN) tests.contract.models_page --write
image: install ## Build the operator's image without a daemon
	@$(RUN) tests.images operator

##@ A cluster of your own
.PHONY: cluster cluster-down
cluster: install ## A real Kubernetes node in a network namespace; writes .cluster/kubeconfig
	@$(RUN) tests.cluster packages
	@$(RUN) tests.cluster binaries
	@$(RUN) tests.cluster up
cluster-down: install ## Stop the node; leaves nothing behind but the cache
	@$(RUN) tests.cluster down

##@ Other
.PHONY: help clean
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
clean: ## Remove what was built in this folder (the cache stays)
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

.venv/.synced: pyproject.toml uv.lock
	@test -x $(BIN)/uv || { $(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet --disable-pip-version-check uv; }
	@$(BIN)/uv sync --frozen --quiet
	@touch $@
