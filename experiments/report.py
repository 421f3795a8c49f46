"""The report: the post claim by claim, as one HTML file that opens from disk.

    python experiments/report.py
    python experiments/report.py size=0.05 page=small.html

Asks every claim (as experiments/claims.py does, with the same store), draws emergence in every
scenario and a map of regimes, and writes one file that fetches nothing.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from experiments.claims.command import (
    REPORT_KEYS,
    claims_help,
    claims_table,
    read_report,
    write_report,
)
from sim.cli.application import application
from sim.cli.console import err, out, progress_bar


@application("report", check=read_report, keys=REPORT_KEYS, help_text=claims_help)
def main(config: DictConfig) -> None:
    """Ask the claims and write the page."""
    asked = read_report(config)
    directory = Path(HydraConfig.get().runtime.output_dir)
    start = perf_counter()
    with progress_bar(f"{len(asked.claims)} claims, scenarios and a map") as progress:
        found, page = write_report(asked, directory, progress=progress)
    out.print(claims_table(found))
    err.print(f"[dim]{perf_counter() - start:.0f} s; numbers: {directory}[/dim]", soft_wrap=True)
    out.print(f"report: {page} (open it in a browser)", soft_wrap=True)


if __name__ == "__main__":
    main()
