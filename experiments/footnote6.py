"""Is behaviour before deployment representative of what comes after? The post's footnote 6.

    python experiments/footnote6.py
    python experiments/footnote6.py scenario=copyright '~populations.power_seeker' points=7

Trains populations on one scenario, and compares how good they look in training, evaluations,
red-teaming and deployment; says what the shift between a training context and its twin is owed to;
and trains them again at several levels of discernment. Writes figures, tables (CSV), summary.json
with paragraphs that the numbers write, and provenance.json.
"""

from __future__ import annotations

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from experiments.footnote6.command import HELP, KEYS, footnote6_table, read, write_study
from experiments.footnote6.study import study
from sim.cli.application import application, scenario_choice
from sim.cli.compose import SPEC_KEYS
from sim.cli.console import err, out, progress_bar


@application("footnote6", check=read, keys=(*SPEC_KEYS, *KEYS), help_text=HELP)
def main(config: DictConfig) -> None:
    """Run the study."""
    asked = read(config, scenario_name=scenario_choice())
    directory = Path(HydraConfig.get().runtime.output_dir)
    title = f"{asked.specs.scenario.name}: {len(asked.populations)} populations"
    with progress_bar(title) as progress:
        seen, swept = study(asked, progress=progress)
    summary, figures = write_study(directory, asked, seen, swept)
    out.print(footnote6_table(summary))
    for paragraph in summary["says"]:
        out.print(paragraph)
    err.print(f"[dim]numbers: {directory}[/dim]", soft_wrap=True)
    for figure in figures:
        out.print(f"figure: {figure}", soft_wrap=True)


if __name__ == "__main__":
    main()
