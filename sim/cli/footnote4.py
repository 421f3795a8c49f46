"""The study of footnote 4 as tables: one to look at, one to compute with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from rich.box import SIMPLE
from rich.table import Column, Table

from sim.analysis.footnote4 import STATES, Outcome


def footnote4_frame(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Return a row for each case; a half-life that was not reached is empty."""
    return pd.DataFrame(
        [
            {
                "letter": one.case.letter,
                "case": one.case.label,
                "context": one.context,
                "verdict": one.verdict,
                "undecided_end": float(one.undecided[-1]),
                "half_life": _reached(one.half_life),
                "partial_end": float(one.partial[-1]),
                "partial_half_life": _reached(one.partial_half_life),
                "left_of_nudge": one.left_of_nudge,
                "nudged": one.nudged,
                **{f"fixed_{kind}": one.fixed.get(kind, 0) for kind in _KINDS},
                "shift_of_gate": one.shift_of_gate,
                "value_kept": one.kept,
                **{f"share_{state}": one.fates[state] for state in STATES},
            }
            for one in outcomes
        ]
    )


_KINDS = ("stable", "neutral", "saddle", "unstable", "none")


def footnote4_table(outcomes: Sequence[Outcome]) -> Table:
    """Lay the outcomes out for a terminal."""
    table = Table(
        Column("assumption", no_wrap=True),
        Column("left at\nend", justify="right"),
        Column("half by\nstep", justify="right"),
        Column("nudge\nleft", justify="right"),
        Column("at\nrest", justify="right"),
        Column("being\nundecided", no_wrap=True),
        box=SIMPLE,
        title="Does gaming some of the time last?",
        title_justify="left",
        caption=(
            "Agents start with a decision between 0.1 and 0.9; left: those that still have one. "
            "Nudge left: of a difference of 0.5 "
            "in log-odds, given half-way to those still undecided. At rest: undecided agents whose "
            "end is a stable fixed point, of those looked at."
        ),
        caption_justify="left",
    )
    for one in outcomes:
        looked_at = sum(one.fixed.values())
        table.add_row(
            f"({one.case.letter}) {one.case.label}",
            f"{100 * one.undecided[-1]:.0f} %",
            f"{one.half_life:,.0f}" if np.isfinite(one.half_life) else "–",
            "–" if np.isnan(one.left_of_nudge) else f"{one.left_of_nudge:.2f}",
            f"{one.fixed.get('stable', 0)}/{looked_at}" if looked_at else "–",
            one.verdict,
        )
    return table


def _reached(steps: float) -> float:
    return steps if np.isfinite(steps) else np.nan
