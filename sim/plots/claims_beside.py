"""Figures that stand beside a claim's own: what its study shows in more detail."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sim.analysis.claims import Answer
from sim.analysis.funnel_text import stage_name
from sim.analysis.words import percent
from sim.plots.footnote4 import footnote4
from sim.plots.style import COLOURS, MUTED, house_style, title_of

#: Where bars begin: a count of 1 must have a length.
_LEFT = 0.5


def beside_figure(found: Answer) -> tuple[Figure, str] | None:
    """Return the figure of what a study found besides, and its alternative text; None: nothing."""
    beside = found.measured.beside
    if beside.get("footnote4"):
        outcomes = beside["footnote4"]
        context = outcomes[0].context.replace("_", " ")
        title = f"What becomes of agents that start undecided ({context})"
        told = "; ".join(f"{one.case.label}: {percent(one.undecided[-1])}" for one in outcomes)
        figure = footnote4(outcomes, title=title)
        for ax in figure.axes:  # long notes would make panels narrow
            for note in ax.texts:
                note.set_in_layout(False)
                note.set_fontsize(6.6)
        return figure, (
            f"{title}: shares of agents over training, a panel for each assumption. "
            f"Still undecided at the end: {told}."
        )
    if beside.get("funnels") and found.claim.name == "conjunction":
        return funnels_figure(beside["funnels"])
    return None


def funnels_figure(funnels: Mapping[str, pd.DataFrame]) -> tuple[Figure, str]:
    """Draw how many agents of each population are left after each condition, and say it.

    Args:
        funnels: By prior, `stage`, `count` (meet this condition and all above), `alone` (meet this
            one) and `agents`.
    """
    with house_style():
        figure = Figure(figsize=(9.6, 4.8), layout="constrained")
        panels = figure.subplots(1, len(funnels), sharey=True, squeeze=False)[0]
        told, last = [], []
        for ax, (prior, frame) in zip(panels, funnels.items(), strict=True):
            places = np.arange(len(frame))
            count, agents = frame["count"].to_numpy(), int(frame["agents"].iat[0])
            colours = ["#BDBDBD", COLOURS[0], COLOURS[0]] + [COLOURS[1]] * (len(frame) - 3)
            ax.barh(places, np.maximum(count, _LEFT), color=colours, height=0.72)
            ax.plot(
                frame["alone"].clip(lower=_LEFT), places, "o", mfc="white", mec="black", ms=4.5,
            )  # fmt: skip
            for place, number in zip(places, count, strict=True):
                ax.text(max(number, _LEFT) * 1.15, place, f"{number:,}", va="center", fontsize=8)
            ax.set(xscale="log", xlim=(_LEFT, 3.5 * agents), ylim=(len(frame) - 0.4, -0.6))
            ax.set_title(f"prior: {prior}", fontsize=9)
            left = ", ".join(
                f"{stage_name(stage)} {number}"
                for stage, number in zip(frame["stage"], count, strict=True)
            )
            told.append(f"{prior}: {left}")
            stage = str(frame["stage"][count > 0].iloc[-1])
            last.append(f"{stage_name(stage)} ({prior})")
        panels[0].set_yticks(places, [stage_name(stage) for stage in frame["stage"]])
        panels[0].tick_params(axis="y", length=0, labelcolor="black")
        figure.supxlabel(
            "agents (logarithmic); bar: meet this condition and all above, ring: this one alone",
            fontsize=8.5,
            color=MUTED,
        )
        title = f"The funnel: the last conditions that any agent reaches are {', '.join(last)}"
        title_of(figure, title)
        return figure, f"{title}. Agents left after each condition. {'. '.join(told)}."
