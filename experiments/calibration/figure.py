"""The figure of predictions against published rates, for all tables on one page."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sim.plots.style import COLOURS, MUTED, house_style, literal, spaced, title_of

from .data import RATES
from .study import Results, tables

#: Names of rates above panels.
SHORT = ("faking", "refusals in training", "refusals unmonitored")
#: Numbers of facts beyond these are drawn at the end of the axis.
_ENDS = (0.0, 3.0)


def figures(results: Results) -> Mapping[str, Figure]:
    """Draw rows as fitted and left out, prompts after training, and further facts."""
    by_name, empty = tables(results), pd.DataFrame()
    fitted = by_name["rows"].rename(
        columns={f"fitted_{rate}": f"predicted_{rate}" for rate in RATES}
        | {rate: f"measured_{rate}" for rate in RATES}
    )
    left_out = by_name.get("cross_validation", empty)
    if len(left_out):
        criteria = {"by": "rows", "task": "edits", "predictor": "model"}
        left_out = left_out[(left_out[list(criteria)] == pd.Series(criteria)).all(axis=1)]
    with house_style():
        figure = Figure(figsize=(11.0, 14.0), layout="constrained")
        parts = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.6, 1.0))
        upper, lower = parts[:, 0]
        for index, panels in enumerate(upper.subplots(3, 3).T):
            rate = RATES[index]
            _scatter(panels[0], fitted, index, "fitted")
            _scatter(panels[1], left_out, index, "left out")
            panels[2].set_title(f"{SHORT[index]}: after training")
            prompts = by_name.get("predictions", empty)
            if len(prompts) and results.predictions is not None:
                published = float(results.predictions.stages.after.frame[rate].iloc[0])
                _after_training(panels[2], prompts[prompts["rate"] == rate], published, index == 0)
        _facts(lower.subplots(), results.facts)
        title_of(figure, "Predictions against what is published")
    return {"validation": figure}


def _scatter(ax: Axes, table: pd.DataFrame, index: int, label: str) -> None:
    """Draw predicted against published rates of rows, by setting."""
    ax.set_title(f"{SHORT[index]}: {label}")
    end = 1.0 if index else 0.45
    ax.plot([0, end], [0, end], color=MUTED, linewidth=0.8)
    ax.set_xlabel("published")
    ax.set_ylabel("model")
    groups = table.groupby("setting") if len(table) else []
    for place, (setting, part) in enumerate(groups):
        ax.plot(
            part[f"measured_{RATES[index]}"], part[f"predicted_{RATES[index]}"],
            "os^v"[place % 4], markersize=4, alpha=0.8, color=COLOURS[place], label=spaced(setting),
        )  # fmt: skip
    if label == "fitted" and index == 0:
        ax.legend(frameon=False, fontsize=8)


def _after_training(ax: Axes, table: pd.DataFrame, published: float, with_names: bool) -> None:
    """Draw distributions of a rate after training, by prompt, and the rate that is published."""
    places = -np.arange(len(table))
    ax.hlines(places, table["low_95"], table["high_95"], color=COLOURS[0], linewidth=1.2)
    ax.hlines(places, table["low_50"], table["high_50"], color=COLOURS[0], linewidth=5)
    ax.plot(table["median"], places, "|", color=COLOURS[2], markersize=9)
    ax.plot(table["before"], places, "o", mfc="white", mec=MUTED, markersize=4, label="before")
    ax.plot([published], [0], "D", color=COLOURS[1], markersize=5, label="published after")
    names = [literal(text) for text in table["prompt"]] if with_names else [""] * len(table)
    ax.set_yticks(places, names, fontsize=8)
    ax.set_xlim(-0.03, 1.03)
    ax.set_ylim(0.6 - len(table), 0.7)
    if with_names:
        ax.legend(frameon=False, fontsize=8, loc="upper center")


def _facts(ax: Axes, table: pd.DataFrame) -> None:
    """Draw the numbers of facts with 95 % intervals, and verdicts."""
    ax.set_title("further facts: the model's numbers (beyond 3: at the end), 95 %, and the verdict")
    colours = {"met": COLOURS[0], "not met": COLOURS[1]}
    places = [-float(place) for place in range(len(table))]
    for place, row in zip(places, table.to_dict("records"), strict=True):
        shade = colours.get(row["verdict"], MUTED)
        low, middle, high = np.clip([row["low"], row["median"], row["high"]], *_ENDS)
        ax.plot([low, high], [place, place], color=shade, linewidth=1.5)
        ax.plot([middle], [place], "o", color=shade, markersize=4)
        ax.text(_ENDS[1] + 0.1, place, row["verdict"], color=shade, va="center", fontsize=8)
    if len(table):
        names = [spaced(f"{f}: {n}") for f, n in zip(table["fact"], table["number"], strict=True)]
        ax.set_yticks(places, names, fontsize=8)
    ax.set_xlim(-0.05, _ENDS[1] + 0.4)
