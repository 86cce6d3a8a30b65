# make up: the whole system on this machine.   make test: every check and every test.
# Both need Python 3.11+, make and the package registry; nothing else has to be there.

# The first of these that is new enough; `make up PYTHON=…` names another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done || true)
RUN = .venv/bin/python

# Passed on: `make up ARGS="--port 9000 --home /srv/interlock"`, `make test ARGS="tests/unit -k spec"`.
ARGS ?=
# How long `make chaos` breaks things.
SECONDS ?= 120

.PHONY: help up test check fmt docs bench chaos vendor locks install-base install-dev install-bench

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile
	@echo "Others: check fmt docs bench chaos vendor locks"

up: install-base
	@exec $(RUN) manage.py up $(ARGS)

test: install-dev
	@exec $(RUN) -m tests $(ARGS)

check: install-dev
	@exec $(RUN) -m tests.checks

fmt: install-dev
	@$(RUN) -m ruff format .
	@$(RUN) -m ruff check --fix .

# The pages that are made from the code: the states, and the definition language.
docs: install-base
	@$(RUN) -c 'from workflows import states; print(states.as_markdown(), end="")' > docs/states.md
	@$(RUN) -c 'from pathlib import Path; from workflows.spec import reference; print(reference.as_markdown({path.stem: path.read_text() for path in Path("examples").glob("*.yaml") if ".expected" not in path.name}), end="")' > docs/language.md

bench: install-bench
	@exec $(RUN) -m tests.benchmarks $(ARGS)

chaos: install-dev
	@exec $(RUN) -m tests.chaos --seconds $(SECONDS) $(ARGS)

# The browser's libraries, fonts and icons anew (wants npm; nobody who only runs Interlock needs it).
vendor: install-dev
	@exec $(RUN) -m console.vendoring $(ARGS)

# The locks anew from requirements/*.in (wants uv).
locks:
	@exec requirements/compile $(ARGS)

install-base: python
	@$(PYTHON) requirements/install base local

install-dev: python
	@$(PYTHON) requirements/install base local dev

install-bench: python
	@$(PYTHON) requirements/install base local dev bench

.PHONY: python
python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and was not found. Name one: make up PYTHON=/path/to/python3.12"; exit 1; }
