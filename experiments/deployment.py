"""What becomes of deployed copies: takeovers, catches, dormancy, and what coordination does.

    python experiments/deployment.py
    python experiments/deployment.py kinds=4 deployment=small_world willing=true

Agents are trained; copies of those that come closest to the worst case are deployed many times, as
Mesa agents. Writes a figure, outcomes.csv, series.csv, coordination.csv, summary.json and
provenance.json.
"""

from __future__ import annotations

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from experiments.deploy.command import HELP, KEYS, conduct, read, write_study
from experiments.deploy.terminal_tables import deployment_table
from sim.cli.application import application, scenario_choice
from sim.cli.compose import SPEC_KEYS
from sim.cli.console import err, out, prepare_engine, progress_bar


@application("deployment", check=read, keys=(*SPEC_KEYS, *KEYS), help_text=HELP)
def main(config: DictConfig) -> None:
    """Train, deploy, and show what came of it."""
    study = read(config, scenario_name=scenario_choice())
    directory = Path(HydraConfig.get().runtime.output_dir)
    prepare_engine(study.run.engine, study.run.program)
    with progress_bar(f"{study.run.name}: training") as progress:
        result = study.run.execute(progress=progress)
    with progress_bar(f"{study.run.name}: deployments") as progress:
        found = conduct(study, result, progress=progress)
    says, figure = write_study(directory, study, found)
    out.print(deployment_table(found.bars))
    out.print(says)
    err.print(f"[dim]numbers: {directory}[/dim]", soft_wrap=True)
    out.print(f"figure: {figure}", soft_wrap=True)


if __name__ == "__main__":
    main()
