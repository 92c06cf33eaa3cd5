# The house: everything runs from .venv, made once from pyproject.toml and constraints.txt.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help install demo test test-all bench lint format pins clean

BIN := .venv/bin
STAMP := .venv/installed
# Two worlds of one policy on two shards, in about a minute.
DEMO_ARGS ?= scenarios/library/first_use.scenario.yaml --shards 2
TEST_ARGS ?=
BENCH_ARGS ?=

# The first of these that runs, is 3.11 or 3.12 and can make an environment with pip in it.
CANDIDATES := python3.11 python3 python3.12
USABLE := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))
find_python = for p in $(CANDIDATES); do if $$p -c '$(USABLE)' 2>/dev/null; then echo $$p; exit; fi; done

# Two processes, a module of tests in one of them; whatever uses Ray in the same one, so that one Ray serves them all
# (tests/conftest.py).
PYTEST = $(BIN)/python -m pytest -n 2 --dist loadfile
LINT = $(BIN)/ruff check || status=$$?; $(BIN)/ruff format --check || status=$$?; $(BIN)/mypy || status=$$?

help:
	@echo 'make install   the environment in .venv'
	@echo 'make demo      install, run one scenario, say where its report is'
	@echo 'make test      lint, types and the quick tests (what CI runs)'
	@echo 'make test-all  every test, the long ones too; a skip is a failure'
	@echo 'make bench     the benchmarks'
	@echo 'make lint      ruff and mypy          make format  let ruff write'
	@echo 'make pins      renew constraints.txt  make clean   remove what was made'

install: $(STAMP)
	@:

$(STAMP): pyproject.toml constraints.txt
	@python="$${PYTHON:-$$($(find_python))}"; \
	if [ -z "$$python" ]; then \
	  echo 'windtunnel needs Python 3.11 or 3.12 with venv and pip (Debian, Ubuntu: apt install python3.11-venv);' >&2; \
	  echo 'looked for: $(CANDIDATES). Another one: make install PYTHON=/path/to/python' >&2; exit 1; \
	fi; \
	started=$$SECONDS; \
	echo "install: .venv with $$("$$python" --version 2>&1)"; \
	$(BIN)/python -m pip --version > /dev/null 2>&1 || "$$python" -m venv --clear .venv; \
	echo -n 'install: pinned packages, one dot each '; \
	export PIP_DISABLE_PIP_VERSION_CHECK=1; \
	$(BIN)/python -m pip install -q -c constraints.txt setuptools; \
	$(BIN)/python -m pip install -c constraints.txt --no-build-isolation --no-compile -e '.[dev]' | while read -r line; do \
	  case "$$line" in Collecting* | Processing*) echo -n . ;; Installing*) echo -n ' unpacking' ;; esac; \
	done; \
	echo " done in $$((SECONDS - started)) s"; \
	touch $(STAMP)

demo: install
	@$(BIN)/windtunnel run $(DEMO_ARGS)

# Each part runs even when one before it complains, so that one round shows everything. Beside lint and types everything is
# compiled, so that the tests' processes do not each do it: what a small world calls, what hosts call, and a world lived event
# by event.
test: install
	@world=$$(mktemp -d); \
	{ $(BIN)/windtunnel run scenarios/library/stampede.scenario.yaml --customers 100 --out "$$world"; \
	  rm -rf "$$world"; } > /dev/null 2>&1 & \
	{ $(BIN)/python -m tests.compile_hosts; \
	  $(BIN)/python -m pytest tests/sim/test_slow.py::test_first_use_lived_slowly; } > /dev/null 2>&1 & \
	status=0; $(LINT); wait; \
	$(PYTEST) -m 'not long' $(TEST_ARGS) || status=$$?; \
	exit $$status

test-all: install
	@status=0; $(LINT); \
	WINDTUNNEL_NO_SKIPS=1 $(PYTEST) $(TEST_ARGS) || status=$$?; \
	exit $$status

bench: install
	@$(BIN)/windtunnel bench $(BENCH_ARGS)

lint: install
	@status=0; $(LINT); exit $$status

format: install
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

# Resolves anew in an environment of its own and writes every version down.
pins:
	@python="$${PYTHON:-$$($(find_python))}"; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	"$$python" -m venv "$$folder"; \
	"$$folder/bin/python" -m pip install -q -U setuptools; \
	"$$folder/bin/python" -m pip install -q --no-build-isolation -e '.[dev,bench]'; \
	{ sed -n '/^#/p' constraints.txt; \
	  "$$folder/bin/python" -m pip freeze --all --exclude pip --exclude-editable | grep -v '^-e\|^#'; } > "$$folder/constraints.txt"; \
	mv "$$folder/constraints.txt" constraints.txt

clean:
	@rm -rf .venv build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
