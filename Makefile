# Locality Lab. Two commands matter: `make run` and `make test`.
PYTHON ?= python3
PORT ?= 8501
# Who may open the app: 127.0.0.1 is this machine alone, 0.0.0.0 everybody in the network
HOST ?= 127.0.0.1
# Extra options for pip, e.g. PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PIP_ARGS ?=
# Extra options for pytest, e.g. PYTEST_ARGS="-k store"; WORKERS=0 runs the tests in one process
PYTEST_ARGS ?=
WORKERS ?= auto

VENV := .venv
PY := $(VENV)/bin/python
APP := $(VENV)/.app
READY := $(VENV)/.installed
# A file of tests stays in one process, all browser tests in one and first (tests/conftest.py). Each may take 2 GB.
PYTEST := $(PY) -m pytest -n $(WORKERS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help run test check lint types layers js bench leaderboards gpu-check kills fuzz clean

# List the targets.
help:
	@awk '/^# / {about = substr($$0, 3); next} \
	      /^[a-z-]+:/ && about {sub(/:.*/, ""); printf "  make %-12s %s\n", $$0, about} \
	      {about = ""}' Makefile

# Open the explorer in the browser (installs what is missing first; PORT=8501).
run: $(APP)
	$(PY) -m pages._ui.serve --server.port $(PORT) --server.address $(HOST)

# Lint, types (JavaScript's too), layers and every test; browser tests skip themselves where no Chromium is found.
test: lint types layers js
	$(PYTEST) $(PYTEST_ARGS)

# The same without the browser tests.
check: lint types layers js
	$(PYTEST) -m "not browser" $(PYTEST_ARGS)

# Style and likely bugs (ruff).
lint: $(READY)
	$(PY) -m ruff check .

# Types of the library (mypy --strict).
types: $(READY)
	$(PY) -m mypy

# Who may import whom (import-linter).
layers: $(READY)
	$(VENV)/bin/lint-imports

# Style, likely bugs and types of the views' JavaScript (deno, one wheel; skipped where there is none for the machine).
js: $(READY)
	@if [ -x $(VENV)/bin/deno ]; then \
	  export DENO_DIR=$(VENV)/.deno DENO_NO_UPDATE_CHECK=1 && \
	  $(VENV)/bin/deno lint --quiet --config pages/_ui/deno.json pages/_ui && \
	  $(VENV)/bin/deno check --quiet --config pages/_ui/deno.json pages/_ui && echo "JavaScript: lint and types passed."; \
	else echo "JavaScript: skipped, deno is not installed ($(PY) -m pip install -r requirements-dev.txt brings it)."; fi

# Speed and memory, beside a plain implementation, in one run.
bench: $(READY)
	$(PY) -m benchmarks

# Every leaderboard and ablation again from the images: says how many hours first, resumable (TABLES="mnist" for some).
leaderboards: $(READY)
	$(PY) -m benchmarks.leaderboards $(TABLES)

# A CUDA GPU beside the CPU: agreement, time, memory, and that no step waits for the host (says so where there is none).
gpu-check: $(READY)
	$(PY) -m benchmarks.gpu

# Kill every writer of files at any moment, 300 times, and read what is left (minutes).
kills: $(READY)
	$(PY) -m tests.kills

# Damaged images, archives, weights, manifests and links, many thousands of each (an hour).
fuzz: $(READY)
	$(PY) -m tests.fuzz

# Remove what tools, tests and the app left behind; keeps .venv and cache/shipped.
clean:
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	rm -rf cache/local tests/browser/screenshots
	find . -name __pycache__ -type d -not -path "./$(VENV)/*" -prune -exec rm -rf {} +
	find static -type f ! -name README.md -delete

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed. Name one: make PYTHON=python3.11 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Each installed once; again only when its file changes.
$(APP): requirements.txt | $(PY)
	$(PY) -m pip install $(PIP_ARGS) -r requirements.txt
	@touch $@

$(READY): requirements-dev.txt $(APP)
	$(PY) -m pip install $(PIP_ARGS) -r requirements-dev.txt
	@touch $@
