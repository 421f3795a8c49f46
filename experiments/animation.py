"""An animated emergence: agents part as they are trained, some into gaming.

    python experiments/animation.py
    python experiments/animation.py scenario=pipeline context=agentic_tasks seconds=20

Writes an SVG that moves by style sheet alone (and stands still for readers who ask for that),
summary.json and provenance.json.
"""

from __future__ import annotations

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from experiments.animation.command import HELP, KEYS, read, write_animation
from sim.cli.application import application, scenario_choice
from sim.cli.compose import SPEC_KEYS
from sim.cli.console import err, out, prepare_engine, progress_bar


@application("animation", check=read, keys=(*SPEC_KEYS, *KEYS), help_text=HELP)
def main(config: DictConfig) -> None:
    """Make one run, and draw it as it moves."""
    run, asked = read(config, scenario_name=scenario_choice())
    directory = Path(HydraConfig.get().runtime.output_dir)
    prepare_engine(run.engine, run.program)
    with progress_bar(f"{run.name}: {run.program.agents} agents") as progress:
        result = run.execute(progress=progress)
    text, path = write_animation(directory, result, asked)
    out.print(text)
    err.print(f"[dim]numbers: {directory}[/dim]", soft_wrap=True)
    out.print(f"figure: {path}", soft_wrap=True)


if __name__ == "__main__":
    main()
