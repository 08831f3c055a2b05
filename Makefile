PYTHON ?= python3
PYTHON_2_11 ?= $(PYTHON)
PYTEST_ARGS ?= --numprocesses auto
VENV := .venv
VENV_2_11 := .venv-2.11
VENV_LOWEST := .venv-lowest
BIN := $(VENV)/bin

.DEFAULT_GOAL := help

# environment FOLDER, LOCK FILE, PYTHON: an environment of its own, made anew when its lock file changes
define environment
	@$(3) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "$(3) is too old: Python 3.11 or newer is needed")'
	@echo "Making the environment $(1) from $(2)"
	@$(3) -m venv --clear $(1)
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check uv
	@VIRTUAL_ENV=$(CURDIR)/$(1) $(1)/bin/uv pip install --quiet --compile-bytecode -r $(2)
	@VIRTUAL_ENV=$(CURDIR)/$(1) $(1)/bin/uv pip install --quiet --no-deps -e . -e local
	@touch $@
endef

$(VENV)/installed: requirements/airflow-3.3.txt setup.cfg
	$(call environment,$(VENV),$<,$(PYTHON))

$(VENV_2_11)/installed: requirements/airflow-2.11.txt setup.cfg
	@$(PYTHON_2_11) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)) and "Airflow 2.11 needs Python 3.11 or 3.12: make test-2.11 PYTHON_2_11=python3.12")'
	$(call environment,$(VENV_2_11),$<,$(PYTHON_2_11))

$(VENV_LOWEST)/installed: requirements/lowest.txt setup.cfg
	$(call environment,$(VENV_LOWEST),$<,$(PYTHON_2_11))

.PHONY: install
install: $(VENV)/installed  ## Make the environment in .venv

.PHONY: demo
demo: install  ## Train, deploy, wait, predict and take down on this machine, through Airflow
	$(BIN)/python scripts/demo.py

.PHONY: up
up: install  ## Run Airflow with its UI beside Amazon ML Local, until Ctrl-C
	@exec $(BIN)/python scripts/up.py

.PHONY: test
test: install  ## Run the tests on the newest Airflow
	$(BIN)/python -m pytest $(PYTEST_ARGS)

.PHONY: test-2.11
test-2.11: $(VENV_2_11)/installed  ## Run the tests on Airflow 2.11 (Python 3.11 or 3.12)
	$(VENV_2_11)/bin/python -m pytest $(PYTEST_ARGS)

.PHONY: test-lowest
test-lowest: $(VENV_LOWEST)/installed  ## Run the unit tests on the lowest supported providers
	$(VENV_LOWEST)/bin/python -m pytest --ignore tests/local $(PYTEST_ARGS)

.PHONY: test-system
test-system: install  ## Run the tests with Airflow's real processes
	$(BIN)/python -m pytest -m system tests/system

.PHONY: test-system-2.11
test-system-2.11: $(VENV_2_11)/installed  ## Run the tests with Airflow 2.11's real processes
	$(VENV_2_11)/bin/python -m pytest -m system tests/system/test_kills.py

.PHONY: test-clients
test-clients: install  ## Drive Amazon ML Local with the aws CLI, the JavaScript SDK and Postgres
	$(BIN)/python -m pytest -m clients tests/clients

.PHONY: lint
lint: install  ## Check the style with ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: install  ## Check the types with mypy, strictly
	$(BIN)/mypy

.PHONY: bench
bench: install  ## Measure each headline figure beside its alternative
	for benchmark in benchmarks/*.py; do echo; echo "== $$benchmark"; $(BIN)/python $$benchmark || exit 1; done

.PHONY: build
build: install  ## Build the sdist and the wheel into dist/
	rm -rf dist build
	$(BIN)/python -m build --installer uv --outdir dist .

.PHONY: lock
lock: install  ## Compile the lock files in requirements/ anew
	$(BIN)/python scripts/lock.py

.PHONY: help
help:  ## Show this help
	@awk -F ':.*## ' '/^[a-z0-9.-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
