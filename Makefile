# make run: everything, from nothing to results/submission.csv. make test: all tests.
# make status: what is done, what is at work, and what would run, and why.
# make report: results/index.html, and Snakemake's own report, results/report.html.
#   Both take ARGS="--configfile mine.yaml --directory experiments/mine".
# make grouped: the demo's score with random folds against folds by section.
# make staleness: what runs again after what change, to docs/staleness.md; some minutes.
# make soak: the demo killed 25 times, and its bytes compared; half an hour.
# make combinations: all pairs of the configuration's values on tiny surveys, each through the whole
#   workflow and `snakemake predict`, with damaged files; an hour. ARGS="--only 7 --jobs 1", say.
# make test-slurm: the workflow on a real Slurm, which root can start here; ten minutes.
# make test-engines: with stand-ins for other schedulers' commands, and for a Kubernetes server.
# make fuzz: random damage to surveys, tables and results; an hour.
# make bench: how fast it is, beside what people use, to benchmarks/RESULTS.md; an hour.
# make bench-surveys: time and memory of very large surveys, to benchmarks/surveys.md; an hour.
# make recipes ZIP=...: what each part of the contest's recipe is worth; some hours.
# make findings ZIP=...: the original's findings, measured anew on the contest's tiles; some hours.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Apart, since TensorBoard would load TensorFlow wherever it finds it.
BENCH := $(VENV)/bench

# Apart, since a plugin that is not whole stops every snakemake, and most need none.
CLUSTER := $(VENV)/cluster

FINDINGS := residual unet bce depth full
RECIPES := $(filter-out proxy,$(basename $(notdir $(wildcard benchmarks/recipes/*.yaml))))

.PHONY: run test test-slurm test-engines lint status report grouped staleness soak combinations fuzz \
	bench bench-surveys findings recipes clean

run: $(VENV)/run
	$(BIN)/snakemake

status: $(VENV)/run
	@$(BIN)/python workflow/status.py $(ARGS)

report: $(VENV)/run
	$(BIN)/snakemake $(ARGS)
	$(BIN)/snakemake $(ARGS) --report results/report.html

test: $(VENV)/test lint
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile \
		--no-loadscope-reorder --durations 20

test-slurm: $(CLUSTER)/ready
	SLURM_TEST_LOG=docs/slurm-test.txt $(CLUSTER)/bin/python -m pytest tests/slurm

test-engines: $(CLUSTER)/ready
	$(CLUSTER)/bin/python -m pytest tests/test_generic.py tests/test_kubernetes.py

lint: $(VENV)/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	PYTHONPATH=workflow/scripts $(BIN)/lint-imports --no-cache
	$(BIN)/snakemake --lint

grouped: run
	$(BIN)/snakemake --configfile config/demo-grouped.yaml --directory experiments/grouped
	$(BIN)/python benchmarks/compare.py results experiments/grouped/results

staleness: $(VENV)/test
	PYTHONPATH=workflow/scripts $(BIN)/python tests/test_staleness.py

soak: $(VENV)/run
	$(BIN)/python tests/soak.py --kills 25 --folder experiments/soak

combinations: $(VENV)/test
	$(BIN)/python tests/combinations.py --folder experiments/combinations $(ARGS)

fuzz: $(VENV)/test
	$(BIN)/python -m pytest --hypothesis-profile=fuzz tests/test_fuzz.py

bench: $(BENCH)/ready
	$(BENCH)/bin/python benchmarks/speed/run.py

bench-surveys: $(VENV)/run
	$(BIN)/python benchmarks/surveys.py $(TILES)

# Runs of configurations, by their folder and names, each laid over others, on the contest's zip.
define contest_runs
	@test -f "$(ZIP)" || { echo 'Name the contest zip: make $@ ZIP=/data/...zip'; exit 1; }
	for name in $(1); do \
		mkdir -p experiments/$@/$$name && \
		ln -sf "$$(realpath "$(ZIP)")" \
			experiments/$@/$$name/tgs-salt-identification-challenge.zip && \
		$(BIN)/snakemake --directory experiments/$@/$$name --configfile \
			$(2) benchmarks/$@/proxy.yaml benchmarks/$@/$$name.yaml || exit 1; \
	done
	$(BIN)/python benchmarks/$@.py experiments/$@
endef

findings: $(VENV)/run
	$(call contest_runs,$(FINDINGS))

recipes: $(VENV)/run
	$(BIN)/python -m pip install --quiet -r requirements-pretrained.txt
	$(call contest_runs,$(RECIPES),config/contest-cpu.yaml)

# Everything that was computed and installed here.
clean:
	rm -rf results .snakemake $(VENV)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or 3.12 is \
	needed, found " + sys.version.split()[0] + "; name one: make PYTHON=python3.12 run")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/run: requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -r requirements.txt
	@touch $@

$(VENV)/test: requirements-dev.txt requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	@touch $@ $(VENV)/run

$(CLUSTER)/ready: requirements-cluster.txt requirements-dev.txt requirements.txt \
		$(wildcard profiles/*/requirements.txt) | $(BIN)/python
	$(BIN)/python -m venv $(CLUSTER)
	$(CLUSTER)/bin/python -m pip install --quiet -r requirements-cluster.txt
	@touch $@

$(BENCH)/ready: benchmarks/requirements.txt requirements.txt | $(BIN)/python
	$(BIN)/python -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet -r benchmarks/requirements.txt
	@touch $@
