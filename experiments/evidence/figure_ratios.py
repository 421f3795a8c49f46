"""Pictures of evidence: likelihood ratios by observation, and shares by contexts gamed."""

from __future__ import annotations

import textwrap

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sim.analysis.likelihood_ratios import FEWEST
from sim.plots.style import COLOURS, MUTED, house_style, title_of
from sim.utils.format import join_words

from .hypotheses import HYPOTHESES

MARKERS = "osD^v*PX"
#: What is drawn lies between these; beyond, at the edge.
_LEAST, _MOST = 1 / 32, 32.0
#: Panels beside each other on a page, and characters of a line below them.
_BESIDE, _NOTE = 3, 110


def ratios_figure(evidence: pd.DataFrame, cause: pd.DataFrame, *, name: str) -> Figure:
    """Draw likelihood ratios with their intervals: rows observations, a panel per hypothesis.

    Args:
        evidence: `likelihood_table` of each prior, with `prior_name`.
        cause: `cause_table` likewise; where it has rows, an open mark is the ratio with what gaming
            feeds back cut.
        name: The scenario.
    """
    priors = list(dict.fromkeys(evidence["prior_name"]))
    observations = list(dict.fromkeys(evidence["observation"]))
    row = {observation: i for i, observation in enumerate(observations)}
    names = [h for h in HYPOTHESES if (_about(evidence, h)["few"] < 0).any()]
    ratioless = [h for h in HYPOTHESES if h not in names]
    with house_style():
        figure, panels = _page(max(len(names), 1), height=0.7 + 0.25 * len(observations))
        for ax, hypothesis in zip(panels, names, strict=False):
            _ratio_panel(ax, _about(evidence, hypothesis), priors, row)
            if not cause.empty:
                _cut_marks(ax, _about(cause, hypothesis), priors, row)
            ax.set(title=hypothesis, xlabel="likelihood ratio")
        for ax in panels:
            is_first = ax.get_subplotspec().is_first_col()  # type: ignore[union-attr]
            ax.set_yticks(range(len(observations)), observations if is_first else [])
            ax.set_ylim(len(observations) - 0.5, -0.5)
        marks = [
            Line2D([], [], color=COLOURS[i % 8], marker=MARKERS[i % 8], ms=5, ls="-", label=prior)
            for i, prior in enumerate(priors)
        ]
        marks.append(Line2D([], [], color=MUTED, marker="$–$", ls="", ms=6, label="too few agents"))
        if not cause.empty:
            marks.append(
                Line2D(
                    [], [], color=MUTED, marker="o", ls="", ms=7, mfc="none",
                    label="open: with what gaming feeds back cut",
                )
            )  # fmt: skip
        note = "95 % intervals; right of 1: evidence for, left of it: against"
        if ratioless:
            note += f". Too few agents for any ratio: {join_words(ratioless)}"
        title = textwrap.fill(note, _NOTE)
        figure.legend(
            handles=marks, loc="outside lower center", ncols=len(marks), frameon=False, title=title
        )
        title_of(figure, f"{name}: how observations multiply the odds of hypotheses")
        return figure


def by_contexts_figure(contexts: pd.DataFrame, *, name: str) -> Figure:
    """Draw the chance of each hypothesis by the number of training contexts gamed.

    Args:
        contexts: `by_contexts` of each prior, with `prior_name`.
        name: The scenario.
    """
    priors = list(dict.fromkeys(contexts["prior_name"]))
    with house_style():
        figure, panels = _page(len(HYPOTHESES), height=2.8)
        for ax, hypothesis in zip(panels, HYPOTHESES, strict=True):
            most = 0.0
            for i, prior in enumerate(priors):
                rows = _about(contexts, hypothesis)
                rows = rows[(rows["prior_name"] == prior) & (rows["agents"] >= FEWEST)]
                at = rows["contexts"] + 0.09 * (i - (len(priors) - 1) / 2)
                ends = np.abs(rows[["low", "high"]].to_numpy().T - rows["share"].to_numpy())
                ax.errorbar(
                    at, rows["share"], yerr=ends, color=COLOURS[i % 8], marker=MARKERS[i % 8],
                    ms=5, lw=1.4, elinewidth=1.0, capsize=2, label=prior,
                )  # fmt: skip
                most = max(most, float(rows["high"].max() if len(rows) else 0.0))
            ax.set_title(hypothesis)
            ax.set_ylim(-0.03 * max(most, 0.01), 1.05 * max(most, 0.01))
            ax.set_xlabel("contexts gamed")
            ax.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0, decimals=None))
            ax.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
            if ax.get_subplotspec().is_first_col():  # type: ignore[union-attr]
                ax.set_ylabel("share of agents")
        handles, labels = panels[0].get_legend_handles_labels()
        note = (
            "across: training contexts in which an agent games; exact 95 % intervals, where there "
            f"are {FEWEST} agents or more; scales differ"
        )
        figure.legend(
            handles, labels, loc="outside lower center", ncols=len(priors), frameon=False,
            title=textwrap.fill(note, _NOTE),
        )  # fmt: skip
        title_of(figure, f"{name}: how often hypotheses are true, by contexts gamed")
        return figure


def _page(count: int, *, height: float) -> tuple[Figure, list[Axes]]:
    """Return a figure as wide as a page, with so many panels of a height in inches."""
    rows, columns = -(-count // _BESIDE), min(count, _BESIDE)
    size = (3.3 * columns + 1.0 * (count < _BESIDE), 1.3 + height * rows)
    figure = Figure(figsize=size, layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for ax in panels[count:]:
        ax.remove()
    return figure, panels[:count]


def _about(table: pd.DataFrame, hypothesis: str) -> pd.DataFrame:
    return table[table["hypothesis"] == hypothesis]


def _place(row: int, i: int, priors: list[str]) -> float:
    return row + 0.22 * (i - (len(priors) - 1) / 2)


def _ratio_panel(ax: Axes, table: pd.DataFrame, priors: list[str], row: dict[str, int]) -> None:
    ax.axvline(1.0, color=MUTED, lw=0.8)
    for band in row.values():
        if band % 2:
            ax.axhspan(band - 0.5, band + 0.5, color="#F3F3F3", zorder=0, lw=0)
    shown_ratios = table.loc[table["few"] < 0, ["ratio_low", "ratio_high"]].to_numpy()
    inside = shown_ratios[np.isfinite(shown_ratios) & (shown_ratios > 0.0)]
    least = max(_LEAST, float(inside.min()) / 1.3) if inside.size else 0.5
    most = min(_MOST, float(inside.max()) * 1.3) if inside.size else 2.0
    for i, prior in enumerate(priors):
        for _, cell in table[table["prior_name"] == prior].iterrows():
            at, colour = _place(row[cell["observation"]], i, priors), COLOURS[i % 8]
            if cell["few"] >= 0:
                ax.plot(1.0, at, marker="$–$", color=colour, ms=5, alpha=0.6)
                continue
            low, ratio, high = (
                float(np.clip(cell[key], least, most))
                for key in ("ratio_low", "ratio", "ratio_high")
            )
            ax.plot([low, high], [at, at], color=colour, lw=1.4)
            ax.plot(ratio, at, marker=MARKERS[i % 8], color=colour, ms=4.5)
    ax.set_xscale("log")
    low_end, high_end = min(least, 0.8), max(most, 1.25)
    ax.set_xlim(low_end, high_end)
    ticks = [
        t
        for t in (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8, 16, 32)
        if low_end <= t <= high_end
    ]
    ax.set_xticks(ticks, [f"{t:g}" if t >= 1 else f"1/{1 / t:g}" for t in ticks])
    ax.xaxis.set_minor_locator(mpl.ticker.NullLocator())
    ax.tick_params(axis="y", length=0)


def _cut_marks(ax: Axes, table: pd.DataFrame, priors: list[str], row: dict[str, int]) -> None:
    low, high = ax.get_xlim()
    feedback = table[(table["cut"] == "feedback") & (table["few"] < 0)]
    for i, prior in enumerate(priors):
        cells = feedback[feedback["prior_name"] == prior]
        ax.plot(
            cells["ratio_cut"].clip(low, high),
            [_place(row[o], i, priors) for o in cells["observation"]],
            marker=MARKERS[i % 8], color=COLOURS[i % 8], ms=7.5, mfc="none", mew=0.8, ls="",
        )  # fmt: skip
