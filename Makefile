# The entry point. `make demo` and `make test` need only Python 3.11+ and make.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
# Tests mostly wait, so four run at once. A dead process fails the run: if pytest-xdist restarts one, it may hang.
PARALLEL := --numprocesses 4 --max-worker-restart 0

# The third of the slow tests to run. 0 chooses by the day, so that three days in a row run all of them.
SEED ?= 0

.PHONY: help install demo test test-all test-faults test-faults-all test-console test-console-all test-operations test-operations-all screenshots simulate lint bench bench-quick bench-reading lock audit sbom clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-19s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The stamp file skips the installation until the lock file or the package's metadata change.
.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Sluice needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.11")'
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments: install its venv package (Debian and Ubuntu: python3-venv)." >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

install: .venv/installed ## create .venv with the sluice command, from the lock file

demo: install ## play a recorded day on an embedded PostgreSQL and broker; about 20 seconds
	$(BIN)/sluice demo

test: install ## run all quick tests, and a third of the slower ones (command line, connectors, real Kafka); about 10 minutes
	$(BIN)/python -m pytest --third $(SEED) $(PARALLEL)

test-all: install ## run all tests but those of faults, the console and operations
	$(BIN)/python -m pytest $(PARALLEL)

test-faults: install ## run a third of the fault tests, on real Kafka; SEED=1, 2, 3 chooses which
	$(BIN)/python -m pytest tests/faults --third $(SEED) --numprocesses 2 --max-worker-restart 0

test-faults-all: install ## run all fault tests
	$(BIN)/python -m pytest tests/faults

test-console: install ## run a third of the console's tests, in Chromium; SEED=1, 2, 3 chooses which
	$(BIN)/python -m pytest tests/console --third $(SEED) --numprocesses 3 --max-worker-restart 0

test-console-all: install ## run all of the console's tests
	$(BIN)/python -m pytest tests/console --numprocesses 3 --max-worker-restart 0

test-operations: install ## run a third of the tests of operations, on real servers; SEED=1, 2, 3 chooses which
	$(BIN)/python -m pytest tests/operations --third $(SEED) --numprocesses 2 --max-worker-restart 0

test-operations-all: install ## run all tests of operations
	$(BIN)/python -m pytest tests/operations --numprocesses 2 --max-worker-restart 0

screenshots: install ## make the pictures of the console in docs/images from the demo; needs Chromium
	$(BIN)/python -m tools.screenshots

simulate: install ## simulate thousands of schedules of the engine; prints a seed that fails
	$(BIN)/python -m tests.simulation --schedules 5000

lint: install ## check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Installs the peers into .venv. Quix Streams needs older versions and gets a separate environment.
.venv/bench: .venv/installed benchmarks/requirements.lock benchmarks/requirements-quix.lock
	$(PIP) install --require-hashes -r benchmarks/requirements.lock
	$(BIN)/python -m venv --clear .venv/quix
	.venv/quix/bin/python -m pip --quiet --disable-pip-version-check install --require-hashes -r benchmarks/requirements-quix.lock
	@touch $@

bench: .venv/bench ## measure speed next to floors and other libraries, on real Kafka: at most 45 minutes
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.connectors

bench-quick: install ## fail if inbound lost more than 15 % of its ratio to the floor
	$(BIN)/python -m benchmarks --quick

# SCALE=1 has a million contacts and ten million messages. The data is kept for the next run.
SCALE ?= 0.1

bench-reading: install ## measure what people, an API and operators ask; SCALE=1 is the full size
	$(BIN)/python -m benchmarks.reading --scale $(SCALE)

# The smaller lock files take their versions from the large one, so the image runs the tested versions.
lock: install ## update the lock files within the ranges of pyproject.toml
	$(COMPILE) --upgrade --extra embedded --extra dev pyproject.toml --output-file requirements.lock
	$(COMPILE) --constraint requirements.lock pyproject.toml --output-file requirements-runtime.lock
	$(COMPILE) --upgrade --constraint requirements.lock --group bench --output-file benchmarks/requirements.lock
	$(COMPILE) --upgrade --group bench-quix --output-file benchmarks/requirements-quix.lock
	$(COMPILE) --upgrade --constraint requirements.lock --group supply-chain --output-file deploy/requirements-supply-chain.lock
	echo hatchling | $(COMPILE) --constraint requirements.lock - --output-file deploy/requirements-build.lock

.venv/supply-chain: .venv/installed deploy/requirements-supply-chain.lock
	$(BIN)/uv venv --quiet --clear $@
	$(BIN)/uv pip install --quiet --python $@ --require-hashes -r deploy/requirements-supply-chain.lock

# `--strict`: a package that the registry tells nothing about fails it, instead of passing unseen.
AUDIT := .venv/supply-chain/bin/pip-audit --strict --disable-pip --require-hashes --progress-spinner off

audit: .venv/supply-chain ## ask the package registry for known vulnerabilities of what the lock files name
	$(AUDIT) -r requirements-runtime.lock -r deploy/requirements-build.lock
	$(AUDIT) -r requirements.lock

# Of what the image holds: a fresh environment of the runtime packages.
sbom: .venv/supply-chain ## list the components of a release in CycloneDX: dist/sluice.cdx.json
	$(BIN)/uv venv --quiet --clear .venv/runtime
	$(BIN)/uv pip install --quiet --python .venv/runtime --require-hashes -r requirements-runtime.lock
	@mkdir -p dist
	.venv/supply-chain/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application --spec-version 1.6 \
		--output-reproducible --output-format JSON --output-file dist/sluice.cdx.json .venv/runtime/bin/python

clean: ## remove generated files
	rm -rf .venv .mypy_cache .ruff_cache .hypothesis
