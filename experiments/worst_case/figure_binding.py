"""The figure of what binds: which condition holds agents back, by gaming and by alignment."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.worst_case.binding import GROUPS, QUESTIONS
from experiments.worst_case.funnel_text import GAMING_NAMES, binding_title
from sim.plots.style import MUTED, house_style, title_of

_HEADS = {
    "binding": "The term furthest from its threshold",
    "last": "The one term that is lacking",
    "slips": "The context where it slips most",
    "weakest": "The smallest factor of P(success)",
}
_ASKED = {
    "binding": "of all agents",
    "last": "of agents that lack one term alone",
    "slips": "of agents that lack consistency",
    "weakest": "of agents that would gain by acting freely",
}
_GROUPS = {
    ("all", "all"): "all",
    **{("gaming", how): name for how, name in GAMING_NAMES.items()},
    ("alignment", "least"): "least aligned third",
    ("alignment", "middle"): "middle third",
    ("alignment", "most"): "most aligned third",
}


def binding_figure(frame: pd.DataFrame, *, name: str) -> Figure:
    """Draw a heat table for each question: what binds, in each group of agents.

    Args:
        frame: As `experiments.worst_case.binding.binding` gives it.
        name: Of the scenario.
    """
    with house_style():
        figure = Figure(figsize=(10.5, 8.4), layout="constrained")
        for ax, question in zip(figure.subplots(2, 2).flat, QUESTIONS, strict=True):
            _draw(ax, frame[frame["question"] == question], question)
        title_of(figure, f"{name}: {binding_title(frame)}")
        return figure


def _draw(ax: Axes, rows: pd.DataFrame, question: str) -> None:
    answers = list(dict.fromkeys(rows["what"]))
    table = rows.set_index(["by", "group", "what"])
    share = np.array(
        [[table.loc[(*group, what), "share"] for group in GROUPS] for what in answers], float
    )
    asked = [int(table.loc[(*group, answers[0]), "of"]) for group in GROUPS]
    ax.imshow(np.nan_to_num(share), cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    for i in range(len(answers)):
        for j in range(len(GROUPS)):
            _cell(ax, i, j, float(share[i, j]))
    ax.set_yticks(range(len(answers)), [what.replace("_", " ") for what in answers])
    labels = [f"{_GROUPS[group]} ({of:,})" for group, of in zip(GROUPS, asked, strict=True)]
    ax.set_xticks(range(len(GROUPS)), labels, rotation=40, ha="right", rotation_mode="anchor")
    ax.tick_params(axis="both", length=0, labelcolor="black", labelsize=8)
    ax.spines[:].set_visible(False)
    for edge in (0.5, 3.5):
        ax.axvline(edge, color="white", lw=4)
    ax.set_title(_HEADS[question], pad=18)
    ax.text(
        0.0,
        1.015,
        f"per cent {_ASKED[question]}",
        transform=ax.transAxes,
        fontsize=8,
        color=MUTED,
    )


def _cell(ax: Axes, i: int, j: int, share: float) -> None:
    if np.isnan(share):
        text = "–"
    elif 0.0 < share < 0.005:
        text = "<1"
    else:
        text = f"{100 * share:.0f}"
    colour = "white" if share > 0.55 else "black"
    ax.text(j, i, text, ha="center", va="center", fontsize=8, color=MUTED if share == 0 else colour)
