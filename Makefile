# Everything a newcomer needs: `make demo`, `make test`, `make check`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo test chaos image-check check lint types contracts format monitoring lock audit env clean

help:  ## show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

setup: $(STAMP)  ## make .venv with everything in it (does nothing when it is up to date)

$(STAMP): locks/all.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/all.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

demo: setup  ## make twenty examples with two real language models on this machine
	@$(BIN)/ensemble-instruct demo

test: setup  ## run every test, on real Postgres and Valkey servers of its own
	$(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist worksteal

# One more than there are CPUs, since tests wait for much of their time; four at most.
PROCESSES = $(shell $(PYTHON) -c 'import os; print(min(4, 1 + len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else 4)')

chaos: setup  ## harm whole installations at work, for an hour and more; SEED=N repeats one
	@echo "SEED=$(SEED)"
	SEED=$(SEED) $(BIN)/python -m pytest tests/chaos -m chaos -rA --show-capture=stdout

image-check: setup  ## do the Dockerfile's steps without Docker, and run a job by what they make
	$(BIN)/python -m pytest tests/deploy -m image -n 0

SEED := $(or $(SEED),$(shell date +%s))

check: setup lint types contracts  ## lint, types, import contracts, dependencies

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

contracts:
	$(BIN)/lint-imports --no-cache
	$(BIN)/deptry .

format:  ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

monitoring: setup  ## make k8s/components/monitoring of its rules and dashboards
	$(BIN)/python -m tests.deploy.monitoring

lock:  ## resolve the dependencies anew and write the lock files
	$(BIN)/uv pip compile pyproject.toml --all-extras $(LOCK) -o locks/all.txt
	$(BIN)/uv pip compile pyproject.toml --extra otel --extra openlineage $(PART) -o locks/worker.txt
	$(BIN)/uv pip compile pyproject.toml --extra otel --extra openlineage --extra flower --extra dataset --extra explorer $(PART) -o locks/services.txt
	$(BIN)/uv pip compile pyproject.toml --extra local $(PART) -o locks/models.txt
	echo 'setuptools>=80' | $(BIN)/uv pip compile - $(PART) -o locks/build.txt

LOCK := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet
PART := --constraint locks/all.txt $(LOCK)

audit: setup  ## look for known vulnerabilities in what is installed in the images (asks the index's advisories)
	for part in worker services models; do \
		$(BIN)/pip-audit --strict --require-hashes --disable-pip --requirement locks/$$part.txt || exit 1; \
	done

env:  ## write .env for docker compose, with random passwords
	@$(PYTHON) deploy/make_env.py

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
