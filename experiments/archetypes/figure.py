"""The figures: shares of archetypes by condition, and pairs by their training logs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from sim.dynamics.state import Array
from sim.plots.style import COLOURS, MUTED, head, house_style, spaced
from sim.specs.overrides import Specs
from sim.utils.format import join_words, with_minus

from .figure_training_log import training_log_figure
from .portraits import CONDITIONS, Portrait
from .study import Results, Settings

_SHARES = LinearSegmentedColormap.from_list("shares", ["#FFFFFF", "#9EC4E0", "#004C7A"])
_BINDING = COLOURS[1]
#: Above this share, writing is white.
_DARK = 0.6
_EXTRA = ("P(success)\nif all\nattempted", "successes\nexpected")


def figures(results: Results, specs: Specs, settings: Settings) -> dict[str, Figure]:
    """Draw the figures of the study, by name."""
    scenario = specs.scenario.name or "scenario"
    return {
        "archetypes": archetypes_figure(results.portraits, scenario=scenario),
        "training_log": training_log_figure(results.pairs, odds=settings.odds, scenario=scenario),
    }


def archetypes_figure(portraits: Sequence[Portrait], *, scenario: str) -> Figure:
    """Draw archetypes by conditions: the share that meets each; below, it and all before it.

    The number beneath a share is the mean of the condition's number, where it has one; the frame
    marks the term of the worst case that binds most agents.

    Args:
        portraits: The archetypes.
        scenario: The name of the scenario.
    """
    with house_style():
        rows = len(portraits)
        figure = Figure(figsize=(11.6, 2.6 + 0.86 * rows), layout="constrained")
        upper, lower = figure.subplots(
            2, 1, gridspec_kw={"height_ratios": [rows, 0.62 * rows]}, sharex=True
        )
        own = np.array([[portrait.shares[c] for c in CONDITIONS] for portrait in portraits])
        so_far = np.array([[portrait.so_far[c] for c in CONDITIONS] for portrait in portraits])
        _matrix(upper, own, portraits)
        _numbers(upper, portraits)
        _binding(upper, portraits)
        _prospects(upper, portraits)
        upper.set_title(
            "Each condition by itself: % of agents that meet it. Small: mean of the number that "
            "must reach the threshold"
        )
        _matrix(lower, so_far, portraits)
        lower.set_title("The condition and all to its left: % of agents")
        _heads(upper, portraits[0])
        lower.tick_params(bottom=False, labelbottom=False)
        note = (
            f"{scenario}, {portraits[0].agents} agents of each archetype, after training; orange "
            "frame: the term of the worst case that is furthest from its threshold for most agents"
        )
        head(figure, _title(portraits), note)
        return figure


def _title(portraits: Sequence[Portrait]) -> str:
    count = len(portraits)
    somewhere, everywhere, reached = (
        [spaced(name) for name, share in shares if share >= 0.5]
        for shares in (
            [(portrait.name, portrait.shares["games_somewhere"]) for portrait in portraits],
            [(portrait.name, portrait.shares["games_everywhere"]) for portrait in portraits],
            [(portrait.name, portrait.worst_case) for portrait in portraits],
        )
    )
    return (
        f"Most agents game somewhere: {_some_names(somewhere, count)}; "
        f"everywhere: {_some_names(everywhere, count)}; "
        f"all terms of the worst case: {_some_names(reached, count)}"
    )


def _some_names(names: Sequence[str], count: int) -> str:
    """Write a few names, or how many they are."""
    if not names:
        return "none"
    return join_words(names) if len(names) <= 3 else f"{len(names)} of {count}"


def _matrix(ax: Axes, shares: Array, portraits: Sequence[Portrait]) -> None:
    ax.imshow(shares, cmap=_SHARES, vmin=0.0, vmax=1.0, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        colour = "white" if share > _DARK else "black" if share else MUTED
        ax.text(column, row, _percent(share), ha="center", va="center", color=colour)
    ax.set_yticks(range(len(portraits)), [spaced(portrait.name) for portrait in portraits])
    ax.tick_params(axis="y", length=0, labelcolor="black")
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_xticks(np.arange(-0.5, len(CONDITIONS) + len(_EXTRA)), minor=True)
    ax.hlines(np.arange(0.5, len(portraits) - 1), -0.5, len(CONDITIONS) - 0.5, colors="white")
    ax.tick_params(which="minor", length=0)
    ax.set_xlim(-0.5, len(CONDITIONS) + len(_EXTRA) - 0.5)


def _percent(share: float) -> str:
    """Write a share in per cent; one that is neither 0 nor 1 never as if it were."""
    if 0.0 < share < 0.005:
        return "<1"
    return ">99" if 0.995 < share < 1.0 else f"{100 * share:.0f}"


def _numbers(ax: Axes, portraits: Sequence[Portrait]) -> None:
    for row, portrait in enumerate(portraits):
        for column, condition in enumerate(CONDITIONS):
            number = portrait.numbers.get(condition, np.nan)
            if np.isfinite(number):
                ax.text(
                    column, row + 0.33, with_minus(f"{number:.2f}"),
                    ha="center", va="center", fontsize=6.5,
                    color="white" if portrait.shares[condition] > _DARK else MUTED,
                )  # fmt: skip


def _binding(ax: Axes, portraits: Sequence[Portrait]) -> None:
    for row, portrait in enumerate(portraits):
        if portrait.bound_by:
            column = CONDITIONS.index(portrait.bound_by)
            frame = Rectangle(
                (column - 0.46, row - 0.44), 0.92, 0.88, fill=False, ec=_BINDING, lw=1.8
            )
            ax.add_patch(frame)


def _prospects(ax: Axes, portraits: Sequence[Portrait]) -> None:
    for row, portrait in enumerate(portraits):
        chance = "0" if portrait.success == 0.0 else "<0.001"
        if portrait.success >= 0.0005:
            chance = f"{portrait.success:.3f}"
        for column, text in enumerate([chance, f"{portrait.expected_successes:.1f}"]):
            ax.text(len(CONDITIONS) + column, row, text, ha="center", va="center")


def _heads(ax: Axes, portrait: Portrait) -> None:
    """Name the conditions above the upper matrix, each with its threshold if it has one."""
    heads = []
    for condition in CONDITIONS:
        name = spaced(condition).replace(" ", "\n")
        if condition in portrait.thresholds:
            sign = "≤" if condition == "misalignment" else "≥"
            name += with_minus(f"\n{sign} {portrait.thresholds[condition]:g}")
        heads.append(name)
    ax.set_xticks(range(len(heads) + len(_EXTRA)), [*heads, *_EXTRA])
    ax.tick_params(
        axis="x", length=0, labelcolor="black", labelsize=8,
        bottom=False, labelbottom=False, labeltop=True,
    )  # fmt: skip
