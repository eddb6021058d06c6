PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

# install: where to, and a packager's root to put before it
PREFIX ?= /usr/local
DESTDIR ?=
LIB := $(PREFIX)/lib/sithctl
SHARE := $(DESTDIR)$(PREFIX)/share

.PHONY: help setup demo bench bench-gpu test lint type docs experiments drift install uninstall clean

help: ## Show what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make .venv and install everything into it

$(STAMP): pyproject.toml
	@test -e $@ || echo 'The first time installs everything into $(VENV): about two minutes.'
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "sithctl needs Python 3.11 or newer: make PYTHON=python3.12 …"; exit 1; }
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	for s in 1 5 7; do mkdir -p $(VENV)/share/man/man$$s && \
	  ln -sfn '$(CURDIR)'/man/*.$$s $(VENV)/share/man/man$$s || exit 1; done
	mkdir -p $(VENV)/share/bash-completion/completions # found by PATH, as man pages are
	ln -sfn '$(CURDIR)/completions/sithctl' $(VENV)/share/bash-completion/completions
	touch $@

demo: setup ## Explain a head of the bundled model
	HF_HUB_OFFLINE=1 $(BIN)/sithctl explain --layer 5 --head 0 </dev/null

test: setup lint type drift ## Lint, types, drift of generated files, tests
	$(BIN)/python -m pytest

bench: setup ## Measure against the published way
	$(BIN)/python -m tests.bench --json bench.json

bench-gpu: setup ## Measure the search on a GPU
	$(BIN)/python -m tests.bench gpu --json bench-gpu.json

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

# The program lives in an environment of its own, for its libraries are large and nobody else's; a
# launcher, man pages and completions go where shells and man look. PIP says how to get libraries.
install: ## Install below PREFIX (/usr/local; $HOME/.local is yours alone): program, man, completions
	case '$(PREFIX)' in /*) ;; *) echo 'PREFIX must begin with /'; exit 1; esac
	rm -rf build # setuptools would install what an older build left
	$(PYTHON) -m venv --clear '$(DESTDIR)$(LIB)'
	'$(DESTDIR)$(LIB)/bin/python' -m pip install --quiet $(PIP) '$(or $(WHEEL),.)'
	install -d '$(DESTDIR)$(PREFIX)/bin'
	printf '#!/bin/sh\nexec "%s" -m sithctl "$$@"\n' '$(LIB)/bin/python' > '$(DESTDIR)$(PREFIX)/bin/sithctl'
	chmod 755 '$(DESTDIR)$(PREFIX)/bin/sithctl'
	for s in 1 5 7; do install -d "$(SHARE)/man/man$$s" && \
	  install -m 644 man/*.$$s "$(SHARE)/man/man$$s" || exit 1; done
	install -d '$(SHARE)/bash-completion/completions' '$(SHARE)/zsh/site-functions' \
	  '$(SHARE)/fish/vendor_completions.d'
	install -m 644 completions/sithctl '$(SHARE)/bash-completion/completions'
	install -m 644 completions/_sithctl '$(SHARE)/zsh/site-functions'
	install -m 644 completions/sithctl.fish '$(SHARE)/fish/vendor_completions.d'

uninstall: ## Remove what install put there, from the same PREFIX
	rm -rf '$(DESTDIR)$(LIB)'
	rm -f '$(DESTDIR)$(PREFIX)/bin/sithctl' '$(SHARE)'/man/man[157]/sithctl.1 \
	  '$(SHARE)'/man/man[157]/sithctl-*.[157] '$(SHARE)/bash-completion/completions/sithctl' \
	  '$(SHARE)/zsh/site-functions/_sithctl' '$(SHARE)/fish/vendor_completions.d/sithctl.fish'

clean: ## Remove .venv and caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
