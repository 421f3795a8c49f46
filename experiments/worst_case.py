"""From training-gaming to the worst case: how a population narrows, condition by condition.

    python experiments/worst_case.py
    python experiments/worst_case.py oversight=retrain deployment.caution=0.1 moves=[]

Agents are trained, audited and deployed. Writes the funnel, how it moves with each assumption and
what binds, as figures and tables (CSV), summary.json with what the numbers say, and
provenance.json.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from experiments.worst_case.command import HELP, KEYS, closing, measure, read, write
from sim.cli.after_training import AFTER_KEYS
from sim.cli.application import application, scenario_choice
from sim.cli.compose import SPEC_KEYS
from sim.cli.console import err, out, prepare_engine, progress_bar

ALL_KEYS = (*SPEC_KEYS, *AFTER_KEYS, *KEYS)


@application("worst_case", check=read, keys=ALL_KEYS, help_text=HELP)
def main(config: DictConfig) -> None:
    """Run the study and show what came out."""
    study = read(config, scenario_name=scenario_choice())
    directory = Path(HydraConfig.get().runtime.output_dir)
    start = perf_counter()
    run = study.run()
    prepare_engine(run.engine, run.program)
    title = f"{run.name}: {study.agents:,} agents"
    if study.moves:
        title += f", {len(study.moves)} moves"
    with progress_bar(title) as progress:
        found = measure(study, run, progress=progress)
    figures = write(directory, study, found)
    out.print(closing(found))
    err.print(f"[dim]{perf_counter() - start:.0f} s; numbers: {directory}[/dim]", soft_wrap=True)
    for figure in figures:
        out.print(f"figure: {figure}", soft_wrap=True)


if __name__ == "__main__":
    main()
