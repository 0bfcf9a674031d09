# Two commands for a fresh machine: `make demo` and `make test`. Both install into .venv what they
# need, and do it only once.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help demo test check install docs clean
.DEFAULT_GOAL := help

help:
	@echo "make demo   all of MPO on household games (about 6½ minutes on 2 cores, after installing)"
	@echo "make test   all tests and checks"
	@echo "make docs   the documentation, into site/"

demo: $(VENV)/.installed
	@echo "Metaplan demo: collect, SFT, explore, DPO, evaluate, report; about 6½ minutes on 2 cores."
	$(BIN)/metaplan demo --out runs/demo

test: check
	@echo "Running the tests: about 8 minutes on 2 cores."
	$(BIN)/pytest

check: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

docs: $(VENV)/.installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

install: $(VENV)/.installed

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Metaplan needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	@command -v c++ >/dev/null || command -v g++ >/dev/null || command -v clang++ >/dev/null || \
	  { echo "A C++ compiler is needed to build the ALFWorld engine (Fast Downward). Debian, Ubuntu: apt install g++; Fedora: dnf install gcc-c++; macOS: xcode-select --install"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing into $(VENV): 3 to 5 minutes, 2 GB (6 GB with PyTorch's CUDA build); the ALFWorld engine is compiled."
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt cmake torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[alfworld,scienceworld,train,report]"
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Installing test tools into $(VENV)."
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[alfworld,scienceworld,webshop,train,report,ray,dev]"
	@touch $@

clean:
	rm -rf $(VENV) site build dist
