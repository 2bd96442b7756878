# The verbs of the project. `make help` lists them; each one makes .venv first if need be.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
DATA := $(or $(DENIZENS_DATA),../shared/data)/persona_chat
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt
TORCH := $(shell sed -n 's/^torch==//p' constraints.txt)

VOICE := build/voice
.PHONY: install town test check bench docs voice help clean
install: $(STAMP) help

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else \
	  "denizens needs Python 3.11 or newer, this is %d.%d; name one: make PYTHON=python3.11" % sys.version_info[:2])'
	@echo "== making $(VENV) with $(PYTHON)"
	$(PYTHON) -m venv $(VENV)
	$(PIP) setuptools
	@# Without an NVIDIA GPU the CPU build will do, and it is several GB smaller.
	@if [ "$$(uname)" != Linux ] || command -v nvidia-smi >/dev/null 2>&1; then \
	  echo "== torch $(TORCH) as this system has it"; \
	elif $(PIP) "torch==$(TORCH)+cpu"; then \
	  echo "== torch $(TORCH), CPU build"; \
	else \
	  echo "== your package index has no CPU build of torch $(TORCH): taking the ordinary one, with"; \
	  echo "   CUDA (several GB). To avoid that, stop here, set PIP_EXTRA_INDEX_URL to the address"; \
	  echo "   of PyTorch's CPU wheels, and run make again."; \
	fi
	$(PIP) --no-build-isolation -e '.[test]'
	@# The checkout may have any name; by this link mypy finds what the tests call denizens.
	@mkdir -p $(VENV)/typing && ln -sfn ../.. $(VENV)/typing/denizens
	@touch $@

town: $(STAMP)  ## three people of Larkspur live a morning; writes town.html
	@rm -rf runs/town
	@mkdir -p runs
	$(BIN)/denizens run larkspur-morning --seed 1 --run runs/town --model smollm2
	$(BIN)/denizens view runs/town --html town.html
	@echo "The town is here, open it in a browser: $(CURDIR)/town.html"

test: check  ## check, then every test, those with the real models too
	@# Two processes, a file in one of them: the real models are loaded once in each.
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=10

check: $(STAMP)  ## ruff (lint and format) and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@# By the name of the package: a checkout called denizens-main is none to mypy.
	$(BIN)/mypy -p denizens

bench: $(STAMP)  ## how fast the parts are, as ratios to a plain reference
	$(BIN)/python examples/bench.py

voice: $(STAMP)  ## train the default voice again (about an hour), in build/voice
	@# What it is trained on is no part of the package: NOTICE names the source and its licence.
	@test -f "$(DATA)/train.csv" || { \
	  echo "make voice: no data at $(DATA); set DENIZENS_DATA to the folder that holds"; \
	  echo "  persona_chat/train.csv and check.csv (Synthetic-Persona-Chat, CC BY 4.0)"; exit 1; }
	$(BIN)/denizens train voice $(DATA)/train.csv --check $(DATA)/check.csv --out $(VOICE) \
	  --tokens 400000 --dtype bfloat16
	@echo "The voice is here: $(CURDIR)/$(VOICE); the shipped one is models/voices/default"

docs: $(STAMP)  ## the pages of docs/ and an API reference, in site/; warnings are errors
	$(BIN)/mkdocs build --strict -q
	@echo "The documentation is here: $(CURDIR)/site/index.html"

clean:  ## remove what make made, runs included
	rm -rf $(VENV) build dist denizens.egg-info runs site town.html .pytest_cache .mypy_cache .ruff_cache

help:  ## this list
	@echo "make VERB, where VERB is one of:"
	@sed -n 's/^\([a-z]*\):.*## /  \1\t/p' Makefile
	@echo "PYTHON=python3.12 chooses the interpreter that .venv is made with."
