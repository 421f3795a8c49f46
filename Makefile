# Two commands matter: `make run` and `make test`. Both make .venv first, from the hashed lock.
#   make run                           the main job on the default scenario
#   make run ARGS="scenario=pipeline"  ... with settings
#   make test PYTHON=python3.12        with another Python (3.11 or newer)

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin

.PHONY: docs report run test verify lint format bench figures validation explore lock environment clean lessons

run: environment
	@$(BIN)/python experiments/emergence.py $(ARGS)

test: environment
	@$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow" $(ARGS)

# Everything, the slow tests too.
verify: environment
	@$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

# The five lessons of notebooks/ in the browser, for this machine only.
lessons: environment
	@$(BIN)/marimo run notebooks/lesson_*.py --host 127.0.0.1 $(ARGS)

lint: environment
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: environment
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: environment
	@PYTHONPATH=tests $(BIN)/python benchmarks/bench.py $(ARGS)

# The post claim by claim: outputs/report.html, which opens from disk.
report: environment
	@$(BIN)/python experiments/report.py $(ARGS)

# The documentation as a site, site/index.html, which opens from disk; a broken link is an error.
docs: environment
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet $(ARGS)
	@echo "site: site/index.html"

# The figures of the README and of the documents, each from a run.
figures: environment
	@$(BIN)/python experiments/emergence.py hydra.run.dir=outputs/figures
	@$(BIN)/python experiments/phase_diagram.py contour=values.copyright hydra.run.dir=outputs/figures
	@$(BIN)/python experiments/bifurcation.py hydra.run.dir=outputs/figures
	@$(BIN)/python experiments/stability.py hydra.run.dir=outputs/figures
	@$(BIN)/python experiments/footnote4 hydra.run.dir=outputs/figures
	@$(BIN)/python experiments/worst_case.py hydra.run.dir=outputs/figures
	@$(BIN)/python experiments/deployment.py hydra.run.dir=outputs/figures
	@$(BIN)/python experiments/archetypes.py hydra.run.dir=outputs/figures
	@$(BIN)/python experiments/footnote3.py hydra.run.dir=outputs/figures
	@$(BIN)/python experiments/footnote6.py hydra.run.dir=outputs/figures
	@$(BIN)/python experiments/causation.py hydra.run.dir=outputs/figures
	@$(BIN)/python experiments/evidence.py hydra.run.dir=outputs/figures
	@$(BIN)/python experiments/sensitivity.py hydra.run.dir=outputs/figures
	@$(BIN)/python experiments/animation.py hydra.run.dir=outputs/figures
	@cd outputs/figures && cp emergence.svg bifurcation.svg phase_diagram.png phase_plane.png \
	  footnote3.png footnote4.png footnote6.png funnel.png moves.png binding.png deployment.png \
	  archetypes.png training_log.png effects.png mediation.png scenarios.png \
	  self_modification.png evidence.png contexts.png sensitivity.png emergence_animated.svg \
	  ../../docs/images

# The model against published measurements: docs/validation.md with its figures, and the agent.
validation: environment
	@$(BIN)/python experiments/calibration.py hydra.run.dir=outputs/validation
	@cd outputs/validation && cp validation.md ../../docs/validation.md \
	  && cp summary.json ../../docs/validation.json \
	  && cp calibration.png mechanisms.png cross_validation.png reinforced.png facts.png \
	  ../../docs/images && cp calibrated.yaml ../../configs/agent/calibrated.yaml

# Assumptions to move in a browser, on this machine only; ARGS="--port 9000" for another port.
explore: environment
	@$(BIN)/python -m notebooks.explorer $(ARGS)

# Newer versions within the bounds of pyproject.toml; needs uv.
lock:
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --upgrade \
	  --generate-hashes --no-header --no-emit-index-url --no-annotate -o requirements.lock

environment:
	@sh .ci/environment $(PYTHON)

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis dist site
