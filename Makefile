PYTHON ?= python3
VENV := .venv
VENV_2_11 := .venv-2.11
BIN := $(VENV)/bin

.DEFAULT_GOAL := help

# One environment per Airflow version, made anew when its lock file changes.
define environment
	$(PYTHON) -m venv --clear $(1)
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check uv
	VIRTUAL_ENV=$(CURDIR)/$(1) $(1)/bin/uv pip install --quiet --compile-bytecode -r $(2)
	VIRTUAL_ENV=$(CURDIR)/$(1) $(1)/bin/uv pip install --quiet --no-deps -e .
	touch $(1)/installed
endef

$(VENV)/installed: requirements/airflow-3.3.txt setup.cfg pyproject.toml
	$(call environment,$(VENV),$<)

$(VENV_2_11)/installed: requirements/airflow-2.11.txt setup.cfg pyproject.toml
	$(call environment,$(VENV_2_11),$<)

.PHONY: install
install: $(VENV)/installed  ## Make the environment in .venv
