"""Stability: where training comes to rest, and the phase plane of one context.

    python experiments/stability.py
    python experiments/stability.py scenario=scratchpad context=dossier_with_scratchpad
    python experiments/stability.py training.anchor=0 at_step=1000

writes stability.json, equilibria.csv, provenance.json and the figure (phase_plane.png and .svg)
into the run's directory.
"""

from __future__ import annotations

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from experiments.stability.command import KEYS, OWN, describe, read, stability_table, summarise
from sim.cli.application import application, scenario_choice
from sim.cli.compose import SPEC_KEYS
from sim.cli.console import err, out
from sim.cli.help import study_help
from sim.cli.outputs import write_figure, write_json
from sim.plots.phase_plane import phase_plane as draw_plane
from sim.simulation import simulate
from sim.stability.equilibria import equilibria
from sim.stability.phase_plane import phase_plane
from sim.utils.files import atomic_write

HELP = study_help(
    "where training comes to rest, and the phase plane of one context.",
    OWN,
    example="scenario=scratchpad training.anchor=0.01 at_step=1000",
)
#: The emergence curves beside the plane have about so many points.
RECORDS = 200


@application("stability", check=read, keys=(*SPEC_KEYS, *KEYS), help_text=HELP)
def main(config: DictConfig) -> None:
    """Find equilibria, and draw a phase plane."""
    study = read(config, scenario_name=scenario_choice())
    scenario, agent, training, _ = study.specs
    directory = Path(HydraConfig.get().runtime.output_dir)
    with err.status(f"{scenario.name}: following training from {study.starts} starts"):
        found = equilibria(
            scenario,
            agent=agent,
            training=training,
            free=study.free,
            phase=study.phase,
            seed=study.seed,
            starts=study.starts,
            steps=study.steps,
        )
    with err.status(f"{scenario.name}: the plane of {study.value} and {study.context}"):
        plane = phase_plane(
            scenario,
            study.context,
            value=study.value,
            agent=agent,
            training=training,
            at_step=study.at_step,
            phase=study.phase,
            seed=study.seed,
        )
        every = max(1, training.steps // RECORDS)
        result = simulate(
            scenario, agent=agent, training=training, seed=study.seed, record_every=every
        )
        figure = draw_plane(plane, result)
    summary = summarise(study, found, plane)
    write_json(directory / "provenance.json", describe(study.specs, **study.own))
    write_json(directory / "stability.json", summary)
    with atomic_write(directory / "equilibria.csv") as part:
        found.frame.to_csv(part, index=False)
    written = write_figure(directory / "phase_plane", figure)
    out.print(stability_table(summary))
    err.print(f"[dim]numbers and data: {directory}[/dim]", soft_wrap=True)
    out.print(f"figure: {written[0]}", soft_wrap=True)


if __name__ == "__main__":
    main()
