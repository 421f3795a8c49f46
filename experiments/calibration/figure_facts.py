"""The picture of published facts: what the model answers to each, and the verdict."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.calibration.facts_answer import VERDICTS, Answer, Bars
from sim.plots.style import COLOURS, DASHES, MUTED, EndLabel, house_style, label_ends, title_of

_COLUMNS = 3
#: Of verdicts; the words stand beside, so colour is not all that tells.
_OF_VERDICTS = {"met": COLOURS[0], "depends": COLOURS[6], "not met": COLOURS[1]}


def facts_figure(answers: Mapping[str, Answer], *, name: str) -> Figure:
    """Draw what was answered to each fact, a panel each, with its verdict above.

    Args:
        answers: By the name of the fact.
        name: Of the agent.
    """
    with house_style():
        columns = min(_COLUMNS, len(answers))
        rows = -(-len(answers) // columns)
        figure = Figure(figsize=(4.0 * columns, 2.75 * rows + 0.5), layout="constrained")
        panels = figure.subplots(rows, columns, squeeze=False).ravel()
        for ax, (fact, answer) in zip(panels, answers.items(), strict=False):
            _panel(ax, answer)
            ax.set_title(fact, pad=18)
            ax.text(
                0.0, 1.03, answer.verdict, transform=ax.transAxes, fontsize=9, fontweight="bold",
                color=_OF_VERDICTS[answer.verdict],
            )  # fmt: skip
        for ax in panels[len(answers) :]:
            ax.set_axis_off()
        if any(isinstance(one.shown, Bars) and one.shown.ends for one in answers.values()):
            figure.text(
                0.99, 0.005, "bars with a line: median over drawn trainings, and the middle 80 %",
                ha="right", va="bottom", color=MUTED, fontsize=8,
            )  # fmt: skip
        title_of(figure, _title(answers, name))
        return figure


def _panel(ax: Axes, answer: Answer) -> None:
    shown, colour = answer.shown, _OF_VERDICTS[answer.verdict]
    if isinstance(shown, Bars):
        names = list(shown.heights)
        heights = np.array([shown.heights[one] for one in names])
        places = np.arange(len(names))
        ax.bar(places, heights, color=colour, alpha=0.75, width=0.62)
        for place, one in zip(places, names, strict=True):
            if one in shown.ends:
                ax.plot([place, place], shown.ends[one], color="black", lw=1.2)
        top = max([*heights, *(high for _, high in shown.ends.values()), 0.0], default=0.0)
        for place, height in zip(places, heights, strict=True):
            ax.annotate(
                f"{height:.2f}" if height >= 0.1 else f"{height:.3f}",
                (place + 0.06, max(height, 0.0)), xytext=(1, 2), textcoords="offset points",
                fontsize=7.5, color="black",
            )  # fmt: skip
        ax.set_xticks(
            places,
            [textwrap.fill(one, max(40 // len(names), 8)) for one in names],
            fontsize=7.5,
        )
        ax.set_ylim(min(0.0, *(low for low, _ in shown.ends.values()), 0.0), 1.15 * top or 1.0)
        ax.set_xlim(-0.6, len(names) - 0.1)
        ax.set(xlabel=shown.over)
        ax.set_ylabel(textwrap.fill(shown.of, 26))
        ax.axhline(0.0, color=MUTED, lw=0.6)
        return
    ends = []
    for i, (one, line) in enumerate(shown.heights.items()):
        ax.plot(shown.at, line, color=COLOURS[i], dashes=DASHES[i])
        ends.append(EndLabel(textwrap.fill(one, 12), float(line[-1]), COLOURS[i]))
    ax.set(xlabel=shown.over, xlim=(min(shown.at), max(shown.at)))
    ax.set_ylabel(textwrap.fill(shown.of, 26))
    ax.margins(y=0.08)
    ax.set_ylim(*ax.get_ylim())
    label_ends(ax, ends, line_height=0.17)


def _title(answers: Mapping[str, Answer], name: str) -> str:
    counts = dict.fromkeys(VERDICTS, 0)
    for answer in answers.values():
        counts[answer.verdict] += 1
    met, depends, missed = counts.values()
    tail = [f"{depends} depend on what was not published"] if depends else []
    tail += [f"{missed} are not met"] if missed else []
    return f"{name}: {'; '.join([f'{met} of {len(answers)} published facts are met', *tail])}"
