# Every target sets up .venv once and does not repeat what is finished.  Needs only python3 >= 3.11 and make.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: setup setup-test demo test check bench clean

setup: .venv/ready
setup-test: .venv/ready-test

# torch goes first and alone, so that no other package pulls a CUDA build where a CPU build is offered.
.venv/ready: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -c "import sys; sys.exit('Dougong needs Python 3.11 or newer') if sys.version_info < (3, 11) else None"
	@echo "setting up .venv (once; a few minutes)"
	@$(PIP) torch==2.13.0
	@$(PIP) -e .
	@touch $@

.venv/ready-test: .venv/ready
	@echo "adding the test tools and the peers that tests compare with"
	@$(PIP) -e '.[test]'
	@touch $@

demo: setup
	@$(BIN)/dougong train lenet5 digits --seed 1 --out runs/demo

test: setup-test
	@$(BIN)/python -m pytest -n auto

check: setup-test
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports
	@$(BIN)/pyright
	@$(BIN)/python -m pytest -n auto -m "not slow"

bench: setup-test
	@$(BIN)/python -m benchmarks

clean:
	@rm -rf .venv runs build dist
