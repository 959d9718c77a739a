# make run [CLIPS=dir]   sound for the clips in dir, else for three sample clips
# make test              everything that must hold before a change goes in
# make docs              regenerate docs/commands.md and completions/

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CLIPS ?=
FOLDER = $(if $(CLIPS),$(CLIPS),demo)
TORCH := $(shell grep '^torch==' constraints.txt)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: venv run test docs clean
.DEFAULT_GOAL := test

venv: $(VENV)/.dev

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: $$($(PYTHON) -V) is too old; install Python 3.11 or later and run make PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# torch goes first and alone: resolved together with the rest, pip may choose another build of it.
$(VENV)/.runtime: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install "$(TORCH)"
	$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt $(VENV)/.runtime
	$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@

run: $(VENV)/.runtime
ifeq ($(CLIPS),)
	@$(BIN)/foleygen demo "$(FOLDER)" > /dev/null
endif
	@$(BIN)/foleygen add-sound "$(FOLDER)" > /dev/null; code=$$?; \
		echo "Finished clips:"; \
		find "$(FOLDER)" -name '*.foley.*' ! -name '*.json' | sort | sed 's/^/  /'; \
		exit $$code

test: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

docs: $(VENV)/.dev
	$(BIN)/python -m foleygen.cli.reference

clean:
	rm -rf $(VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
