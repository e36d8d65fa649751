# Everything starts here. `make demo` and `make test` need only Python 3.11+ and make.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
# Tests mostly wait. A process that died is a failure: where another one is started, pytest-xdist may hang.
PARALLEL := --numprocesses 4 --max-worker-restart 0

# Which third of the fault tests: 0 goes by the day, so that three days in a row run all of them.
SEED ?= 0

.PHONY: help install demo test test-faults test-faults-all simulate lint bench bench-quick lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The stamp makes installation a no-op until the lock file or the package's metadata change.
.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Sluice needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.11")'
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments: install its venv package (Debian and Ubuntu: python3-venv)." >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

install: .venv/installed ## make .venv with the sluice command, from the lock file

demo: install ## the main job on a recorded day, on an embedded PostgreSQL and broker
	$(BIN)/sluice demo

test: install ## every test but the fault suite (those on real Kafka with Java and Maven)
	$(BIN)/python -m pytest $(PARALLEL)

test-faults: install ## a third of the fault tests, on real Kafka; SEED=1, 2, 3 chooses which
	$(BIN)/python -m pytest tests/faults --third $(SEED)

test-faults-all: install ## every fault test
	$(BIN)/python -m pytest tests/faults

simulate: install ## thousands of schedules of the engine, simulated; a seed that fails is printed
	$(BIN)/python -m tests.simulation --schedules 5000

lint: install ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Peers come on top of what is installed; Quix Streams asks for older versions and gets an environment of its own.
.venv/bench: .venv/installed benchmarks/requirements.lock benchmarks/requirements-quix.lock
	$(PIP) install --require-hashes -r benchmarks/requirements.lock
	$(BIN)/python -m venv --clear .venv/quix
	.venv/quix/bin/python -m pip --quiet --disable-pip-version-check install --require-hashes -r benchmarks/requirements-quix.lock
	@touch $@

bench: .venv/bench ## speed beside the bare floor and other libraries, on real Kafka: at most 40 minutes
	$(BIN)/python -m benchmarks

bench-quick: install ## fails if inbound has lost more than 15 % of its ratio to the floor
	$(BIN)/python -m benchmarks --quick

# The smaller lock files take their versions from the big one: what the image runs is what was tested.
lock: install ## renew the lock files within the ranges of pyproject.toml
	$(COMPILE) --upgrade --extra embedded --extra dev pyproject.toml --output-file requirements.lock
	$(COMPILE) --constraint requirements.lock pyproject.toml --output-file requirements-runtime.lock
	$(COMPILE) --upgrade --constraint requirements.lock --group bench --output-file benchmarks/requirements.lock
	$(COMPILE) --upgrade --group bench-quix --output-file benchmarks/requirements-quix.lock
	echo hatchling | $(COMPILE) --constraint requirements.lock - --output-file deploy/requirements-build.lock

clean: ## remove what was made here
	rm -rf .venv .mypy_cache .ruff_cache .hypothesis
