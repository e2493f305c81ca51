# make demo     train on a bundled photograph, sample, write out/demo/index.html
# make test     lint, types and the fast tests (minutes)
# make test-all the same and the long tests: notebooks, trainings, packaging
# make lint | format | types
# make docs     the site in docs/_build/html; offline, warnings are errors
# make dist     sdist and wheel in dist/, and the wheel tried in an empty environment
# make bench    every benchmark of benchmarks/ (long)
# make clean    remove the virtual environment and caches

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# make test-extras  the tests of the page, the cluster and the site, with these extras, in an environment of its own

.PHONY: demo test test-all test-extras lint format types docs dist bench clean
.DEFAULT_GOAL := demo

# The installation is repeated only where pyproject.toml has changed.
$(STAMP): pyproject.toml
	@echo 'Installing into $(VENV) (once, about a minute)'
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(STAMP)
	@$(BIN)/idiff-demo --out=out/demo

test: lint types
	@$(BIN)/python -m pytest -m 'not long'

test-all: test
	@$(BIN)/python -m pytest -m long

lint: $(STAMP)
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --quiet --check

format: $(STAMP)
	@$(BIN)/ruff check --quiet --fix
	@$(BIN)/ruff format --quiet

types: $(STAMP)
	@$(BIN)/mypy --no-error-summary

test-extras:
	@test -x .venv-extras/bin/python || $(PYTHON) -m venv .venv-extras
	@.venv-extras/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,web,cluster,docs]' playwright
	@.venv-extras/bin/python -m pytest -m 'long or not long' -n 0 tests/web tests/bin/cluster_test.py tests/docs_test.py

docs: $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@$(BIN)/python -m sphinx -q -W -b doctest docs docs/_build/doctest

dist: $(STAMP)
	@rm -rf dist
	@$(BIN)/python -m build --outdir dist
	@$(BIN)/python -m pytest -m long -n 0 tests/packaging_test.py

bench: $(STAMP)
	@$(BIN)/python -m benchmarks.exactness
	@$(BIN)/python -m benchmarks.throughput
	@$(BIN)/python -m benchmarks.patch_quality
	@$(BIN)/python -m benchmarks.experiments
	@$(BIN)/python -m benchmarks.generation
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@$(BIN)/python -m benchmarks.flow
	@$(BIN)/python -m benchmarks.video
	@$(BIN)/python -m benchmarks.restoration
	@$(BIN)/python -m benchmarks.report

clean:
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache
