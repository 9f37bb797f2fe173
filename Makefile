# make demo | test | lint | bench [PEER=DIR] [ONLY=PREFIX] [ROUNDS=3] | evaluation [DATA=DIR] [LIMIT=N] [DEVICE=cuda] | figures | cards | docs | clean
PYTHON ?= python3
BIN := .venv/bin
ROUNDS ?= 3
DATA ?= ../shared/data

LINT = \
	$(BIN)/ruff check --quiet . || failed=1; \
	$(BIN)/ruff format --check . || failed=1; \
	$(BIN)/mypy --no-error-summary || failed=1; \
	$(BIN)/lint-imports --no-logo > .venv/lint-imports.log || { cat .venv/lint-imports.log; failed=1; }

.DEFAULT_GOAL := test
.PHONY: demo test lint bench evaluation figures cards docs clean

demo: .venv/.stamp
	@$(BIN)/wellposed demo -o demo.png

# Two workers of one thread each. Everything is run, whatever fails first; pytest's summary is printed last.
test: export OMP_NUM_THREADS := 1
test: export MKL_NUM_THREADS := 1
test: .venv/.stamp
	@failed=0; $(LINT); $(BIN)/pytest -q -n 2 --dist worksteal || failed=1; exit $$failed

lint: .venv/.stamp
	@failed=0; $(LINT); exit $$failed

bench: .venv/.stamp
	@$(BIN)/python -m benchmarks.run --rounds $(ROUNDS) $(if $(PEER),--peer $(PEER)) $(if $(ONLY),--only $(ONLY))

# The tables of docs/guide/evaluation.md; what benchmarks/evaluation.json holds already is kept.
evaluation: .venv/.stamp
	@$(BIN)/python -m benchmarks.evaluation $(DATA) $(if $(LIMIT),--limit $(LIMIT)) $(if $(DEVICE),--device $(DEVICE) --batch 8)

# The picture and the table of the README.
figures: .venv/.stamp
	@$(BIN)/python -m benchmarks.demo

# The model cards in weights/, from the registry.
cards: .venv/.stamp
	@$(BIN)/python -c 'from wellposed.models.weights.cards import write_cards; write_cards("weights")'

docs: .venv/.stamp
	@$(BIN)/python -m pip install -qq --constraint constraints.txt --editable '.[docs]'
	@$(BIN)/sphinx-build -qW -b dirhtml docs site

clean:
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .benchmarks build dist site demo.png

.venv/.stamp: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("wellposed needs Python 3.11 or newer, and $(PYTHON) is older: make PYTHON=python3.12")'
	@echo "Installing into .venv (some minutes the first time) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --constraint constraints.txt --editable '.[cli,dev]'
	@touch $@
