"""Figures that stand beside a claim's own: what its study shows in more detail."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from experiments.footnote4.figure import shares_figure
from sim.analysis.worst_case import TERMS
from sim.plots.style import COLOURS, MUTED, house_style, title_of
from sim.utils.format import span

from .claim_results import ClaimResult
from .labels import stage_label
from .populations import Population

#: Where bars begin: a count of 1 must have a length.
_LEFT = 0.5
_GREY, _GAMES, _TERM, _AFTER = "#BDBDBD", COLOURS[0], COLOURS[1], "#7A5195"
#: Where the columns of numbers end, in widths of a panel from its left.
_BAR_AT, _RING_AT = 1.26, 1.52


def beside_figure(result: ClaimResult) -> Figure | None:
    """Draw the further results of a study; None if there are none."""
    beside = result.measured.beside
    if beside.get("footnote4"):
        outcomes = beside["footnote4"]
        context = outcomes[0].context.replace("_", " ")
        return shares_figure(
            outcomes, title=f"What becomes of agents that start undecided ({context})"
        )
    if beside.get("funnels") and result.claim.name == "conjunction":
        return funnels_figure(beside["funnels"])
    return None


def funnels_figure(funnels: Mapping[str, Population]) -> Figure:
    """Draw the number of agents of each population that is left after each condition.

    Args:
        funnels: By prior.
    """
    with house_style():
        figure = Figure(figsize=(11.0, 5.2))
        figure.subplots_adjust(left=0.205, right=0.905, top=0.8, bottom=0.17, wspace=0.64)
        panels = figure.subplots(1, len(funnels), sharey=True, squeeze=False)[0]
        for ax, (prior, population) in zip(panels, funnels.items(), strict=True):
            _funnel(ax, prior, population)
        stages = next(iter(funnels.values())).stages["stage"]
        panels[0].set_yticks(range(len(stages)), [stage_label(stage) for stage in stages])
        panels[0].tick_params(axis="y", labelcolor="black")
        handles = [
            Patch(color=_GREY, label="all agents"),
            Patch(color=_GAMES, label="gaming"),
            Patch(color=_TERM, label="the eight terms of the worst case"),
        ]
        if any(population.count("attempts") for population in funnels.values()):
            handles.append(Patch(color=_AFTER, label="what it would do"))
        figure.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.0, 0.0), ncols=4,
                      frameon=False, columnspacing=1.6, handlelength=1.4)  # fmt: skip
        note = (
            "number of agents (logarithmic). Bar: meet this condition and all above it. "
            "Ring: meet this one, whatever else they do."
        )
        figure.text(0.01, 0.065, note, fontsize=8.5, color=MUTED)
        title_of(figure, funnel_title(funnels))
        return figure


def funnel_title(funnels: Mapping[str, Population]) -> str:
    """Return the title of the funnel: its first, its gaming and its last numbers."""
    populations = funnels.values()
    some, every, worst = (
        span([population.count(stage) for population in populations])
        for stage in ("games_somewhere", "games_everywhere", TERMS[-1])
    )
    agents = span([population.agents for population in populations])
    return (
        f"The funnel: of {agents} agents, {some} game somewhere and {every} everywhere; "
        f"of these, {worst} also meet all eight terms of the worst case"
    )


def _funnel(ax: Axes, prior: str, population: Population) -> None:
    frame = population.stages
    places = np.arange(len(frame))
    count, alone = frame["count"].to_numpy(), frame["alone"].to_numpy()
    colours = [_GREY, _GAMES, _GAMES, *[_TERM] * len(TERMS), _AFTER]
    some = count > 0
    ax.barh(
        places[some], count[some] - _LEFT, left=_LEFT, height=0.66,
        color=[c for c, keep in zip(colours, some, strict=True) if keep],
    )  # fmt: skip
    rings = alone > 0
    ax.plot(alone[rings], places[rings], "o", mfc="white", mec="black", ms=5, clip_on=False)
    across = ax.get_yaxis_transform()
    for place, left, ring in zip(range(len(frame)), count, alone, strict=True):
        dim = MUTED if left == 0 else "black"
        ax.text(_BAR_AT, place, f"{left:,}", transform=across, ha="right", va="center",
                fontsize=8.5, fontweight="bold", color=dim)  # fmt: skip
        ax.text(_RING_AT, place, f"{ring:,}", transform=across, ha="right", va="center",
                fontsize=8.5)  # fmt: skip
    for at, name in ((_BAR_AT, "bar"), (_RING_AT, "ring")):
        ax.text(at, -0.95, name, transform=across, ha="right", va="center", fontsize=8, color=MUTED)
    ax.axhline(len(frame) - 1.5, color=MUTED, lw=0.6, dashes=(2, 2))
    ax.set(xscale="log", xlim=(_LEFT, 1.3 * population.agents), ylim=(len(frame) - 0.4, -0.7))
    ax.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1,000"])
    ax.minorticks_off()
    ax.tick_params(axis="y", length=0)
    ax.set_title(f"prior: {prior}\n", fontsize=9.5)
