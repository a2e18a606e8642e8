# Everything that people and CI run.  From bare Python 3.11 every target sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
INSTALL = VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --require-hashes --compile-bytecode
DEMO_DIR ?= demo

.PHONY: help demo test quick lint types docs bench check long faults versions audit lock clean

help:  ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 10

$(VENV)/uv.stamp: requirements/uv.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "baton needs Python 3.11 or newer; name one with: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.lock
	touch $@

# What a user of the library has: no extras.
$(VENV)/base.stamp: $(VENV)/uv.stamp requirements/base.lock pyproject.toml
	$(INSTALL) -r requirements/base.lock
	VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# What a developer has: base, all extras and the development tools together.
$(VENV)/all.stamp: $(VENV)/base.stamp requirements/all.lock
	$(INSTALL) -r requirements/all.lock
	touch $@

demo: $(VENV)/base.stamp  ## Train, track, check and register a model on the built-in sample, offline
	@mkdir -p $(DEMO_DIR)
	$(BIN)/baton config set source sample --project $(DEMO_DIR)
	$(BIN)/baton run deploy --project $(DEMO_DIR)
	@echo
	@echo "Next, in the folder $(DEMO_DIR):"
	@echo "  ../$(BIN)/baton status              what ran"
	@echo "  ../$(BIN)/baton plan                what would run now, and why"
	@echo "  ../$(BIN)/baton ui                  the run in MLflow's pages"
	@echo "  ../$(BIN)/baton run --cache --max-depth 8   another model; nothing else is computed again"

test: $(VENV)/all.stamp  ## Run the tests; on real data too where BATON_TEST_DATA names it
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

quick: $(VENV)/all.stamp  ## Run within a minute the tests that start no server and train nothing
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m quick

lint: $(VENV)/all.stamp  ## Check style, docstrings and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/all.stamp  ## Check types strictly
	$(BIN)/mypy

docs: $(VENV)/all.stamp  ## Build the documentation into site/
	$(BIN)/python docs/generate.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# Tools that baton is measured against; their versions do not fit beside ours.
.venv-bench/stamp: $(VENV)/uv.stamp requirements/bench.lock
	$(PYTHON) -m venv .venv-bench
	VIRTUAL_ENV=.venv-bench $(UV) pip install --quiet --require-hashes --compile-bytecode -r requirements/bench.lock
	touch $@

bench: $(VENV)/all.stamp .venv-bench/stamp  ## Measure the budgets side by side
	$(BIN)/python -m benchmarks

long: $(VENV)/all.stamp  ## Run the tests that take minutes
	$(BIN)/python -m pytest -m long

faults: $(VENV)/all.stamp  ## Run the tests of faults, long ones too, and record how each ended in the docs
	$(BIN)/python -m pytest -m fault -p tests.record_faults --record-faults docs/explanation/faults.json; ended=$$?; $(BIN)/python docs/generate.py; exit $$ended

versions: $(VENV)/all.stamp  ## Try the ends of the supported ranges of Airflow and Prefect, and record them in the docs
	BATON_RECORD_VERSIONS=1 $(BIN)/python -m pytest -m long tests/install/test_versions.py; ended=$$?; $(BIN)/python docs/generate.py; exit $$ended

audit: $(VENV)/uv.stamp  ## Ask the advisory database about the locked dependencies, where it answers
	$(BIN)/python requirements/audit.py $(UV)

check: lint types test long docs audit  ## Everything that must hold before a release

lock: $(VENV)/uv.stamp  ## Choose the newest versions that fit together, with hashes
	$(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate --extra all --extra dev --output-file requirements/all.lock
	$(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate --extra build --constraint requirements/all.lock --output-file requirements/base.lock
	printf 'doit\npytask\nsnakemake\ndvc\nkedro\n' | $(UV) pip compile - --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate --output-file requirements/bench.lock
	echo 'uv>=0.9' | $(UV) pip compile - --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate --output-file requirements/uv.lock

clean:  ## Remove the environments and everything built
	rm -rf $(VENV) .venv-* $(DEMO_DIR) site dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
