# Everything a person does with this repository, by name. Needs Python 3.11+ (with venv) and make; it installs the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := help
.PHONY: help setup demo test check format lint types layers sizes fix bench clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.naq: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "naq needs Python 3.11 or later: make PYTHON=python3.11 ...")'
	@echo "setting up $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $@

$(VENV)/.tools: $(VENV)/.naq
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group tools
	@touch $@

setup: $(VENV)/.tools ## create .venv with naq and the tools

demo: $(VENV)/.naq ## run real jobs on the bundled broker and watch their states
	@$(BIN)/python examples/demo

# Most of their time tests wait, so that more of them than there are cores do not disturb each other; how they are shared
# out is said in tests/sharing.py. What fails is run once more, alone: that a busy machine was late is no defect, that it
# fails twice is.
PYTEST := $(BIN)/python -m pytest
WORKERS ?= 4

test: $(VENV)/.tools ## run the tests (under 15 minutes on 2 cores); ARGS="..." runs pytest with these instead
ifdef ARGS
	$(PYTEST) $(ARGS)
else
	$(PYTEST) -q -n $(WORKERS) --dist loadfile || $(PYTEST) --last-failed --last-failed-no-failures none
endif

check: $(VENV)/.tools ## format, lint, types, layers, file sizes, beside each other
	@$(MAKE) --no-print-directory --jobs 2 --keep-going types format lint layers sizes

format: $(VENV)/.tools ## fail where the code is not formatted (fix: make fix)
	$(BIN)/ruff format --check .

lint: $(VENV)/.tools ## ruff
	$(BIN)/ruff check .

types: $(VENV)/.tools ## pyright, strict, on src and tests
	$(BIN)/basedpyright

layers: $(VENV)/.tools ## import-linter: no module imports from a layer above it
	$(BIN)/lint-imports --no-logo

sizes: $(VENV)/.tools ## no file over 400 lines, no exceptions
	$(BIN)/python tools/sizes.py

fix: $(VENV)/.tools ## format and mend what ruff can mend
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: $(VENV)/.tools ## benchmarks against peers and the raw client (minutes; see benchmarks/README.md)
	$(BIN)/python -m benchmarks $(ARGS)

clean: ## remove everything that was made here
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache .naq
