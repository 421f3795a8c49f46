"""The figures of the study of evidence; here, calibration of predicted chances and ROC curves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sim.analysis.likelihood_ratios import FEWEST
from sim.plots.style import COLOURS, MUTED, house_style, title_of
from sim.specs.overrides import Specs
from sim.utils.format import format_number

from .figure_ratios import MARKERS, by_contexts_figure, ratios_figure
from .hypotheses import HYPOTHESES
from .scores import Score
from .study import Results


def figures(results: Results, specs: Specs) -> dict[str, Figure]:
    """Return the figures of likelihood ratios, of shares by contexts, and of prediction."""
    name = specs.scenario.name
    return {
        "evidence": ratios_figure(results.evidence, results.cause, name=name),
        "contexts": by_contexts_figure(results.contexts, name=name),
        "predicted": calibration_figure(results.curves, results.scores, name=name),
    }


def calibration_figure(
    curves: pd.DataFrame, scores: Mapping[str, Mapping[str, Score]], *, name: str
) -> Figure:
    """Draw predicted against actual chances above, and ROC curves below, by hypothesis.

    Args:
        curves: `calibration` of each prior and hypothesis, with their names.
        scores: By prior and hypothesis, how well the number of contexts gamed tells it.
        name: The scenario.
    """
    with house_style():
        count = len(HYPOTHESES)
        figure = Figure(figsize=(2.9 * count, 7.0), layout="constrained")
        panels = figure.subplots(2, count)
        for column, hypothesis in enumerate(HYPOTHESES):
            upper, lower = panels[:, column]
            most = 0.0
            for i, (prior, by) in enumerate(scores.items()):
                colour, marker = COLOURS[i % 8], MARKERS[i % 8]
                rows = curves[
                    (curves["prior_name"] == prior)
                    & (curves["hypothesis"] == hypothesis)
                    & (curves["agents"] >= FEWEST)
                ]
                ends = np.abs(rows[["low", "high"]].to_numpy().T - rows["share"].to_numpy())
                upper.errorbar(
                    rows["predicted"], rows["share"], yerr=ends, color=colour, marker=marker,
                    ms=4.5, lw=0, elinewidth=1.0, capsize=2, label=prior,
                )  # fmt: skip
                most = max(most, float(rows[["predicted", "share"]].max(axis=None)))
                score = by[hypothesis]
                if np.isnan(score.low):
                    text = f"{prior}: too few"
                else:
                    lower.plot(score.false_alarms, score.hits, color=colour, marker=marker, ms=4.5)
                    ends_text = f"[{format_number(score.low, 2)}, {format_number(score.high, 2)}]"
                    text = f"{prior} {format_number(score.auc, 2)} {ends_text}"
                lower.text(
                    0.98, 0.03 + 0.085 * (len(scores) - 1 - i), text, transform=lower.transAxes,
                    ha="right", color=colour, fontsize=7.5, zorder=5,
                    bbox={"facecolor": "white", "alpha": 0.85, "lw": 0, "pad": 1.0},
                )  # fmt: skip
            top = min(1.05, max(1.15 * most, 0.01))
            upper.plot([0, top], [0, top], color=MUTED, lw=0.8, ls=":")
            upper.set(xlim=(-0.03 * top, top), ylim=(-0.03 * top, top), title=hypothesis)
            upper.set_xlabel("predicted chance")
            lower.plot([0, 1], [0, 1], color=MUTED, lw=0.8, ls=":")
            lower.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="share of others at or above")
        panels[0, 0].set_ylabel("share found, in the other half")
        panels[1, 0].set_ylabel("share of these at or above")
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
        title_of(
            figure,
            f"{name}: chances predicted from observations, and ROC curves of contexts gamed",
        )
        return figure
