# make book and make test are all most people need; `make help` lists the rest.
# They create .venv themselves. To use an environment of your own: make book PY=python
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV ?= .venv
STAMP := $(VENV)/.offclip-installed
PARAMS ?= laptop
# The Python that creates .venv: python3 if it is new enough, else the newest found.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
CORES := $(shell nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 2)

ifeq ($(origin PY),undefined)
PY := $(VENV)/bin/python
ENV := $(STAMP)
else
ENV :=
endif

export OMP_NUM_THREADS ?= $(shell echo $$(( $(CORES) < 8 ? $(CORES) : 8 )))
export MKL_NUM_THREADS ?= $(OMP_NUM_THREADS)
export PYTHONHASHSEED ?= 0
export PYTHONUNBUFFERED = 1
export HF_HUB_OFFLINE ?= 1
export TRANSFORMERS_VERBOSITY ?= error
export TOKENIZERS_PARALLELISM ?= false
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help env test book lint types unit notebooks-test check-long fuzz refresh-notebooks results-table format clean clean-runs

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 18

env: $(ENV) ## create .venv with the pinned requirements

$(STAMP): requirements.txt pyproject.toml
	@if [ -z "$(PYTHON)" ]; then \
	  echo "Python 3.11 or newer is needed; found: $$(python3 --version 2>&1 || echo none)." >&2; \
	  echo "Install a newer one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; \
	  exit 1; fi
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.exit( \
	  None if sys.version_info >= (3, 11) else \
	  f"Python 3.11 or newer is needed; $(PYTHON) is {v}. Name a newer one: make PYTHON=/path/to/python3.12")'
	@echo "== environment: $(VENV) with $$($(PYTHON) --version) (about 3 minutes, 2 GB)"
	$(PYTHON) -m venv $(VENV) || { echo "python -m venv failed; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(VENV)/bin/python -m pip install -r requirements.txt
	$(VENV)/bin/python -m pip install --no-deps -e .
	@touch $@

test: lint types unit notebooks-test ## lint, types, unit tests, notebooks against their stored outputs

lint: $(ENV) ## ruff, and the form of the notebooks
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m book.notebook_sources --check

format: $(ENV) ## mend what lint can mend by itself
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .
	$(PY) -m book.notebook_sources

types: $(ENV) ## mypy on the package and the book's scripts
	$(PY) -m mypy offclip book

unit: export MPLBACKEND = agg
unit: $(ENV) ## the unit tests and the book's own checks
	$(PY) -m pytest tests

notebooks-test: export MPLBACKEND = module://matplotlib_inline.backend_inline
notebooks-test: $(ENV) ## every notebook at its defaults, compared with its stored outputs
	$(PY) -m pytest --nbval --nbval-current-env notebooks

refresh-notebooks: $(ENV) ## store the checked outputs of the notebooks anew (NOTEBOOKS="01_why_normal …")
	$(PY) -m book.notebook_sources --refresh $(NOTEBOOKS)

check-long: $(ENV) ## a run killed 20 times, mutation testing of the losses (about eight minutes)
	OFFCLIP_KILLS=20 $(PY) -m pytest tests/training/test_resume.py
	$(PY) -m pip install --quiet "mutmut==3.8.1"
	$(PY) -m benchmarks.mutation --record book/results/mutation.csv

fuzz: $(ENV) ## coverage-guided fuzzing of the report reader, for SECONDS=180
	$(PY) -m pip install --quiet "atheris==3.0.0"
	$(PY) tests/text/fuzz_report.py --seconds $(or $(SECONDS),180)

results-table: $(ENV) ## write the README's results table from book/results
	$(PY) -m book.results_table

book: $(ENV) ## execute every notebook at PARAMS=laptop and build the book
	$(PY) -m book.build --params $(PARAMS)

clean: ## remove the built pages, executed notebooks and caches; runs and downloads stay
	rm -rf book/_build book/notebooks build dist .pytest_cache .mypy_cache .ruff_cache
	@echo "kept: runs/ (make clean-runs), $(VENV)/, book/vendor/, and what was fetched into the cache"

clean-runs: $(ENV) ## remove what offclip made in runs/: data, trained runs, scores; it asks first
	$(PY) -m offclip remove runs
