# The daily commands; `make` alone lists them.
#
#   PYTHON=python3.12   which Python makes the environment (3.11 or later)
#   INSTALLER=uv        install with uv instead of pip, from the places that pip is told of
#   TORCH_INDEX=https://download.pytorch.org/whl/cpu
#                       take torch from this index: plain pip on Linux fetches CUDA builds of
#                       several gigabytes, this one the CPU build

PYTHON ?= python3
INSTALLER ?= pip
TORCH_INDEX ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-stamp
TORCH := $(shell sed -n 's/^torch/torch/p' constraints.txt)

# uv does not read pip's configuration: hand it the places that pip would look in.
pip_setting = $(sort $(shell $(PYTHON) -m pip config list 2>/dev/null | sed -n "s/^[^=]*\.$(1)='\(.*\)'$$/\1/p" | sed 's/\\n/ /g'))
UV_SOURCES = $(addprefix --find-links ,$(call pip_setting,find-links)) \
             $(addprefix --default-index ,$(call pip_setting,index-url)) \
             $(addprefix --index ,$(call pip_setting,extra-index-url))

ifeq ($(INSTALLER),uv)
  MAKE_VENV = uv venv --quiet --allow-existing --python "$(PYTHON)" $(VENV)
  INSTALL = uv pip install --quiet --python $(BIN)/python
  SOURCES = $(UV_SOURCES)
else
  MAKE_VENV = "$(PYTHON)" -m venv $(VENV)
  # Byte code is made when a module is first imported: most of what is installed never is.
  INSTALL = $(BIN)/python -m pip install -qq --no-compile
  SOURCES =
endif

# Tests keep to one thread each, so a process a core.
PYTEST = $(BIN)/python -m pytest -q -n auto --maxprocesses 8 --dist worksteal

# Tests start hundreds of processes: without byte code kept, each compiles all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help quick test check setup lint format types docs notebooks board wheel-env wheel-check bench hooks clean

help:  ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)$$/make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

quick: setup  ## play the quick leaderboard and print it (first time: installs)
	@echo "==> playing the quick suite: eight models, two corpora, two proxy judges (two to five minutes)"
	@$(BIN)/mtmbench run quick

test: setup  ## run the whole test suite (first time: installs)
	@echo "==> running the tests (13 minutes on 2 cores)"
	@$(PYTEST) --durations=15

check: lint types  ## before every commit: lint, types and the fast tests (three minutes)
	@echo "==> running the fast tests"
	@$(PYTEST) -m "not slow"

setup: $(STAMP)  ## make .venv and install; again only when the dependencies change

$(STAMP): pyproject.toml setup.py constraints.txt
	@command -v "$(PYTHON)" >/dev/null || { echo "There is no $(PYTHON) here; name a Python of 3.11 or later: make setup PYTHON=/path/to/python"; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "mtmbench needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another: make setup PYTHON=python3.11"; exit 1; }
ifeq ($(INSTALLER),uv)
	@command -v uv >/dev/null || { echo "INSTALLER=uv, but there is no uv on the path; leave INSTALLER out to use pip"; exit 1; }
else
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no ensurepip, so it cannot make an environment with pip in it. On Debian and Ubuntu: sudo apt install python3-venv. Or use uv: make setup INSTALLER=uv"; exit 1; }
endif
	@echo "==> making $(VENV) with $$($(PYTHON) -V) and $(INSTALLER)"
	@$(MAKE_VENV)
	@echo "==> installing mtmbench and its dependencies (a few minutes the first time)"
ifneq ($(TORCH_INDEX),)
	@$(INSTALL) --index-url "$(TORCH_INDEX)" "$(TORCH)"
endif
	@$(INSTALL) $(SOURCES) --constraint constraints.txt --editable '.[dev,docs]'
	@touch $@
	@echo "==> installed; the command is $(BIN)/mtmbench"

lint: setup  ## ruff, and which room may import which (import-linter)
	@echo "==> ruff"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "==> import-linter"
	@$(BIN)/lint-imports --no-logo

format: setup  ## let ruff mend what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: setup  ## mypy --strict
	@echo "==> mypy"
	@$(BIN)/python -m mypy

docs: setup  ## build the pages of docs into site/; dead links and what they would fetch are errors
	@echo "==> building the documentation"
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

notebooks: setup  ## execute the notebooks of docs, and write what they give
	@$(BIN)/python docs/hooks/notebooks.py

board: setup  ## rebuild the committed boards from their records; git shows what changed
	@for suite in leaderboards/*/records.jsonl*; do \
	  echo "==> $$(dirname $$suite)"; $(BIN)/mtmbench board "$$(dirname $$suite)" || exit 1; \
	done
	@git diff --stat --exit-code -- leaderboards && echo "==> the boards are what their records say"

wheel-env: setup  ## build the wheel and install it, with extras that break others, into .wheel-venv
	@PYTHON="$(PYTHON)" TORCH_INDEX="$(TORCH_INDEX)" .ci/wheel install

wheel-check: wheel-env  ## play the quick suite from the wheel, compare, and test these extras
	@.ci/wheel check

bench: setup  ## full-size recovery, coverage, parity and speed (an hour; ratios, not seconds)
	@for script in tests/benchmarks/*.py; do \
	  echo "==> $$script"; $(BIN)/python -P "$$script" || exit 1; \
	done

hooks: setup  ## run lint and types before every commit
	@$(BIN)/pre-commit install

clean:  ## remove what the other commands made, but no runs
	@rm -rf $(VENV) .wheel-venv build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
