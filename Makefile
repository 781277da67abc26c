# The README's two commands are `make demo` and `make test`. Each sets up what it needs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test test-spire test-capture test-image test-apiserver test-cluster test-prometheus coverage test-k8s check bench chart conformance scorecard clean lock metric-pages dashboards

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

# Branch coverage that `make coverage` asks for, in per cent: of the core, and of everything else.
COVERED_CORE := 97
COVERED_REST := 93
CORE_FILES := proxy/outrider/core/*,proxy/outrider/protocols/*,proxy/outrider/policy/*,$\
	proxy/outrider/audit/*,proxy/outrider/pipeline/*,proxy/outrider/credentials/*
# These run in processes of their own, which are not measured.
CHILD_FILES := proxy/outrider/cli/demo/scripts/*

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

$(VENV)/.run: requirements.lock pyproject.toml
	@echo "==> setting up $(VENV) (once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	@echo "==> installing what tests need (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --no-binary forbiddenfruit -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

demo: $(VENV)/.run ## a governed agent in one terminal (ARGS='--engine opa', ARGS=--keep, ARGS=--spire)
	@$(BIN)/outrider demo $(ARGS)

test: $(VENV)/.dev ## the whole suite, with the pinned real OPA where it can be had
	@$(BIN)/python -m tests.support.prepare
	@$(BIN)/python -m pytest -q -rs $(ARGS)

test-spire: $(VENV)/.dev ## what stands on real SPIRE; built where Go is, else it says what it skips
	@$(BIN)/python -m tests.support.prepare spire
	@$(BIN)/python -m pytest -q -rs -m spire tests/e2e/spire $(ARGS)

test-image: $(VENV)/.dev ## our container image, built and run by podman; it says what it skips
	@$(BIN)/python -m tests.support.prepare opa containers
	@$(BIN)/python -m pytest -q -rs -m image -o faulthandler_timeout=0 tests/image $(ARGS)

test-apiserver: $(VENV)/.dev ## chart, webhook and admission policies on a real API server; it says what it skips
	@$(BIN)/python -m tests.support.prepare helm kubernetes
	@$(BIN)/python -m pytest -q -rs -m apiserver -o faulthandler_timeout=0 tests/apiserver $(ARGS)

test-k8s: $(VENV)/.dev ## the chart by Helm 3 and 4 through every linter; capture, image and API server; says what it skips
	@$(BIN)/python -m tests.support.prepare opa helm kubeconform containers kubernetes nft
	@$(BIN)/python -m pytest -q -rs -o faulthandler_timeout=0 -m 'k8s or capture or image or apiserver' \
		tests/chart $(wildcard tests/capture) tests/image tests/apiserver $(ARGS)

test-capture: $(VENV)/.dev ## capture in network namespaces: real kernel, nft and proxy (needs root)
	@$(BIN)/python -m tests.support.prepare nft
	@$(BIN)/python -m pytest -q -rs -m capture tests/capture $(ARGS)

test-prometheus: $(VENV)/.dev ## real Prometheus and Alertmanager: every alert, every panel, a sidecar under load
	@$(BIN)/python -m tests.support.prepare prometheus
	@$(BIN)/python -m pytest -q -rs -m prometheus -o faulthandler_timeout=0 tests/e2e/prometheus $(ARGS)

test-cluster: $(VENV)/.dev ## all of it on a real node of one's own (root, Go once); it says what it skips
	@$(BIN)/python -m tests.support.prepare opa spire helm prometheus containers kubernetes
	@$(BIN)/python -m pytest -q -rs -p no:randomly -m cluster -o faulthandler_timeout=0 tests/cluster $(ARGS)

coverage: $(VENV)/.dev ## the suite under branch coverage, and what it does not reach
	@$(BIN)/python -m tests.support.prepare
	@$(BIN)/coverage run -m pytest -q -rs $(ARGS)
	@failed=0; \
	echo "==> core (at least $(COVERED_CORE) %)"; \
	$(BIN)/coverage report -m --skip-covered --include '$(CORE_FILES)' \
		--fail-under $(COVERED_CORE) || failed=1; \
	echo "==> the rest (at least $(COVERED_REST) %)"; \
	$(BIN)/coverage report -m --skip-covered --omit '$(CORE_FILES),$(CHILD_FILES)' \
		--fail-under $(COVERED_REST) || failed=1; \
	exit $$failed

check: $(VENV)/.dev ## formatting, lint, types, import contracts, policy lint
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/outrider policy lint
	@$(BIN)/python -m tests.support.rego_check

conformance: $(VENV)/.dev ## the public MCP server suite, directly and through Outrider
	@$(BIN)/python -m tests.conformance.run $(ARGS)

scorecard: $(VENV)/.dev ## AgentDojo's attacks through the real sidecar (ARGS=--whole, ARGS='--engine opa')
	@$(BIN)/python -m tests.scorecard $(ARGS)

bench: $(VENV)/.dev ## the table of CPU, latency and memory beside Envoy's
	@$(BIN)/python -m tests.bench $(ARGS)

metric-pages: $(VENV)/.dev ## write the list, page and dump of the metrics anew
	@$(BIN)/python -m tests.support.metric_pages

chart: $(VENV)/.dev ## the chart's README, descriptions and copies, written anew
	@$(BIN)/python -m tests.support.chart_docs

dashboards: $(VENV)/.dev ## write the Grafana dashboards anew from their source
	@$(BIN)/python -m deploy.grafana.render

lock: ## resolve the lock files anew (needs uv)
	@uv pip compile --quiet --universal --generate-hashes --no-annotate --python-version 3.11 \
		--exclude-newer "$$(date -d '7 days ago' +%F)" --custom-compile-command 'make lock' \
		pyproject.toml -o requirements.lock
	@uv pip compile --quiet --universal --generate-hashes --no-annotate --python-version 3.11 \
		--exclude-newer "$$(date -d '7 days ago' +%F)" --custom-compile-command 'make lock' \
		--extra dev pyproject.toml -o requirements-dev.lock

clean: ## remove what was made here
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
