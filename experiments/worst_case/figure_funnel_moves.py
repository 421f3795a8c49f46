"""The figure of moves: how many agents are left at each stage, an assumption in each row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.worst_case.funnel_moves import Moved
from experiments.worst_case.funnel_text import moves_title
from experiments.worst_case.study import GAMING_STAGES, STAGES
from sim.analysis.worst_case import TERMS
from sim.plots.style import MUTED, house_style, title_of

#: What stands beside the funnel: counts of all agents, whatever else they are.
_BESIDE = {
    "worst_case": "all eight terms",
    "attempts": "attempts",
    "attempts_succeeds": "… deployed, succeeds",
}
#: Changes below so many standard deviations of chance are not marked.
_MARKED = 3.0


def moves_figure(found: Sequence[Moved], *, name: str) -> Figure:
    """Draw a heat table: a row for each assumption, a column for each stage.

    Args:
        found: The funnel as it is, and then under each move.
        name: Of the scenario.
    """
    with house_style():
        figure = Figure(figsize=(11.5, 1.9 + 0.31 * len(found)), layout="constrained")
        ax = figure.subplots()
        stages = STAGES[1:]
        beside = [[one.beside[key] for key in _BESIDE] for one in found]
        counts = np.column_stack([[one.reached.sum(axis=0)[1:] for one in found], beside])
        agents = len(found[0].reached)
        shade = np.vectorize(lambda count: _shade(count, agents))(counts)
        ax.imshow(shade, cmap="Blues", vmin=0.0, vmax=1.25, aspect="auto")
        for i, one in enumerate(found):
            for j, count in enumerate(counts[i]):
                mark = _mark(found[0], one, j) if j < len(stages) else ""
                _cell(ax, i, j, int(count), mark, dark=bool(shade[i, j] > 0.75))
        names = [stage.replace("_", " ") for stage in stages]
        names += list(_BESIDE.values())
        ax.set_xticks(range(len(names)), names, rotation=30, ha="left", rotation_mode="anchor")
        ax.tick_params(axis="both", length=0, labelcolor="black")
        ax.xaxis.tick_top()
        ax.set_yticks(range(len(found)), [one.move.label for one in found])
        ax.get_yticklabels()[0].set_fontweight("bold")
        ax.spines[:].set_visible(False)
        ax.axvline(len(stages) - 0.5, color="white", lw=14)
        for edge in (len(GAMING_STAGES), len(GAMING_STAGES) + len(TERMS)):
            ax.axvline(edge - 0.5, color="white", lw=4)
        for i in range(1, len(found)):
            new_part = found[i].move.part != found[i - 1].move.part
            ax.axhline(i - 0.5, color="white", lw=4 if new_part else 1)
        ax.set_xlabel(
            f"agents left, of {agents:,}, with the same seed and draws in each row; the last three "
            "columns: all such agents, wherever they dropped out\n"
            "darker: more (logarithmic); ▲ ▼ more or fewer than as it is, by who came in and who "
            f"dropped out (sign test, {_MARKED:g} standard deviations)",
            fontsize=8,
        )
        title_of(figure, f"{name}: {moves_title(found)}")
        return figure


def _mark(usual: Moved, one: Moved, stage: int) -> str:
    """Return how a count differs from that as it is, by a sign test on who came and who left."""
    here, there = one.reached[:, stage + 1], usual.reached[:, stage + 1]
    entered, left = int((here & ~there).sum()), int((there & ~here).sum())
    if abs(entered - left) <= _MARKED * np.sqrt(entered + left):
        return ""
    return "▲" if entered > left else "▼"


def _shade(count: int, agents: int) -> float:
    """Return how dark a cell is for a count: 0 for none, on a logarithmic scale up to 1 for all."""
    return float(np.log1p(count) / np.log1p(agents))


def _cell(ax: Axes, i: int, j: int, count: int, mark: str, *, dark: bool) -> None:
    colour = "white" if dark else "black"
    ax.text(
        j,
        i,
        f"{count:,}",
        ha="center",
        va="center",
        fontsize=8,
        color=colour if count else MUTED,
    )
    if mark:
        ax.text(j + 0.47, i - 0.3, mark, ha="right", va="center", fontsize=6, color=colour)
