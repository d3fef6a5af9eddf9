# make run: everything, from nothing to results/submission.csv. make test: all tests.
# make grouped: the demo's score with random folds against folds by section.
# make findings ZIP=...: the original's findings, measured anew on the contest's tiles; some hours.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

FINDINGS := residual unet bce depth full

.PHONY: run test lint grouped findings clean

run: $(VENV)/run
	$(BIN)/snakemake

test: $(VENV)/test lint
	$(BIN)/python -m pytest

lint: $(VENV)/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

grouped: run
	$(BIN)/snakemake --configfile config/demo-grouped.yaml --directory experiments/grouped
	$(BIN)/python benchmarks/compare.py results experiments/grouped/results

findings: $(VENV)/run
	@test -f "$(ZIP)" || { echo 'Name the contest zip: make findings ZIP=/data/...zip'; exit 1; }
	for name in $(FINDINGS); do \
		mkdir -p experiments/findings/$$name && \
		ln -sf "$$(realpath "$(ZIP)")" \
			experiments/findings/$$name/tgs-salt-identification-challenge.zip && \
		$(BIN)/snakemake --directory experiments/findings/$$name --configfile \
			benchmarks/findings/proxy.yaml benchmarks/findings/$$name.yaml || exit 1; \
	done
	$(BIN)/python benchmarks/findings.py experiments/findings

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
