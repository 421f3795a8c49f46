# Two commands matter: `make run` and `make test`. Both make .venv first, from the hashed lock.
#   make run                           the main job on the default scenario
#   make run ARGS="scenario=pipeline"  ... with settings
#   make test PYTHON=python3.12        with another Python (3.11 or newer)

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin

.PHONY: run test verify lint format bench figures lock environment clean

run: environment
	@$(BIN)/python experiments/emergence.py $(ARGS)

test: environment
	@$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow" $(ARGS)

# Everything, the slow tests too.
verify: environment
	@$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

lint: environment
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: environment
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: environment
	@PYTHONPATH=tests $(BIN)/python benchmarks/bench.py $(ARGS)

# The figures of the README and of the documents, each from a run.
figures: environment
	@$(BIN)/python experiments/emergence.py hydra.run.dir=outputs/figures
	@$(BIN)/python experiments/phase_diagram.py contour=values.copyright hydra.run.dir=outputs/figures
	@$(BIN)/python experiments/bifurcation.py hydra.run.dir=outputs/figures
	@$(BIN)/python experiments/stability.py hydra.run.dir=outputs/figures
	@$(BIN)/python experiments/footnote4.py hydra.run.dir=outputs/figures
	@$(BIN)/python experiments/worst_case.py hydra.run.dir=outputs/figures
	@$(BIN)/python experiments/deployment.py hydra.run.dir=outputs/figures
	@$(BIN)/python experiments/archetypes.py hydra.run.dir=outputs/figures
	@$(BIN)/python experiments/footnote3.py hydra.run.dir=outputs/figures
	@$(BIN)/python experiments/footnote6.py hydra.run.dir=outputs/figures
	@$(BIN)/python experiments/causation.py hydra.run.dir=outputs/figures
	@$(BIN)/python experiments/evidence.py hydra.run.dir=outputs/figures
	@$(BIN)/python experiments/sensitivity.py hydra.run.dir=outputs/figures
	@cd outputs/figures && cp emergence.svg bifurcation.svg phase_diagram.png phase_plane.png \
	  footnote3.png footnote4.png footnote6.png funnel.png moves.png binding.png deployment.png \
	  archetypes.png training_log.png effects.png mediation.png scenarios.png \
	  self_modification.png evidence.png contexts.png sensitivity.png ../../docs/images

# Newer versions within the bounds of pyproject.toml; needs uv.
lock:
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --upgrade \
	  --generate-hashes --no-header --no-emit-index-url --no-annotate -o requirements.lock

environment:
	@sh .ci/environment $(PYTHON)

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis dist
