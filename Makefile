# `make help` lists the targets that have a description.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Each environment installs extras of pyproject.toml, in the versions of the lock. With PIP="uv pip",
# UV_TORCH_BACKEND=cpu chooses PyTorch's wheels for CPUs.
PIP ?= pip
INSTALL = -m $(PIP) install --quiet --constraint requirements.lock
UV := $(shell sed -n 's/^ *"\(uv==[^"]*\)",/\1/p' pyproject.toml)

# What linting needs, without PyTorch; the lock has the versions.
LINTERS := import-linter ruff snakefmt ty snakemake h5py numpy pandas pillow pydantic

# Apart, since TensorBoard would load TensorFlow wherever it finds it.
BENCH := $(VENV)/bench

# Apart, since a plugin that is not whole stops every snakemake, and most need none.
CLUSTER := $(VENV)/cluster

WORKERS = $$($(BIN)/python -c 'import os; print(min(os.cpu_count(), 4))')
PYTEST = $(BIN)/python -m pytest --dist worksteal --durations 20 -n $(WORKERS)

ENGINES = $(CLUSTER)/bin/python -m pytest --durations 10 \
	tests/engines/test_generic.py tests/engines/test_kubernetes.py

FINDINGS := residual unet bce depth vertical_flip full
RECIPES := $(filter-out proxy,$(basename $(notdir $(wildcard benchmarks/recipes/*.yaml))))

.PHONY: run demo-volume volume-quality volume-picture score test test-slow test-long test-all test-rest coverage test-compile test-slurm test-engines lint status report grouped config files lock soak combinations fuzz \
	bench bench-surveys bench-volumes findings recipes clean clean-results help

run: $(VENV)/run ## run the demo, from nothing to results/submission.csv; some minutes
	$(BIN)/python -m snakemake

demo-volume: $(VENV)/run ## fill the demo volume, from SEG-Y to SEG-Y and surfaces; some minutes
	$(BIN)/python -m snakemake --configfile config/demo-volume.yaml --directory experiments/demo-volume

status: $(VENV)/run ## show finished, running and pending jobs (ARGS="--configfile ... --directory ...")
	@$(BIN)/python workflow/engine/status.py $(ARGS)

report: $(VENV)/run ## write results/index.html and Snakemake's results/report.html (ARGS likewise)
	$(BIN)/python -m snakemake $(ARGS)
	$(BIN)/python -m snakemake $(ARGS) --report results/report.html

test: $(VENV)/test lint ## check style, and test units and two tiny finished runs; some minutes
	$(PYTEST) -m "not slow"

test-slow: $(VENV)/test ## test crashes, modules, self-training and other whole runs; ten minutes
	$(PYTEST) -m "slow and not long"

test-long: $(VENV)/test ## run the longest of the slow tests, whose parts others test; some minutes
	$(PYTEST) -m long

test-all: ## run all tests, on runs that are made once for all; twenty minutes
	@SALT_TEST_RUNS=$$(mktemp -d) && export SALT_TEST_RUNS; \
	$(MAKE) test && $(MAKE) test-rest; failed=$$?; rm -rf "$$SALT_TEST_RUNS"; exit $$failed

# Tests of engines mostly wait for a scheduler, so they run beside the slow ones, and are shown last.
# Slow ones wait, too: for what they kill.
SLOW ?= slow
test-rest: $(CLUSTER)/ready ## run what `make test` leaves: the slow tests and, beside them, those of engines
	@$(ENGINES) >$(VENV)/engines.txt 2>&1 & engines=$$!; failed=0; \
	$(PYTEST) -n $$(($(WORKERS) + 1)) -m "$(SLOW)" || failed=1; \
	wait $$engines || failed=1; cat $(VENV)/engines.txt; exit $$failed

coverage: $(VENV)/test ## measure which statements each tier of tests executes; half an hour
	$(BIN)/python -m coverage erase
	-$(BIN)/python -m coverage run -m pytest -n 2 -q -m "not slow"
	$(BIN)/python -m coverage combine --quiet && $(BIN)/python -m coverage report --format=total
	-$(BIN)/python -m coverage run -m pytest -n 2 -q -m slow
	$(BIN)/python -m coverage combine --quiet --append && $(BIN)/python -m coverage report --skip-covered

test-compile: $(VENV)/test ## train each network with training.compile on this processor; some minutes
	SALT_COMPILE=1 $(BIN)/python -m pytest tests/unit/networks/test_networks.py -k compiled_to_the_end --durations 0

test-slurm: $(CLUSTER)/ready ## run the workflow on a real Slurm, started here as root; a quarter of an hour
	$(CLUSTER)/bin/python -m pytest tests/engines/test_slurm.py

test-engines: $(CLUSTER)/ready ## test the other profiles with stand-ins for a scheduler and for Kubernetes
	$(ENGINES)

lint: $(VENV)/lint ## check style, types, imports between packages, and the workflow
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m snakefmt --check Snakefile workflow
	$(BIN)/python $(BIN)/lint-imports --no-cache
	$(BIN)/python -m ty check --quiet
	$(BIN)/python -m snakemake --lint

grouped: run ## compare the demo's score with random folds and with folds by section
	$(BIN)/python -m snakemake --configfile config/demo-grouped.yaml --directory experiments/grouped
	$(BIN)/python benchmarks/compare.py results experiments/grouped/results

lock: $(VENV)/lint ## pin all dependencies, and write envs/*.yaml (ARGS=--upgrade for newer versions)
	$(BIN)/python -m pip install --quiet $(UV)
	UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/python -m uv pip compile --quiet --universal \
		--python-version 3.11 --annotation-style line --output-file requirements.lock $(ARGS) \
		--all-extras pyproject.toml
	$(BIN)/python workflow/engine/environments.py

config: $(VENV)/run ## write config/config.yaml and the tables of config/*.md from the settings
	$(BIN)/python workflow/engine/config_files.py

files: ## list the files that a remote module fetches, in workflow/files.txt
	@find config/config.yaml envs workflow/engine workflow/scripts -type f \
		! -path '*/__pycache__/*' | LC_ALL=C sort > workflow/files.txt

soak: $(VENV)/run ## kill the demo 25 times and compare its bytes; half an hour
	$(BIN)/python tests/support/soak.py --kills 25 --folder experiments/soak

combinations: $(VENV)/test ## run all pairs of configuration values on tiny surveys; half an hour
	SALT_COMBINATIONS=all $(PYTEST) tests/workflow/test_combinations.py $(ARGS)

fuzz: $(VENV)/test ## damage surveys, tables and results at random; an hour
	$(BIN)/python -m pytest --hypothesis-profile=fuzz tests/hostile/test_fuzz.py

volume-picture: demo-volume ## draw the filled demo volume beside its truth, for docs/volumes.md
	$(BIN)/python benchmarks/volume_picture.py

volume-quality: $(VENV)/run ## score volumes beside interpolation of their labels (SURVEYS=folder); half an hour
	$(BIN)/python benchmarks/volume_quality.py $(if $(SURVEYS),"$(SURVEYS)")

bench: $(BENCH)/ready ## measure speed against common alternatives, for benchmarks/RESULTS.md; an hour (ten minutes on a GPU)
	$(BENCH)/bin/python benchmarks/speed/run.py

bench-surveys: $(VENV)/run ## measure very large surveys, for benchmarks/surveys.md; an hour
	$(BIN)/python benchmarks/surveys.py $(TILES)

bench-volumes: $(VENV)/run ## measure large volumes, for benchmarks/volumes.md; an hour, 32 GB of disk
	$(BIN)/python benchmarks/volumes.py $(GIGABYTES)

# Runs of configurations, by their folder and names, each laid over others, on the contest's zip.
define contest_runs
	@test -f "$(ZIP)" || { echo 'Name the contest zip: make $@ ZIP=/data/...zip'; exit 1; }
	for name in $(1); do \
		mkdir -p experiments/$@/$$name && \
		ln -sf "$$(realpath "$(ZIP)")" \
			experiments/$@/$$name/tgs-salt-identification-challenge.zip && \
		$(BIN)/python -m snakemake --directory experiments/$@/$$name --configfile \
			$(2) benchmarks/$@/proxy.yaml benchmarks/$@/$$name.yaml || exit 1; \
	done
	$(BIN)/python benchmarks/$@.py experiments/$@
endef

findings: $(VENV)/run ## measure the original's findings on the contest's tiles (ZIP=...); hours
	$(call contest_runs,$(FINDINGS))

recipes: $(VENV)/run ## measure each part of the contest recipe (ZIP=...); hours
	$(BIN)/python $(INSTALL) -e ".[pretrained]"
	$(call contest_runs,$(RECIPES),config/contest-cpu.yaml)

score: $(VENV)/run ## score a submission against answers (SUBMISSION=... ANSWERS=...)
	@$(BIN)/python benchmarks/score.py "$(SUBMISSION)" "$(ANSWERS)"

clean: ## remove environments and caches, and keep all results
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

clean-results: ## remove results/ and its record: every trained member of it is lost
	rm -rf results .snakemake

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.* ## \(.*\)/\1|\2/p' Makefile | awk -F '|' '{printf "make %-14s %s\n", $$1, $$2}'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 to 3.13 is \
	needed, found " + sys.version.split()[0] + "; name one: make PYTHON=python3.12 run")'
	$(PYTHON) -m venv $(VENV)
	$(if $(filter uv,$(PIP)),$(BIN)/python -m pip install --quiet $(UV))

$(VENV)/run: pyproject.toml requirements.lock | $(BIN)/python
	$(BIN)/python $(INSTALL) -e ".[openvino,pretrained]"
	@touch $@

$(VENV)/test: pyproject.toml requirements.lock | $(BIN)/python
	$(BIN)/python $(INSTALL) -e ".[dev]"
	@touch $@ $(VENV)/run $(VENV)/lint

$(VENV)/lint: pyproject.toml requirements.lock | $(BIN)/python
	$(BIN)/python $(INSTALL) $(LINTERS)
	$(BIN)/python $(INSTALL) --no-deps -e .
	@touch $@

# On top of the tests' environment.
$(CLUSTER)/ready: $(VENV)/test
	$(BIN)/python -m venv $(CLUSTER)
	site='import sysconfig; print(sysconfig.get_path("purelib"))'; \
		$(BIN)/python -c "$$site" > "$$($(CLUSTER)/bin/python -c "$$site")/parent.pth"
	$(CLUSTER)/bin/python -m pip install --quiet --constraint requirements.lock -e ".[cluster]"
	@touch $@

# By uv, which reads the manifest's exception for TensorFlow.
$(BENCH)/ready: pyproject.toml requirements.lock | $(BIN)/python
	$(BIN)/python -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet $(UV)
	$(BENCH)/bin/python -m uv pip install --quiet --constraint requirements.lock -e ".[bench]"
	@touch $@
