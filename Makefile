# make demo   set up, run the main job on bundled pages, print where shards and report are
# make test   everything that must hold
# make check  types, lint, layers
# make bench  figures, written to build/bench.json (ONLY=name for one)

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c .constraints.txt

.PHONY: demo test check bench clean

demo: $(VENV)/.demo
	$(BIN)/omniloom run jobs/demo.yaml

test: $(VENV)/.test
	$(BIN)/python -m pytest -n 2 --dist loadgroup

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.bench
	$(BIN)/python -m tests.benchmarks $(ONLY)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(BIN)/python pyproject.toml .constraints.txt
	$(PIP) --editable ".[conse,safety]"
	touch $@

$(VENV)/.test: $(BIN)/python pyproject.toml .constraints.txt
	$(PIP) "pip>=25.1"
	$(PIP) --editable ".[ray,notebook]" --group test --group check
	touch $@ $(VENV)/.demo

$(VENV)/.bench: $(VENV)/.test
	$(PIP) --editable ".[local-model]"
	touch $@

clean:
	rm -rf build $(VENV)
