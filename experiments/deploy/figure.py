"""The figure of deployment: takeovers by coordination and graph, and what became of all copies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from sim.abm.batch import Outcomes
from sim.abm.deployment_model import CAUGHT_BY
from sim.plots.style import COLOURS, MUTED, EndLabel, house_style, label_ends
from sim.specs.deployment import Deployment

_NAMES = {
    "complete": "all hear all",
    "small_world": "small world",
    "none": "nobody hears",
    "own edges": "asked edges",
}
_MARKERS = ("o", "s", "^", "D")
#: Shades of what a deployment was caught by, takeovers in the strongest colour.
_BARS = {
    "takeover": "#D55E00",
    "capability_evaluations": "#004C7A",
    "red_teaming": "#0072B2",
    "reasoning_monitor": "#56B4E9",
    "inspection": "#009E73",
    "control": "#E69F00",
    "slip": "#CC79A7",
    "dormant": "#D9D9D9",
}


@dataclass(frozen=True)
class Curve:
    """How often deployments end in a takeover, by coordination, where this graph says who hears.

    Attributes:
        graph: Its name.
        coordination: k [levels].
        takeovers: How many [levels] ...
        caught: ... and how many were caught [levels] ...
        replicates: ... of so many at each level.
        share: The share of takeovers [levels].
        low, high: Its 95 % binomial interval [levels].
        paper: The formula [levels]; None where there is none.
    """

    graph: str
    coordination: Any
    takeovers: Any
    caught: Any
    replicates: int
    share: Any
    low: Any
    high: Any
    paper: Any = None

    @classmethod
    def of(
        cls, graph: str, coordination: Any, came: Sequence[Outcomes], *, paper: Any = None
    ) -> Curve:
        """Return the curve of the deployments at each level."""
        ends = np.array([one.interval("takeover") for one in came])
        return cls(
            graph=graph,
            coordination=np.asarray(coordination),
            takeovers=np.array([one.count("takeover") for one in came]),
            caught=np.array([one.count("caught") for one in came]),
            replicates=came[0].replicates,
            share=np.array([one.share("takeover") for one in came]),
            low=ends[:, 0],
            high=ends[:, 1],
            paper=paper,
        )

    def frame(self) -> pd.DataFrame:
        """Return a row for each level."""
        return pd.DataFrame(
            {
                "graph": self.graph,
                "coordination": self.coordination,
                "replicates": self.replicates,
                "takeovers": self.takeovers,
                "caught": self.caught,
                "share": self.share,
                "low": self.low,
                "high": self.high,
                "paper": np.nan if self.paper is None else self.paper,
            }
        )

    def told(self) -> dict[str, Any]:
        """Return where takeovers are most frequent, and how often they are there."""
        most = int(np.argmax(self.share))
        inside = None
        if self.paper is not None:
            inside = int(((self.low <= self.paper) & (self.paper <= self.high)).sum())
        return {
            "most": float(self.share[most]),
            "at_coordination": float(self.coordination[most]),
            "levels": len(self.share),
            "levels_where_paper_is_within_95": inside,
        }


def deployment_figure(
    curves: Sequence[Curve],
    bars: Mapping[str, Outcomes],
    *,
    name: str,
    deployment: Deployment,
    own: Sequence[float],
) -> Figure:
    """Draw both panels.

    Args:
        curves: One for each graph.
        bars: Deployments by what they are called.
        name: Of the scenario.
        deployment: As it was asked for.
        own: k_coordination of each kind of agent as it was trained.
    """
    with house_style():
        figure = Figure(figsize=(12.0, 4.8))
        left, right = figure.subplots(1, 2, width_ratios=[1.1, 1.0])
        figure.subplots_adjust(left=0.06, right=0.97, top=0.8, bottom=0.27, wspace=0.42)
        _draw_curves(left, curves, own)
        _draw_bars(right, bars)
        copies = f"{deployment.copies} copies" if deployment.copies > 1 else "one copy"
        needs = f"a takeover needs {deployment.needed} at once"
        told = f"{name}: {copies}, {needs}, {deployment.ticks} ticks"
        figure.suptitle(told, x=0.01, y=0.98, ha="left", fontsize=11, fontweight="bold")
        return figure


def _draw_curves(ax: Axes, curves: Sequence[Curve], own: Sequence[float]) -> None:
    labels = []
    for n, curve in enumerate(curves):
        k, colour = curve.coordination, COLOURS[n]
        if curve.paper is not None:
            ax.plot(k, curve.paper, color=MUTED, lw=5.0, alpha=0.35, zorder=1.5)
        spread = np.maximum([curve.share - curve.low, curve.high - curve.share], 0.0)
        ax.errorbar(
            k,
            curve.share,
            yerr=spread,
            color=colour,
            marker=_MARKERS[n],
            ms=4.5,
            lw=1.2,
            elinewidth=0.9,
            capsize=2.0,
        )
        ax.plot(k, curve.caught / curve.replicates, color=colour, lw=1.0, dashes=(1, 1.5))
        labels.append(EndLabel(_NAMES[curve.graph], float(curve.share[-1]), colour))
    for k in own:
        ax.axvline(k, color=MUTED, lw=0.8, dashes=(6, 3), zorder=1)
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.03, 1.03))
    ax.set_xlabel("coordination: chance that a copy sends and understands signals")
    ax.set_ylabel("share of deployments")
    label_ends(ax, labels)
    ax.set_title(f"Once deployed, if copies try: takeovers in at most\n{most_of(curves)}")
    notes = (
        f"Markers: takeovers among {curves[0].replicates} deployments, with 95 % intervals; levels "
        "share their draws. Dotted: caught."
    )
    more = "Dashed, upright: the agent as trained."
    if len(own) > 1:
        more = "Dashed, upright: the agents as trained; here all are as coordinated as each other."
    if any(curve.paper is not None for curve in curves):
        more = f"Grey band: takeovers by the formula, where all hear all. {more}"
    note = f"{notes}\n{more}"
    ax.text(0.0, -0.22, note, transform=ax.transAxes, va="top", fontsize=8, color=MUTED)


def most_of(curves: Sequence[Curve]) -> str:
    """Say how often takeovers happen at most, under each graph."""
    return ", ".join(f"{100 * curve.share.max():.0f} % ({_NAMES[curve.graph]})" for curve in curves)


def _draw_bars(ax: Axes, bars: Mapping[str, Outcomes]) -> None:
    present = []
    for row, one in enumerate(bars.values()):
        by = one.caught_by()
        parts = {"takeover": one.count("takeover"), **by, "dormant": one.count("dormant")}
        at = 0.0
        for part, count in parts.items():
            share = count / one.replicates
            if not count:
                continue
            present.append(part)
            ax.barh(row, share, left=at, height=0.5, color=_BARS[part], edgecolor="white", lw=0.6)
            if share >= 0.06:
                dark = part in ("capability_evaluations", "red_teaming", "takeover", "inspection")
                ax.text(
                    at + share / 2,
                    row,
                    f"{100 * share:.0f} %",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if dark else "black",
                )
            at += share
    ax.set(xlim=(0.0, 1.0), ylim=(len(bars) - 0.4, -0.6))
    ax.set_yticks(range(len(bars)), [name.replace(" ", "\n", 1) for name in bars])
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("share of deployments")
    counts = [f"{one.count('takeover')} of {one.replicates} {n}" for n, one in bars.items()]
    ax.set_title(f"With all oversight, agents as trained: takeovers in\n{', '.join(counts)}")
    words = {"takeover": "takeover", "dormant": "dormant", "slip": "caught by a slip, deployed"}
    order = [part for part in ("takeover", *CAUGHT_BY, "dormant") if part in present]
    handles = [
        Patch(color=_BARS[part], label=words.get(part, f"caught by {part.replace('_', ' ')}"))
        for part in order
    ]
    ax.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(-0.02, -0.18),
        frameon=False,
        ncols=2,
        fontsize=8,
    )
