# Two commands matter: `make demo` shows netwatch at work, `make test` proves it.
PYTHON ?= python3.11
VENV := .venv
PY := $(VENV)/bin/python
ARGS ?=

.PHONY: help demo test venv run check lint types imports bench soak fmt reflector wheel lock clean
help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*##/\1\t/p' $(MAKEFILE_LIST) | expand -t 12

$(VENV)/runtime.stamp: requirements.lock pyproject.toml
	@$(PYTHON) tools/python_check.py
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --require-hashes -r requirements.lock
	$(PY) -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/dev.stamp: requirements-dev.lock $(VENV)/runtime.stamp
	$(PY) -m pip install --quiet --require-hashes -r requirements-dev.lock
	touch $@

venv: $(VENV)/dev.stamp  ## .venv with everything to work on netwatch

demo: $(VENV)/runtime.stamp  ## 45 sites on this machine, with incidents: make demo ARGS="--for 60s"
	$(PY) -m netwatch demo $(ARGS)

run: $(VENV)/runtime.stamp  ## the daemon on inventory.yaml
	$(PY) -m netwatch run --inventory inventory.yaml $(ARGS)

test: venv  ## installs what the tests need and runs everything
	tests/install-peers
	PYTHON=$(PYTHON) tests/install-snmpsim
	$(PY) -m pytest -n 2 --dist loadgroup $(ARGS)

lint: venv
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check

types: venv
	$(VENV)/bin/mypy

imports: venv
	$(VENV)/bin/lint-imports

check: lint types imports test  ## lint, types, import contracts, tests

bench: venv  ## the figures of docs/benchmarks.md, one JSON line each
	tests/install-peers
	set -e; for file in bench/[a-z]*.py; do case $$file in bench/line.py) $(PY) $$file --quick;; *) $(PY) $$file;; esac; done

soak: venv  ## kill -9 and scenarios in the lab for an hour, lines of known rates, real devices; writes docs/evidence/
	tests/install-peers
	PYTHON=$(PYTHON) tests/install-snmpsim
	$(PY) -m pytest -m soak
	$(PY) tools/soak.py $(ARGS)
	$(PY) bench/line.py --evidence docs/evidence/lines-$$(date -u +%F).json
	$(PY) tools/devices.py

fmt: venv
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

reflector:  ## dist/netwatch-reflector.pyz, the far end of line tests as one file
	$(PYTHON) tools/reflector.py

wheel: $(VENV)/runtime.stamp  ## dist/*.whl, with all that an installation needs
	$(PY) -m hatchling build -t wheel -d dist

lock:  ## renews the lock files from pyproject.toml
	tools/lock

clean:
	rm -rf $(VENV) .venv-snmpsim .demo .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist
