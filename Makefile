# The environments are the rows of requirements/environments.txt; AIRFLOW names one, and without it the first is meant.
TABLE := requirements/environments.txt
ENVIRONMENTS := $(shell awk '/^[0-9]/ {print $$1}' $(TABLE))
NEWEST := $(firstword $(ENVIRONMENTS))
AIRFLOW ?= $(NEWEST)
ifeq ($(filter $(AIRFLOW),$(ENVIRONMENTS)),)
$(error AIRFLOW=$(AIRFLOW) is none of: $(ENVIRONMENTS))
endif

PYTEST_ARGS ?= --numprocesses auto --dist worksteal
CORE ?= core
SYSTEM ?= tests/system
PYTEST_SYSTEM = $(BIN)/python -m pytest -m system -o cache_dir=.pytest_cache/system $(SYSTEM)
VENV := .venv$(addprefix -,$(filter-out $(NEWEST),$(AIRFLOW)))
BIN := $(VENV)/bin
LOCK := requirements/$(shell awk '$$1 == "$(AIRFLOW)" {print $$3}' $(TABLE)).txt
# `make demo` needs no particular Python: where CI is not set, the first row's means that one or newer.
WANTED := $(if $(CI)$(filter-out $(NEWEST),$(AIRFLOW)),,>=)$(shell awk '$$1 == "$(AIRFLOW)" {print $$2}' $(TABLE))
# pyenv's shims of versions that are not active fail, and uv with them: it has to find what is behind them first.
PYENV := $(subst : ,:,$(addsuffix :,$(wildcard $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/*/bin)))
# On a terminal uv shows its progress.
QUIET := $(shell test -t 2 || echo --quiet)
SUDO := $(shell test "$$(id -u)" = 0 || echo sudo)

.DEFAULT_GOAL := help

.uv/installed: requirements/$(NEWEST).txt
	@python3 -m venv --clear .uv
	@.uv/bin/python -m pip install --quiet --disable-pip-version-check "$$(grep '^uv==' $<)"
	@touch $@

$(VENV)/installed: $(LOCK) setup.cfg local/setup.cfg .uv/installed
	@echo "Making the environment $(VENV) from $(LOCK)"
	@PATH="$(PYENV)$$PATH" .uv/bin/uv venv --quiet --clear --no-python-downloads --python "$(WANTED)" $(VENV) || \
		{ echo "Airflow $(AIRFLOW) is tested on Python $(WANTED), and uv found none: install it, or name another AIRFLOW"; exit 1; }
	@VIRTUAL_ENV=$(VENV) .uv/bin/uv pip install $(QUIET) --compile-bytecode --requirement $(LOCK)
	@VIRTUAL_ENV=$(VENV) .uv/bin/uv pip install --quiet --no-deps --editable . --editable local
	@.uv/bin/python -m pip --disable-pip-version-check --python $(VENV) check
	@touch $@

.PHONY: install
install: $(VENV)/installed  ## Make the environment: .venv, or .venv-3.0.6 with AIRFLOW=3.0.6

.PHONY: demo
demo: install  ## Train, deploy, wait, predict and delete the endpoint on this machine, through Airflow
	@exec $(BIN)/python -m scripts.demo

.PHONY: up
up: install  ## Run Airflow with its UI on PORT beside Amazon ML Local on SERVICE_PORT, until Ctrl-C
	@exec $(BIN)/python -m scripts.up $(addprefix --port ,$(PORT)) $(addprefix --service-port ,$(SERVICE_PORT))

.PHONY: test
test: install  ## Run the tests; AIRFLOW=3.0.6 runs them there, as with every target below
	$(BIN)/python -m pytest $(PYTEST_ARGS)

.PHONY: test-core
test-core: install  ## Run what differs between versions: imports, requests, connections, a Dag, real processes
	$(BIN)/python -m pytest -m "$(CORE)"

.PHONY: test-pins
test-pins: $(addprefix test-core-,$(filter-out $(NEWEST),$(ENVIRONMENTS)))  ## Run test-core in every other environment

test-core-%:
	@$(MAKE) --no-print-directory test-core AIRFLOW=$*

.PHONY: test-system
test-system: install browser  ## Run the tests with Airflow's real processes
	$(PYTEST_SYSTEM) || { test "$(AGAIN)" && $(PYTEST_SYSTEM) --last-failed; }

.PHONY: test-endpoints
test-endpoints: $(VENV)/postgres  ## Kill, clear and mark every form of creating an endpoint; CASES="killed and not mapped"
	$(BIN)/python -m pytest -m endpoints tests/system/test_endpoints.py $(if $(CASES),-k "$(CASES)")
	@$(BIN)/python -m tests.system.endpoints.table

$(VENV)/postgres: $(VENV)/installed
	@VIRTUAL_ENV=$(VENV) .uv/bin/uv pip install --quiet asyncpg
	@touch $@

.PHONY: test-hostile
test-hostile: install  ## Answer every path of a call by hostile servers, and freeze tries at one output, in real time
	$(BIN)/python -m pytest -m system tests/faults tests/predicting tests/operators

.venv-cluster/installed: $(LOCK) setup.cfg local/setup.cfg .uv/installed
	@PATH="$(PYENV)$$PATH" .uv/bin/uv venv --quiet --clear --no-python-downloads --python "$(WANTED)" .venv-cluster
	@VIRTUAL_ENV=.venv-cluster .uv/bin/uv pip install --quiet --compile-bytecode --requirement $(LOCK) \
		apache-airflow-providers-celery "celery[redis]<5.7" asyncpg
	@VIRTUAL_ENV=.venv-cluster .uv/bin/uv pip install --quiet --no-deps --editable . --editable local
	@touch $@

.PHONY: test-cluster
test-cluster: .venv-cluster/installed stores  ## Kill and freeze the processes of a cluster: Celery, Postgres, Redis
	.venv-cluster/bin/python -m pytest -m cluster tests/cluster

.PHONY: test-clients
test-clients: install  ## Drive Amazon ML Local with the aws CLI, the JavaScript SDK, Postgres and pages in Chromium
	$(BIN)/python -m pytest -m clients tests/clients

.PHONY: lint
lint: install  ## Check the style with ruff, and the workflow against its schema
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

.PHONY: types
types: install  ## Check the types of all code with mypy, strictly
	$(BIN)/mypy

.PHONY: browser
browser:  ## Install Chromium where neither it nor Chrome is there (Debian)
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
		{ $(SUDO) apt-get update --quiet && $(SUDO) apt-get install --yes --quiet --no-install-recommends chromium; }

.PHONY: stores
stores:  ## Install Postgres and Redis where they are missing (Debian)
	@{ command -v redis-server && ls /usr/lib/postgresql/*/bin/initdb; } >/dev/null 2>&1 || \
		{ $(SUDO) apt-get update --quiet && \
		$(SUDO) apt-get install --yes --quiet --no-install-recommends postgresql redis-server; }

.PHONY: picture
picture: install browser  ## Make the pictures of Airflow's UI for the docs anew, from a `make up` that runs on PORT
	$(BIN)/python -m scripts.picture $(addprefix http://127.0.0.1:,$(PORT))

.PHONY: docs
docs: install  ## Make the docs site in build/docs; a warning is an error
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -j auto -c docs . build/docs

.PHONY: bench
bench: install  ## Measure each headline figure beside its alternative
	for benchmark in benchmarks/*.py; do echo; echo "== $$benchmark"; $(BIN)/python $$benchmark || exit 1; done

.PHONY: build
build: install  ## Build both wheels and sdists into dist/, and check what they say of themselves
	rm -rf dist build local/build
	$(BIN)/python -m build --installer uv --outdir dist .
	$(BIN)/python -m build --installer uv --outdir dist local
	$(BIN)/twine check --strict dist/*

.PHONY: check-wheels
check-wheels: build  ## Install the wheels, and resolve them under Airflow's official constraints
	$(BIN)/python -m scripts.check_wheel

.PHONY: lock
lock: install  ## Compile the locks in requirements/ anew
	$(BIN)/python -m scripts.lock

.PHONY: environments
environments:  ## Print the table of environments as JSON
	@python3 -m scripts.environments

.PHONY: help
help:  ## Show this help
	@awk -F ':.*## ' '/^[a-z0-9.-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
