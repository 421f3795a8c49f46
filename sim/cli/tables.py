"""The closing tables of the commands."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Column, Table

from sim.analysis.emergence import in_few_agents

Band = dict[str, float] | None


def emergence_table(summary: dict[str, Any]) -> RenderableType:
    """Return the closing table of an emergence run, from `sim.analysis.emergence.summarise`."""
    run = summary["run"]
    contexts = Table(
        "context",
        Column("stake", justify="right"),
        Column("gaming rate", justify="right"),
        Column("onset", justify="right"),
        Column("gap", justify="right"),
        title=f"{run['scenario']}: {run['agents']} agents, {run['steps']} steps, "
        f"seed {run['seed']}, engine {run['engine']}",
        title_justify="left",
        caption="Medians over agents. Stake: how fast training would erode the values, at the "
        "start. Onset: the step from which the rate stays at 0.5 or above, and in how many agents. "
        "Gap: rewarded response here minus in the twin, at the end.",
        caption_justify="left",
    )
    for name, numbers in summary["contexts"].items():
        contexts.add_row(
            name if numbers["kind"] == "training" else f"{name} ({numbers['kind']})",
            _median(numbers["stake_start"]),
            f"{_median(numbers['gaming_rate_start'])} → {_median(numbers['gaming_rate_end'])}",
            _onset(numbers["onset"]),
            _median(numbers["compliance_gap_end"]),
        )
    values = Table("value", Column("strength", justify="right"))
    for name, numbers in summary["values"].items():
        values.add_row(name, f"{_median(numbers['start'])} → {_median(numbers['end'])}")
    agents = Table("at the end of training", Column("median [10 %, 90 %]", justify="right"))
    for name, numbers in summary["agents"].items():
        agents.add_row(name.replace("_", " "), _band(numbers))
    return Group(contexts, values, agents)


def _median(numbers: Band) -> str:
    return "–" if numbers is None else f"{numbers['median']:.2f}"


def _band(numbers: Band) -> str:
    if numbers is None:
        return "–"
    return f"{numbers['median']:.2f} [{numbers['low']:.2f}, {numbers['high']:.2f}]"


def _onset(onset: dict[str, Any]) -> str:
    share = onset["share_of_agents"]
    if share == 0.0:
        return "never"
    if in_few_agents(onset):
        return f"in {100 * share:.0f} %"
    return (
        f"{onset['median']:.0f}" if share == 1.0 else f"{onset['median']:.0f} ({100 * share:.0f} %)"
    )
