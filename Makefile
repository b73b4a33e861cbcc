# Every target sets up .venv by itself. On a fresh machine `make demo` and `make test` are all there is to know.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help generate check demo test lint faults oracles parity compatibility bench bench-gpu picture clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/\1\t\2/' | expand -t 16

$(READY): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing what thetac needs into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	@touch $@

generate: $(READY) ## write generated/ and docs/optimizers/ from specs/, and the tables of docs/language.md
	@$(BIN)/python -m thetac.codegen generate

check: $(READY) ## generated/, docs/optimizers/ and tables of docs/language.md are what specs and compiler give
	@$(BIN)/python -m thetac.codegen check

demo: generate ## train on handwritten digits, a generated AdamW beside torch's
	@$(BIN)/python examples/digits.py

# Only tests need the libraries that train with optimizers, and the authors' own optimizers.
TESTABLE := $(VENV)/.testable
$(TESTABLE): $(READY)
	@echo "installing the libraries that optimizers are tested under and against"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev,ecosystem,oracles]"
	@touch $@

test: $(TESTABLE) ## tests, with an optimizer of each class of schemas; ALL=1 for every optimizer and thorough tests
	@OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -q -n 2 --dist worksteal $(if $(ALL),--all)

lint: $(READY) ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

faults: $(TESTABLE) ## plant faults in a copy of the source and say which test finds each
	@$(BIN)/python -m tests.planted_faults

oracles: $(TESTABLE) ## measure every optimizer against its oracle and write specs/oracles.toml; NAMES="..." for some
	@$(BIN)/python -m tests.oracles.measure $(NAMES)

parity: $(READY) ## measure every implementation against torch and float64, and write docs/parity.md
	@$(BIN)/python -m tests.docs.parity_table

compatibility: $(TESTABLE) ## try what torch promises of optimizers on every one of them, and write docs/compatibility.md
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.docs.compatibility

picture: $(READY) ## draw docs/architecture.svg from the imports of compiler and runtime
	@$(BIN)/python -m docs.picture.draw

BENCHED := $(VENV)/.benched
$(BENCHED): $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev,bench]"
	@touch $@

bench: $(BENCHED) ## measure against torch and other libraries; BENCH=--quick for a look (2 minutes)
	@$(BIN)/python -m benchmarks $(BENCH)

bench-gpu: ## measure on a GPU, in an environment that has torch and triton; PYTHON=... names its interpreter
	@$(PYTHON) benchmarks/gpu.py $(BENCH)

clean: ## remove what is installed and cached, not what is generated
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis demo-output
