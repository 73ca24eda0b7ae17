# Python 3.11 or newer and make are all that is needed; the rest comes from the package registry into .venv.
SHELL = /bin/sh
BIN = .venv/bin
PYTEST = $(BIN)/python -m pytest
DEMO = $(BIN)/provider dev up examples/hello/wadm.yaml --demo
DEMO_CHECK = $(DEMO) --check
CHECKED = provider_sdk providers packaging examples tests bench

# A path set for another Python would shadow the packages of the lock.
unexport PYTHONPATH PYTHONHOME

.DEFAULT_GOAL = help
.NOTPARALLEL:
.PHONY: help demo package test interop check bench soak wheel-test lock actors clean venv venv-dev

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

demo: venv ## a lattice on this machine: HTTP, a WebAssembly actor, random numbers, until Ctrl-C; CHECK=1 asks itself and ends
	@$(if $(filter-out 0,$(CHECK)),$(DEMO_CHECK),$(DEMO))

package: venv-dev ## signed archives of the four providers in dist/, by way of a registry on this machine into the lattice in a box
	@.ci/package

test: venv-dev ## the tests that this machine has the programs for, in minutes; ARGS="-k links" picks some
	@$(PYTEST) --ignore tests/checks --ignore tests/interop $(ARGS)

interop: venv-dev ## the providers under a real 1.x host, built where the cache has none (20 to 40 minutes, once); ARGS="-k links" picks some
	@.ci/interop build
	@$(PYTEST) tests/interop $(ARGS)

check: venv-dev ## style, types, import rules, house rules, lock files
	@$(BIN)/ruff check $(CHECKED)
	@$(BIN)/ruff format --check $(CHECKED)
	@$(BIN)/mypy $(CHECKED)
	@$(BIN)/lint-imports --no-logo
	@$(PYTEST) -q tests/checks

bench: venv-dev ## figures as ratios to yardsticks of the same run, with their goals; ARGS="--rounds 3" shortens
	@$(BIN)/python -m bench $(ARGS)

soak: venv-dev ## every test at full size, faults and fuzzing included: hours
	@TIER=soak $(PYTEST) --soak --timeout 14400 $(ARGS)

wheel-test: venv-dev ## the tests against the built wheel in an environment of its own
	@.ci/wheel-test $(ARGS)

actors: venv-dev ## the example actors, rebuilt from their sources (needs node and npm)
	@$(BIN)/python examples/actors/build.py

lock: ## the lock files, re-made from pyproject.toml (needs Python 3.11); UPGRADE=1 moves to the newest versions
	@UPGRADE='$(UPGRADE)' PYTHON='$(PYTHON)' .ci/lock

clean: ## everything that was made here is removed, .venv too
	@rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache examples/actors/node_modules
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

venv:
	@PYTHON='$(PYTHON)' .ci/venv requirements.txt

venv-dev:
	@PYTHON='$(PYTHON)' .ci/venv requirements-dev.txt
