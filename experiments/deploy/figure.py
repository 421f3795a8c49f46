"""The figure of deployment: takeovers by coordination and graph, and what became of all copies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from sim.abm.batch import Outcomes
from sim.abm.deployment_model import CAUGHT_BY
from sim.analysis.worst_case import PostTraining
from sim.plots.style import COLOURS, MUTED, EndLabel, house_style, label_ends, literal
from sim.specs.deployment import Deployment
from sim.specs.overrides import Specs

from .curve import Curve
from .study import Results

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


def figures(results: Results, specs: Specs, post_training: PostTraining) -> dict[str, Figure]:
    """Return takeovers by coordination beside the outcomes."""
    figure = deployment_figure(
        results.curves,
        results.outcomes,
        name=specs.scenario.name,
        deployment=post_training.deployment,
        own=[kind.capabilities["coordination"] for kind in results.kinds],
    )
    return {"deployment": figure}


def deployment_figure(
    curves: Sequence[Curve],
    bars: Mapping[str, Outcomes],
    *,
    name: str,
    deployment: Deployment,
    own: Sequence[float],
) -> Figure:
    """Draw takeovers by coordination, and the outcomes of deployments with all oversight.

    Args:
        curves: One for each graph.
        bars: Deployments by name.
        name: The scenario.
        deployment: Copies, quorum and ticks.
        own: k_coordination of each agent as trained.
    """
    with house_style():
        figure = Figure(figsize=(12.0, 4.8))
        curves_ax, bars_ax = figure.subplots(1, 2, width_ratios=[1.1, 1.0])
        figure.subplots_adjust(left=0.06, right=0.97, top=0.8, bottom=0.27, wspace=0.42)
        _draw_curves(curves_ax, curves, own)
        _draw_bars(bars_ax, bars)
        copies = f"{deployment.copies} copies" if deployment.copies > 1 else "one copy"
        needs = f"a takeover needs {deployment.needed} at once"
        title = f"{name}: {copies}, {needs}, {deployment.ticks} ticks"
        figure.suptitle(literal(title), x=0.01, y=0.98, ha="left", fontsize=11, fontweight="bold")
        return figure


def _draw_curves(ax: Axes, curves: Sequence[Curve], own: Sequence[float]) -> None:
    labels = []
    for n, curve in enumerate(curves):
        k, colour = curve.coordination, COLOURS[n]
        if curve.paper is not None:
            ax.plot(k, curve.paper, color=MUTED, lw=5.0, alpha=0.35, zorder=1.5)
        errors = np.maximum([curve.share - curve.low, curve.high - curve.share], 0.0)
        ax.errorbar(
            k,
            curve.share,
            yerr=errors,
            color=colour,
            marker=_MARKERS[n],
            ms=4.5,
            lw=1.2,
            elinewidth=0.9,
            capsize=2.0,
        )
        ax.plot(k, curve.catches / curve.replicates, color=colour, lw=1.0, dashes=(1, 1.5))
        labels.append(EndLabel(_NAMES[curve.graph], float(curve.share[-1]), colour))
    for k in own:
        ax.axvline(k, color=MUTED, lw=0.8, dashes=(6, 3), zorder=1)
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.03, 1.03))
    ax.set_xlabel("coordination: chance that a copy sends and understands signals")
    ax.set_ylabel("share of deployments")
    label_ends(ax, labels)
    ax.set_title(f"Once deployed, if copies try: takeovers in at most\n{highest_shares(curves)}")
    markers = (
        f"markers: takeovers among {curves[0].replicates} deployments, with 95 % intervals; levels "
        "share their draws; dotted: caught"
    )
    lines = "dashed, upright: the agent as trained"
    if len(own) > 1:
        lines = "dashed, upright: the agents as trained; here all are as coordinated as each other"
    if any(curve.paper is not None for curve in curves):
        lines = f"grey band: takeovers by the formula, where all hear all; {lines}"
    note = f"{markers}\n{lines}"
    ax.text(0.0, -0.22, note, transform=ax.transAxes, va="top", fontsize=8, color=MUTED)


def highest_shares(curves: Sequence[Curve]) -> str:
    """Return the highest share of takeovers under each graph, as a label."""
    return ", ".join(f"{100 * curve.share.max():.0f} % ({_NAMES[curve.graph]})" for curve in curves)


def _draw_bars(ax: Axes, bars: Mapping[str, Outcomes]) -> None:
    present = []
    for row, outcomes in enumerate(bars.values()):
        causes = outcomes.caught_by()
        parts = {
            "takeover": outcomes.count("takeover"),
            **causes,
            "dormant": outcomes.count("dormant"),
        }
        at = 0.0
        for part, count in parts.items():
            share = count / outcomes.replicates
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
    counts = [
        f"{outcomes.count('takeover')} of {outcomes.replicates} {n}" for n, outcomes in bars.items()
    ]
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
