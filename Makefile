# Two commands: `make quickstart` and `make test`. Both set up .venv first; nothing else of the machine is touched.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
SWEEP ?= sweeps/quickstart.yaml
# One thread per process, since they would be in each other's way; and in the order of folders, the longest files first.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

# Memory is kept instead of given back and asked for again. Where pages are slow to come, as on many virtual machines,
# plain Python takes half the CPU seconds for it and a training on CPUs two thirds (tests/bench/RESULTS.md, "Pages").
export PYTHONMALLOC ?= malloc
export GLIBC_TUNABLES ?= glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=4294967296

.PHONY: quickstart test test-fast check format clean

quickstart: .venv/installed
	@$(BIN)/assay run $(SWEEP)

test: .venv/installed
	$(PYTEST)

test-fast: .venv/installed
	$(PYTEST) -m 'not slow' tests/unit tests/parity

check: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "assay needs Python 3.11 or later, this is " + sys.version.split()[0] + "; name another with: make PYTHON=/path/to/python3.11")'
	@echo "Setting up .venv (about 2 GB; once, a few minutes)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@$(BIN)/python -m compileall -q platform workloads
	@touch $@

clean:
	rm -rf .venv .assay
