# Everything a contributor runs. Each target sets up its own virtual environment (.venv) first.

.DEFAULT_GOAL := help
SHELL := /bin/bash

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WANTED_PYTHONS := python3.11 python3.12 python3.13 python3.14 python3

# A file's tests stay together: its fixtures start stores and proxies.
PARALLEL := -n 2 --dist loadfile

# The layers whose every branch must be tested.
COVERED := format s3 keys

.PHONY: help venv demo test test-slow test-all bench profile check lint format coverage tools \
	bench-tools clean

help:  ## Show the targets
	@sed -n 's/^\([a-z-]*\):.*  ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

venv: $(STAMP)  ## Make or update .venv

demo: $(STAMP)  ## See an object go in as plaintext, lie encrypted in a store, and come back
	@$(BIN)/sseproxy demo

test: $(STAMP)  ## The tests that need Python only
	$(BIN)/python -m pytest $(PARALLEL) -m "not minio and not heavy"

test-slow: $(STAMP) tools  ## What `make test` leaves out: over MinIO, and 5 GB transfers
	$(BIN)/python -m pytest $(PARALLEL) -m "minio or heavy"

test-all: test test-slow  ## Every test

bench: $(STAMP) bench-tools  ## Measure beside nginx, aiohttp, rclone and MinIO (ARGS=--quick: minutes)
	$(BIN)/python -m benchmarks run --json build/bench.json $(ARGS)

profile: $(STAMP) bench-tools  ## A flame graph of a worker (WORK=get-small, put-small, get-large, ...)
	$(BIN)/python -m benchmarks profile $(or $(WORK),get-small) $(ARGS)

check: lint coverage  ## Style, types, import directions, coverage

lint: $(STAMP)  ## Style, types and import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)  ## Rewrite the sources in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

coverage: $(STAMP)  ## Fail unless the tests of format, s3 and keys take every branch of them
	$(BIN)/python -m pytest -m "not minio and not heavy" $(COVERED:%=tests/%) \
		$(COVERED:%=--cov=sseproxy.%) --cov-branch --cov-fail-under=100 \
		--cov-report=term-missing:skip-covered

tools: $(STAMP)
	@tests/setup/build-tools.sh

bench-tools:
	@benchmarks/setup.sh

clean:  ## Remove what the targets made in this folder
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis \
		.coverage build dist

$(STAMP): pyproject.toml
	@set -e; python=; \
	for name in $(WANTED_PYTHONS); do \
		if command -v $$name >/dev/null \
		&& $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
		then python=$$name; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo 'Python 3.11 or newer is missing: install it (Debian: apt-get install python3)'; \
		exit 1; \
	fi; \
	if ! $$python -c 'import venv, ensurepip' 2>/dev/null; then \
		echo "$$python has no venv module: install it (Debian: apt-get install $$name-venv)"; \
		exit 1; \
	fi; \
	if ! $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		$$python -m venv --clear $(VENV); \
	fi; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'; \
	touch $@
