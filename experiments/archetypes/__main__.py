"""Six archetypes of the post side by side, and what a training log alone could tell apart.

    python experiments/archetypes.py
    python experiments/archetypes.py archetypes=[monolithic,opportunist] deployment=single

trains a population of each on one scenario. Writes which share of each meets which condition on
the way to the worst case (archetypes.csv, figure archetypes), what tells each pair apart
(pairs.csv, figure training_log), summary.json and provenance.json into the run's directory.
"""

from __future__ import annotations

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from experiments.archetypes.command import HELP, KEYS, closing, read, write_study
from experiments.archetypes.study import study
from experiments.archetypes.training_log import compare_all
from sim.cli.application import application, scenario_choice
from sim.cli.compose import SPEC_KEYS
from sim.cli.console import err, out, prepare_engine, progress_bar


@application("archetypes", check=read, keys=(*SPEC_KEYS, *KEYS), help_text=HELP)
def main(config: DictConfig) -> None:
    """Train every archetype and show what became of it."""
    asked = read(config, scenario_name=scenario_choice())
    directory = Path(HydraConfig.get().runtime.output_dir)
    first = next(iter(asked.runs.values()))
    prepare_engine(first.engine, first.program)
    with progress_bar(f"{asked.specs.scenario.name}: {len(asked.runs)} archetypes") as progress:
        portraits = study(asked.runs, after=asked.after.arguments(), progress=progress)
    pairs = compare_all([one.log for one in portraits], odds=asked.odds)
    figures = write_study(directory, asked, portraits, pairs)
    out.print(closing(portraits, pairs, odds=asked.odds))
    err.print(f"[dim]numbers: {directory}[/dim]", soft_wrap=True)
    for figure in figures:
        out.print(f"figure: {figure}", soft_wrap=True)


if __name__ == "__main__":
    main()
