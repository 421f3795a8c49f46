"""Pictures of the fit to published measurements: predictions, mechanisms, errors."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.calibration.calibrate import BY_RATES, CONDITION, Calibrated
from experiments.calibration.figure_facts import facts_figure
from experiments.calibration.figure_reinforced import reinforced_figure
from experiments.calibration.measurements import RATES
from experiments.calibration.mixture import crude_product
from sim.dynamics.state import Array
from sim.plots.style import COLOURS, MUTED, house_style, title_of
from sim.utils.format import join_words

_NAMES = ("faking", "refusals in training", "refusals unmonitored")
_MARKS = ("o", "s", "^", "D")
_TASKS = {"from the prompt": CONDITION, "from two rates": BY_RATES}
#: A number is drawn so many standard errors about it.
_WIDE = 1.96


def predicted_figure(found: Calibrated) -> Figure:
    """Draw what the model predicts against what was published, with 95 % error bars.

    Predictions are of rows that the fit did not see, where there are any; else they are fitted.
    """
    measured = found.question.data
    whole = len(found.predicted) > 0
    faking = measured.rates[:, 0]
    product = crude_product(measured)[0]
    gap_error = np.hypot(measured.errors[:, 1], measured.errors[:, 2])
    prompt, rates = (_model(found, task) for task in _TASKS)
    with house_style():
        figure = Figure(figsize=(10.4, 7.4), layout="constrained")
        axes = figure.subplots(2, 3)
        settings = list(measured.frame["setting"])
        for i, ax in enumerate(axes[0]):
            ax.set_title(_NAMES[i])
            if prompt is not None:
                _against(ax, measured.rates[:, i], measured.errors[:, i], prompt[:, i], settings)
            _finish(ax, prompt is None, of="model, from the prompt")
        panels = (
            (
                "gap",
                "model, from two rates",
                None if rates is None else rates[:, 2] - rates[:, 1],
            ),
            ("gap, by the crude product", "faking × unmonitored refusals", product),
        )
        for ax, (title, of, predicted) in zip(axes[1], panels, strict=False):
            ax.set_title(title)
            if predicted is not None:
                _against(ax, measured.gap, gap_error, predicted, settings)
            _finish(ax, predicted is None, of=of)
        ax = axes[1, 2]
        ax.set_title("gap over faking, published")
        _over_faking(ax, faking, measured.errors[:, 0], measured.gap, gap_error, settings)
        handles, labels = axes[1, 2].get_legend_handles_labels()
        axes[1, 2].legend(handles, labels, frameon=False, fontsize=8, loc="upper left")
        how = "cross-validated" if whole else "fitted"
        title_of(figure, _told(prompt, rates, measured.rates, measured.gap, product, how))
    return figure


def _told(
    prompt: Array | None,
    rates: Array | None,
    published: Array,
    gap: Array,
    product: Array,
    how: str,
) -> str:
    said = []
    if prompt is not None:
        said.append(f"from what a prompt says, rates are {_root(prompt - published):.3f} off")
    if rates is not None:
        said.append(
            f"from two rates, the gap is {_root(rates[:, 2] - rates[:, 1] - gap):.3f} off, "
            f"by the product of rates {_root(product - gap):.3f}"
        )
    return f"{how.capitalize()}: {join_words(said)}" if said else "The product of rates alone"


def _root(off: Array) -> float:
    return float(np.sqrt(np.nanmean(off**2)))


def _model(found: Calibrated, task: str) -> Array | None:
    """Return what the model says of each row [row, rate]; None if it was not fitted."""
    if len(found.predicted):
        own = found.predicted
        table = own[(own["task"] == task) & (own["predictor"] == "model")]
        return np.asarray(table[list(RATES)], np.float64) if len(table) else None
    one = found.fits.get(_TASKS[task])
    return None if one is None else one.rates


def _against(
    ax: Axes, published: Array, error: Array, predicted: Array, settings: list[str]
) -> None:
    for k, setting in enumerate(sorted(set(settings))):
        rows = np.array([s == setting for s in settings])
        ax.errorbar(
            published[rows], predicted[rows], xerr=_WIDE * error[rows], fmt=_MARKS[k % 4], ms=3.5,
            color=COLOURS[k % len(COLOURS)], lw=0.7, alpha=0.75, label=setting.replace("_", " "),
        )  # fmt: skip
    ends = np.concatenate([published, predicted[np.isfinite(predicted)]])
    low, high = min(float(ends.min()), 0.0), float(ends.max())
    ax.plot([low, high], [low, high], color=MUTED, lw=0.8, zorder=0)


def _over_faking(
    ax: Axes, faking: Array, of_faking: Array, gap: Array, of_gap: Array, settings: list[str]
) -> None:
    for k, setting in enumerate(sorted(set(settings))):
        rows = np.array([s == setting for s in settings])
        ax.errorbar(
            faking[rows], gap[rows], xerr=_WIDE * of_faking[rows], yerr=_WIDE * of_gap[rows],
            fmt=_MARKS[k % 4], ms=3.5, color=COLOURS[k % len(COLOURS)], lw=0.7, alpha=0.75,
            label=setting.replace("_", " "),
        )  # fmt: skip
    ax.axhline(0.0, color=MUTED, lw=0.8, zorder=0)
    ax.set_xlabel("faking")
    ax.set_ylabel("refusals unmonitored − in training")


def _finish(ax: Axes, empty: bool, *, of: str) -> None:
    if empty:
        ax.set_axis_off()
        ax.text(0.0, 0.5, "too few rows for a fit", color=MUTED)
        return
    ax.set_xlabel("published (bars: 95 %)")
    ax.set_ylabel(of)


def mechanisms_figure(table: pd.DataFrame) -> Figure:
    """Draw chi-square per degree of freedom of the model with some of its mechanisms."""
    best = table.loc[table["per_dof"].idxmin()]
    alone = table[table["model"].str.startswith("only ")]
    most = alone.loc[alone["per_dof"].idxmin()] if len(alone) else best
    none = table[table["model"] == "none"]
    with house_style():
        figure = Figure(figsize=(8.4, 0.32 * len(table) + 1.6), layout="constrained")
        ax = figure.subplots()
        places = np.arange(len(table))[::-1]
        colours = [COLOURS[0] if m in ("none", "all") else COLOURS[7] for m in table["model"]]
        ax.barh(places, table["per_dof"], color=colours, height=0.66)
        ax.set_yticks(places, list(table["model"]))
        ax.axvline(1.0, color=MUTED, lw=0.8)
        ax.set_xscale("log")
        for place, number in zip(places, table["per_dof"], strict=True):
            ax.text(number * 1.05, place, f"{number:.2f}", va="center", fontsize=8, color=MUTED)
        ax.set_xlim(0.5, float(table["per_dof"].max()) * 1.6)
        ax.set_xlabel("chi-square per degree of freedom, fit by rates (1: errors alone)")
        start = f" from {none['per_dof'].iat[0]:.1f}" if len(none) else ""
        title_of(
            figure,
            f"{str(most['model']).removeprefix('only ').capitalize()} alone: chi-square per degree "
            f"of freedom{start} to {most['per_dof']:.2f}; the least is "
            f"{best['per_dof']:.2f} ({best['model']})",
        )
    return figure


def errors_figure(errors: pd.DataFrame) -> Figure:
    """Draw cross-validated errors of the model and of its rivals, by task and setting."""
    tasks = list(dict.fromkeys(errors["task"]))
    said = []
    for task in tasks:
        part = errors[(errors["task"] == task) & (errors["setting"] == "all")]
        best = part.loc[part["rmse_gap"].idxmin()]
        said.append(f"{task} the gap is predicted best by the {best['predictor']}")
    with house_style():
        figure = Figure(figsize=(10.4, 4.2), layout="constrained")
        axes = figure.subplots(1, len(tasks), squeeze=False)[0]
        for ax, task in zip(axes, tasks, strict=True):
            part = errors[errors["task"] == task]
            names = list(dict.fromkeys(part["predictor"]))
            settings = list(dict.fromkeys(part["setting"]))
            places = np.arange(len(names))[::-1]
            for k, setting in enumerate(settings):
                rows = part[part["setting"] == setting].set_index("predictor").reindex(names)
                ax.plot(
                    rows["rmse_gap"], places + 0.18 * (1 - k), _MARKS[k % 4], ms=6,
                    color=COLOURS[k % len(COLOURS)], label=setting.replace("_", " "),
                )  # fmt: skip
            ax.set_yticks(places, names)
            ax.set_ylim(-0.6, len(names) - 0.4)
            ax.set_xlim(0.0, None)
            ax.grid(axis="y", lw=0.4, color=MUTED, alpha=0.3)
            ax.set_title(task)
            ax.set_xlabel("root mean square error of the gap")
        axes[-1].legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
        title_of(figure, f"On rows not seen, {join_words(said)}")
    return figure


def figures(results: Calibrated) -> dict[str, Figure]:
    """Draw the figures of the parts that were done, by name."""
    drawn = {}
    if len(results.residuals):
        drawn["calibration"] = predicted_figure(results)
    if len(results.mechanisms):
        drawn["mechanisms"] = mechanisms_figure(results.mechanisms)
    if len(results.errors):
        drawn["cross_validation"] = errors_figure(results.errors)
    if results.reinforced is not None:
        drawn["reinforced"] = reinforced_figure(results.reinforced)
    if results.answers:
        drawn["facts"] = facts_figure(results.answers, name="the calibrated agent")
    return drawn
