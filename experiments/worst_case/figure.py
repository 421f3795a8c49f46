"""The figures of the worst case: the funnel, what binds, and the moves."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from sim.analysis.worst_case import TERMS
from sim.plots.style import COLOURS, MUTED, house_style, spaced, title_of
from sim.specs.overrides import Specs
from sim.utils.format import DASH, percent

from .binding import GROUPS, QUESTIONS
from .funnel import AFTERWARDS, GAMING_STAGES, LABELS, STAGES, reached_stages
from .study import Results
from .variations import SIGNIFICANT, VariedFunnel

#: Colours of all agents, of stages of gaming, of the terms, and of stages after training.
_KINDS = (
    ("#BDBDBD", "all agents"),
    (COLOURS[0], "training-gaming"),
    (COLOURS[1], "terms of the worst case"),
    (COLOURS[3], "audit and deployment"),
)
_RING: dict[str, Any] = {"ls": "", "marker": "o", "mfc": "white", "mec": "black", "ms": 5}
_LIMIT: dict[str, Any] = {"color": "black", "marker": "<", "ms": 4}
_CELL: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8}
#: The stages at which the second to the fourth of them begin.
_FIRST = (GAMING_STAGES[0], TERMS[0], AFTERWARDS[0])
#: Where bars begin: a count of 1 must have a length.
_BAR_START = 0.5
#: Where the columns beside the bars begin, from 0 to 1.
_COLUMNS = (0.0, 0.26, 0.80)
_MARKS = {"more": "▲", "fewer": "▼", "no change": ""}


def figures(results: Results, specs: Specs) -> dict[str, Figure]:
    """Return the funnel, what binds, and, if assumptions were moved, the moves."""
    with house_style():
        pictures = {"funnel": draw_funnel(results), "binding": draw_binding(results)}
        if results.varied:
            pictures["moves"] = draw_moves(results.varied, results.frames["changes"])
        for name, figure in pictures.items():
            title_of(figure, f"{specs.scenario.name}: {LABELS['titles'][name]}")
    return pictures


def draw_funnel(results: Results) -> Figure:
    """Draw the funnel, a bar for each stage, on a logarithmic scale."""
    figure = Figure(figsize=(11.0, 6.2), layout="constrained")
    ax, beside = figure.subplots(1, 2, width_ratios=[2.6, 1.0], sharey=True)
    beside.set_axis_off()
    rows = results.frames["funnel"].to_dict("records")
    agents = int(rows[0]["count"])
    for place, row in enumerate(rows):
        _draw_bar(ax, place, row, agents)
        _write_numbers(beside, place, row, agents)
    ax.set(xscale="log", xlim=(_BAR_START, 1.15 * agents), ylim=(len(rows) - 0.4, -0.6))
    names = [LABELS["stages"].get(row["stage"], spaced(row["stage"])) for row in rows]
    ax.set_yticks(range(len(rows)), names)
    ax.tick_params(axis="y", length=0, labelcolor="black")
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    ax.set_xlabel(
        "agents that meet this condition and all above it (logarithmic)\n"
        f"expected to succeed, of those that come as far as an attempt: "
        f"{results.numbers['expected_successes']['worst_case']:.2g}"
    )
    for x, heading in zip(_COLUMNS, ("left", "of those before", "alone"), strict=True):
        beside.text(x, -0.75, heading, color=MUTED, fontsize=8)
    handles: list[Any] = [Patch(facecolor=c, label=name) for c, name in _KINDS[1:]]
    handles.append(Line2D([], [], label="alone: meet this condition, whatever else", **_RING))
    handles.append(Line2D([], [], label="nobody: 95 % interval of what to expect", **_LIMIT, lw=1))
    figure.legend(handles=handles, loc="outside lower left", ncols=3, frameon=False, fontsize=8)
    return figure


def _draw_bar(ax: Axes, place: int, row: Mapping[str, Any], agents: int) -> None:
    count, stage = int(row["count"]), str(row["stage"])
    kind = sum(STAGES.index(stage) >= STAGES.index(first) for first in _FIRST)
    if count:
        ax.barh(place, count - _BAR_START, left=_BAR_START, height=0.66, color=_KINDS[kind][0])
    else:
        high = max(float(row["share_high"]) * agents, 1.05 * _BAR_START)
        ax.plot([_BAR_START, high], [place, place], color="black", lw=1.0)
        ax.plot([high], [place], **_LIMIT)
    if stage != "all" and row["alone"]:
        ax.plot(row["alone"], place, **_RING, zorder=3)


def _write_numbers(ax: Axes, place: int, row: Mapping[str, Any], agents: int) -> None:
    """Write the count of a stage, its share of the stage before, and the share that meets it."""
    count, alone = int(row["count"]), row["alone"] / agents
    remain = "nobody was left"
    if not np.isnan(row["narrowing"]):
        ends = f"{percent(row['narrowing_low'])[:-2]}–{percent(row['narrowing_high'])}"
        remain = f"{percent(row['narrowing'])} ({ends})"
    rare = 0.0 < alone < 0.0005
    texts = (f"{count:,}", remain, f"1 in {1.0 / alone:,.0f}" if rare else percent(alone))
    if row["stage"] == "all":
        texts = (texts[0], "", "")
    for x, text in zip(_COLUMNS, texts, strict=True):
        weight = "bold" if x == _COLUMNS[0] else "normal"
        colour = "black" if count or x == _COLUMNS[-1] else MUTED
        ax.text(x, place, text, va="center", fontsize=8, color=colour, fontweight=weight)


def draw_binding(results: Results) -> Figure:
    """Draw a heat table for each question: the share of each answer, in each group of agents."""
    figure = Figure(figsize=(10.5, 8.4), layout="constrained")
    frame = results.frames["binding"]
    for ax, question in zip(figure.subplots(2, 2).flat, QUESTIONS, strict=True):
        _draw_answers(ax, frame[frame["question"] == question], *LABELS["questions"][question])
    return figure


def _draw_answers(ax: Axes, rows: pd.DataFrame, title: str, concerned: str) -> None:
    answers = list(dict.fromkeys(rows["what"]))
    table = rows.set_index(["by", "group", "what"])
    share = np.array(
        [[table.loc[(*group, answer), "share"] for group in GROUPS] for answer in answers], float
    )
    totals = [int(table.loc[(*group, answers[0]), "of"]) for group in GROUPS]
    ax.imshow(np.nan_to_num(share), cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    for (i, j), number in np.ndenumerate(share):
        text = DASH if np.isnan(number) else "<1" if 0.0 < number < 0.005 else f"{100 * number:.0f}"
        colour = MUTED if number == 0 else "white" if number > 0.55 else "black"
        ax.text(j, i, text, color=colour, **_CELL)
    ax.set_yticks(range(len(answers)), [spaced(answer) for answer in answers])
    labels = [f"{label} ({total:,})" for label, total in zip(LABELS["groups"], totals, strict=True)]
    ax.set_xticks(range(len(GROUPS)), labels, rotation=40, ha="right", rotation_mode="anchor")
    ax.tick_params(axis="both", length=0, labelcolor="black", labelsize=8)
    ax.spines[:].set_visible(False)
    for edge in (0.5, 3.5):
        ax.axvline(edge, color="white", lw=4)
    ax.set_title(title, pad=18)
    note = f"per cent {concerned}"
    ax.text(0.0, 1.015, note, transform=ax.transAxes, fontsize=8, color=MUTED)


def draw_moves(funnels: Sequence[VariedFunnel], changes: pd.DataFrame) -> Figure:
    """Draw a heat table: a row for each variation, the baseline first, a column for each stage."""
    stages = STAGES[1:]
    counts = np.array(
        [
            [
                *reached_stages(varied.conditions).sum(axis=0)[1:],
                *map(varied.totals.get, LABELS["totals"]),
            ]
            for varied in funnels
        ]
    )
    agents = len(funnels[0].conditions)
    shade = np.log1p(counts) / np.log1p(agents)  # from 0 for none up to 1 for all
    verdicts = changes.set_index(["move", "stage"])["verdict"].to_dict()
    figure = Figure(figsize=(11.5, 1.9 + 0.31 * len(funnels)), layout="constrained")
    ax = figure.subplots()
    ax.imshow(shade, cmap="Blues", vmin=0.0, vmax=1.25, aspect="auto")
    for (i, j), count in np.ndenumerate(counts):
        colour = "white" if shade[i, j] > 0.75 else "black"
        ax.text(j, i, f"{count:,}", color=colour if count else MUTED, **_CELL)
        if j < len(stages):
            mark = _MARKS[verdicts[funnels[i].variation.name, stages[j]]]
            corner: dict[str, Any] = {"ha": "right", "va": "center", "fontsize": 6}
            ax.text(j + 0.47, i - 0.3, mark, color=colour, **corner)
    names = [*map(spaced, stages), *LABELS["totals"].values()]
    ax.set_xticks(range(len(names)), names, rotation=30, ha="left", rotation_mode="anchor")
    ax.tick_params(axis="both", length=0, labelcolor="black")
    ax.xaxis.tick_top()
    ax.set_yticks(range(len(funnels)), [varied.variation.label for varied in funnels])
    ax.get_yticklabels()[0].set_fontweight("bold")
    ax.spines[:].set_visible(False)
    ax.axvline(len(stages) - 0.5, color="white", lw=14)
    for edge in (len(GAMING_STAGES), len(GAMING_STAGES) + len(TERMS)):
        ax.axvline(edge - 0.5, color="white", lw=4)
    for i, (above, below) in enumerate(itertools.pairwise(funnels)):
        is_new_part = above.variation.part != below.variation.part
        ax.axhline(i + 0.5, color="white", lw=4 if is_new_part else 1)
    ax.set_xlabel(
        f"agents left, of {agents:,}, with the same seed and draws in each row; the last three "
        "columns: all such agents, wherever they dropped out\n"
        "darker: more (logarithmic); ▲ ▼ more or fewer than as it is, by who came in and who "
        f"dropped out (sign test, {SIGNIFICANT:g} standard deviations)",
        fontsize=8,
    )
    return figure
