# Everything starts here. `make demo` and `make test` need only Python 3.11+ and make.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo test lint bench lock clean

# The stamp makes installation a no-op until the lock file or the package's metadata change.
.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Sluice needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

install: .venv/installed ## make .venv with the sluice command, from the lock file

demo: install ## the main job on a recorded day, on an embedded PostgreSQL and broker
	$(BIN)/sluice demo

test: install ## every test this machine can run (real Kafka with Java and Maven)
	$(BIN)/python -m pytest

lint: install ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: install ## inbound throughput against the bare floor, on real Kafka
	$(BIN)/python -m benchmarks

lock: install ## renew the lock file within the ranges of pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --upgrade --extra embedded --extra dev pyproject.toml --output-file requirements.lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .hypothesis
