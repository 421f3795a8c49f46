"""What a terminal shows of the study of the worst case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from experiments.worst_case.funnel_text import GAMING_NAMES, chance
from experiments.worst_case.study import GAMING, TOGETHER
from sim.analysis.worst_case import TERMS
from sim.utils.format import percent

if TYPE_CHECKING:
    from experiments.worst_case.command import Found

_TOGETHER = {
    "worst_case": "all eight terms",
    "attempts_deployed": "attempts, deployed",
    "attempts_succeeds": "… and succeeds",
}


def closing(found: Found) -> RenderableType:
    """Return what is shown at the end: the funnel, what it leaves out, and what it all says."""
    parts: list[RenderableType] = [funnel_table(found.stages, name=found.name)]
    parts.append(gaming_table(found.by_gaming))
    parts += [Padding(Text(text), (0, 0, 1, 0)) for text in found.says.values()]
    return Group(*parts)


def funnel_table(stages: pd.DataFrame, *, name: str) -> Table:
    """Lay out the funnel, a row for each stage."""
    agents = int(stages["count"].iloc[0])
    table = Table(
        Column("stage", no_wrap=True),
        *(
            Column(head, justify="right", no_wrap=True)
            for head in ("agents", "of all", "of those before", "alone")
        ),
        box=SIMPLE,
        title=f"{name}: what becomes of {agents:,} agents",
        title_justify="left",
        caption="Of those before: the share of the stage above that remains, with its 95 % "
        "interval. Alone: agents that meet this condition, whatever else.",
        caption_justify="left",
    )
    for row in stages.to_dict("records"):
        table.add_row(*_stage(row))
    return table


def _stage(row: Mapping[str, Any]) -> tuple[str, ...]:
    name, count = str(row["stage"]).replace("_", " "), int(row["count"])
    if row["stage"] == "all":
        return name, f"{count:,}", "", "", ""
    share = chance(row["share"]) if count else f"≤ {chance(row['share_high'])}"
    narrowing = "–"
    if row["narrowing"] == row["narrowing"]:  # not nan: somebody was there before
        low = percent(row["narrowing_low"]).removesuffix(" %")
        narrowing = f"{percent(row['narrowing'])} ({low}–{percent(row['narrowing_high'])})"
    return name, f"{count:,}", share, narrowing, f"{row['alone']:,}"


def gaming_table(by_gaming: pd.DataFrame) -> Table:
    """Lay out how many meet each condition, by how much they game."""
    rows = by_gaming.set_index("condition")
    sizes = {how: f"{int(rows[f'{how}_of'].iloc[0]):,}" for how in GAMING}
    table = Table(
        Column("condition", no_wrap=True),
        *(Column(f"{GAMING_NAMES[how]}\n({sizes[how]})", justify="right") for how in GAMING),
        box=SIMPLE,
        title="Whoever meets a condition, by how much it games",
        title_justify="left",
        caption="Counts, and shares of the column; their 95 % intervals are in by_gaming.csv.",
        caption_justify="left",
    )
    for name in (*TERMS, "deployed", "attempts", *TOGETHER):
        row = rows.loc[name]
        table.add_row(
            _TOGETHER.get(name, name.replace("_", " ")),
            *(_cell(row, how) for how in GAMING),
            end_section=name == TERMS[-1],
        )
    return table


def _cell(row: Any, how: str) -> str:
    if not row[f"{how}_of"]:
        return "–"
    return f"{int(row[how]):,} ({chance(row[f'{how}_share'])})"
