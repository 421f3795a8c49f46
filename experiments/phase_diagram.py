"""A phase diagram: in which regime runs end, by any two of their numbers.

    python experiments/phase_diagram.py
    python experiments/phase_diagram.py contour=values.copyright
    python experiments/phase_diagram.py scenario=scratchpad y.key=training.anchor y.low=1e-5 \
        y.high=0.1 y.scale=log

makes runs where regimes change, and writes the map (phase_diagram.png, .svg and .nc), summary.json
and provenance.json into the run's directory. The same command again makes no run twice.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from experiments.phase_diagram.command import KEYS, OWN, phase_diagram_table, read, summarise, write
from sim.cli.application import application, scenario_choice
from sim.cli.compose import SPEC_KEYS
from sim.cli.console import err, out, prepare_engine, progress_bar
from sim.cli.help import study_help
from sim.dynamics.engines.registry import get_engine

HELP = study_help(
    "in which regime runs end, by two of their numbers.",
    OWN,
    example="scenario=scratchpad y.key=training.leak y.high=1",
)


@application("phase_diagram", check=read, keys=(*SPEC_KEYS, *KEYS), help_text=HELP)
def main(config: DictConfig) -> None:
    """Make a map of regimes."""
    survey, store = read(config, scenario_name=scenario_choice())
    directory = Path(HydraConfig.get().runtime.output_dir)
    prepare_engine(get_engine(survey.engine), survey.program())
    start = perf_counter()
    with progress_bar(f"{survey.name}: {survey.x.points} x {survey.y.points} points") as progress:
        diagram = survey.execute(store=store, progress=progress)
    seconds = round(perf_counter() - start, 2)
    written = write(diagram, directory, seconds=seconds)
    out.print(phase_diagram_table(summarise(diagram, seconds=seconds)))
    err.print(f"[dim]numbers and data: {directory}[/dim]", soft_wrap=True)
    out.print(f"figure: {written[0]}", soft_wrap=True)


if __name__ == "__main__":
    main()
