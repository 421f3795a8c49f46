"""The scenario fitted to published measurements of alignment faking, and what that tests.

    python experiments/calibration.py
    python experiments/calibration.py data=half.csv test=other_half.csv parts=[fit]
    python experiments/calibration.py predict=prompts.csv parts=[rl]
    python experiments/calibration.py '++measured.free={agent.discernment: {low: 1, high: 2}}'

Writes tables (parameters.csv, residuals.csv, mixture.csv, mechanisms.csv, cross_validation.csv and
others), figures, the page docs/validation.md as validation.md, the calibrated agent as
calibrated.yaml, summary.json and provenance.json.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from experiments.calibration.command import HELP, KEYS, closing, read, write
from experiments.calibration.study import calibrate
from sim.cli.application import application, scenario_choice
from sim.cli.compose import SPEC_KEYS
from sim.cli.console import err, out, progress_bar


@application("calibration", check=read, keys=(*SPEC_KEYS, *KEYS), help_text=HELP)
def main(config: DictConfig) -> None:
    """Fit, test, predict, and show what came out."""
    asked = read(config, scenario_name=scenario_choice())
    directory = Path(HydraConfig.get().runtime.output_dir)
    start = perf_counter()
    with progress_bar(f"calibration: {len(asked.question.data)} rows") as progress:
        found = calibrate(asked.question, progress=progress)
    figures = write(directory, asked, found)
    out.print(closing(found))
    err.print(f"[dim]{perf_counter() - start:.0f} s; numbers: {directory}[/dim]", soft_wrap=True)
    for figure in figures:
        out.print(f"figure: {figure}", soft_wrap=True)


if __name__ == "__main__":
    main()
