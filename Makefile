PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.PHONY: help setup demo bench test lint type docs experiments drift clean

help: ## Show what make can do
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make .venv and install everything into it

$(STAMP): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "sithctl needs Python 3.11 or newer: make PYTHON=python3.12 …"; exit 1; }
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: setup ## Explain a head of the bundled model
	HF_HUB_OFFLINE=1 $(BIN)/sithctl explain --layer 5 --head 0 </dev/null

test: setup lint type drift ## Lint, types, drift of generated files, tests
	$(BIN)/python -m pytest

bench: setup ## Measure against the published way
	$(BIN)/python -m tests.bench.search --json bench.json

lint: setup ## Style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: setup ## Types
	$(BIN)/mypy

docs: setup ## Write man pages, completions and the README's pictures again
	cache=$$(mktemp -d) && SITHCTL_CACHE=$$cache $(BIN)/python -m sithctl.commands.manual; \
	  status=$$?; rm -rf "$$cache"; exit $$status
	UPDATE_SNAPSHOTS=1 $(BIN)/python -m pytest -q tests/test_help.py

experiments: setup ## Do the paper's experiments, and write the README's table and curves of them
	found=$$(mktemp -d) && $(BIN)/sithctl reproduce all -o "$$found" && \
	  $(BIN)/python -m sithctl.commands.manual --experiments "$$found"; \
	  status=$$?; rm -rf "$$found"; exit $$status

drift: setup ## Fail when something generated is out of date
	$(BIN)/python -m sithctl.commands.manual --check

clean: ## Remove .venv and caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
