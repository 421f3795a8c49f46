"""Which assumptions matter: for training-gaming, and for the worst case.

    python experiments/sensitivity.py
    python experiments/sensitivity.py method=[sobol] points=512 oversight=none
    python experiments/sensitivity.py '++assumptions={training.leak: [0, 0.5]}'

Draws assumptions from ranges, trains and looks at what comes of it. Writes Morris and Sobol indices
with intervals (indices.csv), how they settle (convergence.csv), what the two groups of outcomes
hang on (comparison.csv), the outcomes themselves (outcomes.csv), figures, summary.json and
provenance.json. The same command again makes no run twice.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from experiments.sensitivity.command import HELP, KEYS, closing, measure, read, write
from sim.cli.after_training import AFTER_KEYS
from sim.cli.application import application, scenario_choice
from sim.cli.compose import SPEC_KEYS
from sim.cli.console import err, out, prepare_shard, progress_bar
from sim.sweeps.sweep import run_plan

ALL_KEYS = (*SPEC_KEYS, *AFTER_KEYS, *KEYS)


@application("sensitivity", check=read, keys=ALL_KEYS, help_text=HELP)
def main(config: DictConfig) -> None:
    """Run the study and show what came out."""
    study = read(config, scenario_name=scenario_choice())
    directory = Path(HydraConfig.get().runtime.output_dir)
    start = perf_counter()
    found, sweeps = {}, {}
    for method in study.methods:
        sample = study.sample(method)
        plan = study.plan(sample)
        with progress_bar(f"{method}: {plan.runs:,} runs") as progress:
            sweeps[method] = run_plan(
                plan,
                store=study.store(sample, plan),
                executor=study.executor,
                progress=progress,
                prepare=prepare_shard,
            )
        with progress_bar(f"{method}: indices") as progress:
            found[method] = measure(study, sample, sweeps[method], progress=progress)
        out.print(closing(method, found[method]))
    figures = write(directory, study, found, sweeps)
    err.print(f"[dim]{perf_counter() - start:.0f} s; numbers: {directory}[/dim]", soft_wrap=True)
    for figure in figures:
        out.print(f"figure: {figure}", soft_wrap=True)


if __name__ == "__main__":
    main()
