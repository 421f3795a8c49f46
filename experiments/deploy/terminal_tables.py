"""What a terminal shows of deployments."""

from __future__ import annotations

from collections.abc import Mapping

from rich.box import SIMPLE
from rich.table import Column, Table

from sim.abm.batch import Outcomes
from sim.abm.deployment_model import OUTCOMES


def deployment_table(bars: Mapping[str, Outcomes]) -> Table:
    """Lay the outcomes out for a terminal, by what the deployments are called."""
    table = Table(
        "deployments",
        "outcome",
        Column("count", justify="right"),
        Column("share [95 %]", justify="right"),
        box=SIMPLE,
        title="What becomes of deployed copies",
        title_justify="left",
    )
    for name, one in bars.items():
        for outcome in OUTCOMES:
            low, high = one.interval(outcome)
            share = f"{one.share(outcome):.2f} [{low:.2f}, {high:.2f}]"
            by = [f"{what.replace('_', ' ')} {n}" for what, n in one.caught_by().items() if n]
            told = f"caught ({', '.join(by)})" if outcome == "caught" and by else outcome
            table.add_row(name, told, f"{one.count(outcome):,}", share)
            name = ""
    return table
