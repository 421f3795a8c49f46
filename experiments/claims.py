"""The claims of the post, each run over its assumptions and judged: holds, depends or fails.

    python experiments/claims.py
    python experiments/claims.py only=footnote4
    python experiments/claims.py size=0.05

The claims are data (experiments/claims/*.yaml). Writes NAME.json, NAME.csv and NAME.svg for each,
and a table of all verdicts. The same command again runs no sweep twice.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from experiments.claims.command import KEYS, ask, claims_help, claims_table, read
from experiments.claims.study import verdict_text
from sim.cli.application import application
from sim.cli.console import err, out, progress_bar


@application("claims", check=read, keys=KEYS, help_text=claims_help)
def main(config: DictConfig) -> None:
    """Ask the claims and show what came out."""
    asked = read(config)
    directory = Path(HydraConfig.get().runtime.output_dir)
    start = perf_counter()
    with progress_bar(f"{len(asked.claims)} claims") as progress:
        found = ask(asked, directory, progress=progress)
    out.print(claims_table(found))
    if len(found) == 1:
        out.print(verdict_text(found[0]))
    err.print(f"[dim]{perf_counter() - start:.0f} s; numbers: {directory}[/dim]", soft_wrap=True)


if __name__ == "__main__":
    main()
