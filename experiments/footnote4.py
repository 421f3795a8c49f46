"""Does partial gaming last? The study of the post's footnote 4.

    python experiments/footnote4.py
    python experiments/footnote4.py scenario=monolithic training.steps=20000 cases=[a,c]

Agents start undecided between gaming and not gaming, and are trained under one assumption after
another. Writes a figure, a table (CSV), summary.json with a paragraph that the numbers write, and
provenance.json.
"""

from __future__ import annotations

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from sim.analysis.footnote4 import study
from sim.cli.application import application, scenario_choice
from sim.cli.compose import SPEC_KEYS
from sim.cli.console import err, out, progress_bar
from sim.cli.footnote4 import HELP, KEYS, footnote4_table, read, write_study


@application("footnote4", check=read, keys=(*SPEC_KEYS, *KEYS), help_text=HELP)
def main(config: DictConfig) -> None:
    """Run the study."""
    specs, asked = read(config, scenario_name=scenario_choice())
    directory = Path(HydraConfig.get().runtime.output_dir)
    with progress_bar(f"{specs.scenario.name}: {len(asked['cases'])} cases") as progress:
        outcomes = study(specs, **asked, progress=progress)
    text, figure = write_study(directory, specs, asked, outcomes)
    out.print(footnote4_table(outcomes))
    out.print(text)
    err.print(f"[dim]numbers: {directory}[/dim]", soft_wrap=True)
    out.print(f"figure: {figure}", soft_wrap=True)


if __name__ == "__main__":
    main()
