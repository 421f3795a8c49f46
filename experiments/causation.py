"""What training-gaming causes: twins with and without it, its routes, and what a goal keeps.

    python experiments/causation.py
    python experiments/causation.py parts=[effects] "do=[{key: training.leak, set: 0.3}]"

writes, for each part, a figure and its numbers (CSV), and summary.json and provenance.json, into
the run's directory. The same command again makes no run twice.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from experiments.causation.command import HELP, KEYS, closing, measure, read, write, write_summary
from sim.cli.after_training import AFTER_KEYS
from sim.cli.application import application, scenario_choice
from sim.cli.compose import SPEC_KEYS
from sim.cli.console import err, out, prepare_shard, progress_bar

ALL_KEYS = (*SPEC_KEYS, *AFTER_KEYS, *KEYS)


@application("causation", check=read, keys=ALL_KEYS, help_text=HELP)
def main(config: DictConfig) -> None:
    """Run the study and show what came out."""
    study, place = read(config, scenario_name=scenario_choice())
    directory = Path(HydraConfig.get().runtime.output_dir)
    start = perf_counter()
    found, figures = {}, []
    for part in study.parts:
        with progress_bar(part) as progress:
            found[part] = measure(
                study, part, place=place, progress=progress, prepare=prepare_shard
            )
        figures += write(found[part], directory)
        out.print(closing(part, found[part]))
    write_summary(study, found, directory)
    err.print(f"[dim]{perf_counter() - start:.0f} s; numbers: {directory}[/dim]", soft_wrap=True)
    for figure in figures:
        out.print(f"figure: {figure}", soft_wrap=True)


if __name__ == "__main__":
    main()
