# The commands of the project. They need git, make and Python 3.11 or newer, nothing else.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
BIN = $(VENV)/bin

DISTRIBUTIONS = telemetry_core telemetry_http telemetry_migrate plugins/telemetry_host plugins/telemetry_postgres
MANIFESTS = pyproject.toml $(DISTRIBUTIONS:%=%/pyproject.toml)

# The name holds the interpreter, so that another PYTHON makes the environment anew.
MADE = $(VENV)/made-by-$(subst /,_,$(PYTHON))
INSTALLED = $(VENV)/installed
BENCHES = $(VENV)/installed-bench

# All in one command: a sibling left out would be looked up on the index.
INSTALL = install --quiet --group dev $(DISTRIBUTIONS:%=--editable ./%)

.DEFAULT_GOAL = help
.PHONY: help setup run test test-faults test-api lint format types bench openapi constraints wheels clean

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile
	@echo 'PYTHON=python3.12 VENV=.venv-3.12 choose another Python and its own environment.'

setup: $(INSTALLED)  ## install everything into .venv

run: setup  ## start the service and record this machine's own telemetry
	@$(BIN)/telemetry run --collect host $(ARGS)

test: setup  ## run every test, or those that ARGS= names
	@$(BIN)/python -m pytest --numprocesses logical --maxprocesses 8 $(ARGS)

test-faults: setup  ## try every fault there is on the files of a site: half an hour
	@FAULTS=long $(BIN)/python -m pytest --numprocesses logical --maxprocesses 8 tests/faults tests/migrate/test_kill.py $(ARGS)

test-api: setup  ## ask the service for an hour whatever its description allows
	@TELEMETRY_API_EXAMPLES=20000 $(BIN)/python -m pytest tests/http/service/test_api.py $(ARGS)

lint: setup  ## check style, format and who imports whom
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/lint-imports --no-logo

format: setup  ## format the code and mend what can be mended
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

types: setup  ## check the types
	@$(BIN)/mypy

$(BENCHES): $(INSTALLED)
	@$(BIN)/python -m pip install --quiet --group bench --constraint constraints.txt || \
	    echo 'the old stack cannot be installed, so it is left out' >&2
	@touch $@

bench: $(BENCHES)  ## measure against the floor and against peers
	@$(BIN)/python -m benchmarks $(ARGS)

openapi: setup  ## renew docs/openapi.json after a change of a route
	@$(BIN)/python -m telemetry_http.openapi > docs/openapi.json.new
	@mv docs/openapi.json.new docs/openapi.json

wheels: setup  ## build every wheel and sdist into dist/
	@rm -rf dist
	@for each in $(DISTRIBUTIONS); do \
	    $(BIN)/python -m build --no-isolation --outdir dist $$each || exit 1; \
	done

constraints:  ## pin the newest versions that the oldest supported Python can have
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "pin with Python 3.11: make constraints PYTHON=python3.11")'
	@rm -rf $(VENV)-constraints
	@$(PYTHON) -m venv $(VENV)-constraints
	@$(VENV)-constraints/bin/python -m pip install --quiet --upgrade pip
	@$(VENV)-constraints/bin/python -m pip $(INSTALL)
	@{ echo '# Made by `make constraints` on the oldest supported Python, so that every newer one can have the same.'; \
	    $(VENV)-constraints/bin/python -m pip freeze --exclude-editable; } > constraints.txt
	@rm -rf $(VENV)-constraints

clean:  ## remove the environment and whatever was built
	@rm -rf $(VENV) dist build htmlcov .coverage* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find telemetry_* plugins tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

$(MADE):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "telemetry needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] + "; name another: make setup PYTHON=python3.12")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo '$(PYTHON) cannot make environments; on Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }
	@echo 'making $(VENV) with $(PYTHON)'
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.3'
	@touch $@

$(INSTALLED): $(MADE) $(MANIFESTS) constraints.txt
	@echo 'installing into $(VENV)'
	@$(BIN)/python -m pip $(INSTALL) --constraint constraints.txt --build-constraint constraints.txt
	@touch $@
