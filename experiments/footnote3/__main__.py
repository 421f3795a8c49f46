"""Does training against visible gaming remove it, or teach it to hide? The post's footnote 3.

    python experiments/footnote3.py
    python experiments/footnote3.py points=21 penalty=2 training.motive_credit=0

Trains the same agents at every point of two maps: the penalty for visible gaming, against how fast
opacity is learnt, and against the opacity that agents start with. Writes a figure, tables (CSV),
summary.json with paragraphs that the numbers write, and provenance.json.
"""

from __future__ import annotations

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from experiments.footnote3.command import HELP, KEYS, footnote3_tables, read, write_study
from experiments.footnote3.map import choose, maps
from experiments.footnote3.study import histories
from sim.cli.application import application, scenario_choice
from sim.cli.compose import SPEC_KEYS
from sim.cli.console import err, out, progress_bar


@application("footnote3", check=read, keys=(*SPEC_KEYS, *KEYS), help_text=HELP)
def main(config: DictConfig) -> None:
    """Run the study."""
    study = read(config, scenario_name=scenario_choice())
    directory = Path(HydraConfig.get().runtime.output_dir)
    name = study.specs.scenario.name
    with progress_bar(f"{name}: maps of {study.points} x {study.points} points") as progress:
        found = maps(study, progress=progress)
    with progress_bar(f"{name}: chosen points over training") as progress:
        cases = histories(study, choose(found), progress=progress)
    summary, figure = write_study(directory, study, found, cases)
    out.print(footnote3_tables(summary))
    for paragraph in summary["says"]:
        out.print(paragraph)
    err.print(f"[dim]numbers: {directory}[/dim]", soft_wrap=True)
    out.print(f"figure: {figure}", soft_wrap=True)


if __name__ == "__main__":
    main()
