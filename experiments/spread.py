"""How far gaming goes beyond what it is for: where it reaches, what it saves, what it outlives.

    python experiments/spread.py
    python experiments/spread.py parts=[race] points=81 scenario=scratchpad

writes, for each part, a figure and its numbers (CSV), and summary.json and provenance.json, into
the run's directory. The same command again makes no run twice.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from experiments.spread.command import (
    KEYS,
    OWN,
    closing,
    measure,
    read,
    store_of,
    write,
    write_summary,
)
from sim.cli.application import application, scenario_choice
from sim.cli.compose import SPEC_KEYS
from sim.cli.console import err, out, prepare_shard, progress_bar
from sim.cli.help import study_help
from sim.cli.outputs import write_json
from sim.sweeps.sweep import run_plan

HELP = study_help(
    "how far gaming goes beyond what it is for.",
    OWN,
    example="parts=[race] training.steps=4000",
)


@application("spread", check=read, keys=(*SPEC_KEYS, *KEYS), help_text=HELP)
def main(config: DictConfig) -> None:
    """Run the study and show what came out."""
    study, place = read(config, scenario_name=scenario_choice())
    directory = Path(HydraConfig.get().runtime.output_dir)
    start = perf_counter()
    found, figures, provenance = {}, [], {}
    for part in study.parts:
        plan = study.plan(part)
        with progress_bar(f"{part}: {plan.runs:,} runs") as progress:
            sweep = run_plan(
                plan,
                store=store_of(place, study, part, plan),
                progress=progress,
                prepare=prepare_shard,
            )
        found[part] = measure(study, part, plan, sweep)
        provenance[part] = sweep.described
        figures += write(part, found[part], directory)[:1]
        out.print(closing(part, found[part]))
    write_json(directory / "provenance.json", provenance)
    write_summary(study, found, directory)
    err.print(f"[dim]{perf_counter() - start:.0f} s; numbers: {directory}[/dim]", soft_wrap=True)
    for figure in figures:
        out.print(f"figure: {figure}", soft_wrap=True)


if __name__ == "__main__":
    main()
