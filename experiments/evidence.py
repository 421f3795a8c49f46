"""What training-gaming is evidence of: likelihood ratios under several priors, and what is cause.

    python experiments/evidence.py
    python experiments/evidence.py priors=[capable] agents=5000 cut=false

Agents are drawn from priors and trained. Writes what each observation says of each hypothesis
(evidence.csv), how much of that is gone when what gaming does to agents is cut (cause.csv),
figures, summary.json with what the numbers say, and provenance.json. The same command again trains
nobody twice.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from experiments.evidence.command import HELP, KEYS, closing, measure, read, write
from sim.cli.after_training import AFTER_KEYS
from sim.cli.application import application, scenario_choice
from sim.cli.compose import SPEC_KEYS
from sim.cli.console import err, out, prepare_shard, progress_bar

ALL_KEYS = (*SPEC_KEYS, *AFTER_KEYS, *KEYS)


@application("evidence", check=read, keys=ALL_KEYS, help_text=HELP)
def main(config: DictConfig) -> None:
    """Run the study and show what came out."""
    study = read(config, scenario_name=scenario_choice())
    directory = Path(HydraConfig.get().runtime.output_dir)
    start = perf_counter()
    title = f"{len(study.priors)} priors, {study.agents:,} agents, trained {len(study.worlds)} ways"
    with progress_bar(title) as progress:
        found = measure(study, progress=progress, prepare=prepare_shard)
    figures = write(directory, study, found)
    out.print(closing(found.evidence, found.cause, found.says))
    err.print(f"[dim]{perf_counter() - start:.0f} s; numbers: {directory}[/dim]", soft_wrap=True)
    for figure in figures:
        out.print(f"figure: {figure}", soft_wrap=True)


if __name__ == "__main__":
    main()
