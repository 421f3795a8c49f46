"""A bifurcation diagram: where training can come to rest, along one number.

    python experiments/bifurcation.py
    python experiments/bifurcation.py free=[] variable=values.copyright
    python experiments/bifurcation.py key=training.anchor low=1e-4 high=0.1 scale=log

writes branches.csv, bifurcation.json (folds, and where training has several stable outcomes),
provenance.json and the figure (bifurcation.png and .svg) into the run's directory.
"""

from __future__ import annotations

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from experiments.bifurcation.command import HELP, KEYS, diagram_table, read, write_diagram
from sim.cli.application import application, scenario_choice
from sim.cli.compose import SPEC_KEYS
from sim.cli.console import err, out, progress_bar
from sim.plots.style import short_key
from sim.stability.bifurcation import bifurcations


@application("bifurcation", check=read, keys=(*SPEC_KEYS, *KEYS), help_text=HELP)
def main(config: DictConfig) -> None:
    """Follow equilibria along a number, and draw them."""
    study = read(config, scenario_name=scenario_choice())
    scenario, agent, training, _ = study.specs
    directory = Path(HydraConfig.get().runtime.output_dir)
    with progress_bar(f"{scenario.name}: along {short_key(study.key)}") as progress:
        found = bifurcations(
            scenario,
            study.key,
            study.along,
            agent=agent,
            training=training,
            free=study.free,
            **study.rest,
            progress=progress,
        )
    summary, figure = write_diagram(directory, study, found)
    out.print(diagram_table(summary))
    err.print(f"[dim]numbers and data: {directory}[/dim]", soft_wrap=True)
    if figure is not None:
        out.print(f"figure: {figure}", soft_wrap=True)


if __name__ == "__main__":
    main()
