# `make help` lists what there is. Everything but help makes .venv first, from the hashed lock.

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
# Studies whose figures stand in docs/images; calibration and claims have targets of their own, and
# the phase diagram has contours there.
STUDIES := $(filter-out %/calibration %/claims %/phase_diagram,$(patsubst %/config.yaml,%,$(wildcard \
  experiments/*/config.yaml)))

.PHONY: help run test verify lint format bench report docs figures validation lessons explorable \
  explore lock clean environment

help:  ## this list
	@echo 'make TARGET [ARGS="..."] [PYTHON=python3.12]'
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: environment  ## the main job; ARGS="scenario=pipeline agents=16" are settings, ARGS=--help lists them
	@$(BIN)/python experiments/emergence.py $(ARGS)

test: environment  ## the tests
	@$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow" $(ARGS)

verify: environment  ## the tests, the slow ones too
	@$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

lint: environment  ## ruff, mypy, codespell
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/codespell

format: environment  ## what ruff can mend by itself
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: environment  ## how fast it is; writes docs/benchmarks.md and the README's table
	@PYTHONPATH=tests $(BIN)/python benchmarks/bench.py $(ARGS)

report: environment  ## the post claim by claim, run and judged: outputs/report.html, ten minutes
	@$(BIN)/python experiments/claims page=outputs/report.html $(ARGS)

docs: environment  ## the documentation as a site, site/index.html; a broken link is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet $(ARGS)
	@echo "site: site/index.html"

figures: environment  ## the figures of README and docs, each from a run
	@$(BIN)/python docs/hooks/gallery.py
	@$(BIN)/python experiments/emergence.py hydra.run.dir=outputs/figures
	@$(BIN)/python experiments/phase_diagram contour=values.copyright hydra.run.dir=outputs/figures
	@for study in $(STUDIES); do \
	  $(BIN)/python $$study hydra.run.dir=outputs/figures || exit 1; done
	@for figure in docs/images/*; do \
	  new=outputs/figures/$${figure##*/}; [ ! -e $$new ] || cp $$new $$figure; done

validation: environment  ## docs/validation.md with its figure, and the calibrated agent
	@$(BIN)/python experiments/calibration hydra.run.dir=outputs/validation
	@cd outputs/validation && sed 's|](\([a-z_]*\.png\))|](images/\1)|' report.md \
	  > ../../docs/validation.md && cp summary.json ../../docs/validation.json \
	  && cp validation.png ../../docs/images && cp calibrated.yaml ../../configs/agent/calibrated.yaml

lessons: environment  ## the five lessons of notebooks/ in a browser, on this machine only
	@$(BIN)/marimo run notebooks/lesson_*.py --host 127.0.0.1 $(ARGS)

explorable: environment  ## a page to share, outputs/explorable.html: one file, no network
	@$(BIN)/python docs/explorable/build.py outputs/explorable.html

explore: explorable  ## opens that page in a browser
	@$(BIN)/python -m webbrowser -t "file://$(CURDIR)/outputs/explorable.html"

# All extras but jax, which would take 350 MB: its tests run where it is installed.
LOCKED := $(addprefix --extra ,studies fast cluster lessons docs dev)
lock:  ## requirements.lock anew, within the bounds of pyproject.toml; needs uv
	uv pip compile pyproject.toml $(LOCKED) --universal --python-version 3.11 --upgrade \
	  --generate-hashes --no-header --no-emit-index-url --no-annotate -o requirements.lock

clean:  ## removes what can be made again; outputs/ stays
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis dist site

environment:
	@sh .ci/environment $(PYTHON)
