"""The figures: predictions, mechanisms, errors, training on one prompt, and facts.

The picture of published facts: what the model answers to each, and the verdict.

The picture of training on one prompt: what fits, and what becomes of the other prompts.

Pictures of the fit to published measurements: predictions, mechanisms, errors.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sim.dynamics.state import Array
from sim.plots.style import COLOURS, DASHES, MUTED, EndLabel, house_style, label_ends, title_of
from sim.utils.format import join_words

from .calibrate import BY_RATES, CONDITION, Calibrated
from .data import RATES
from .facts_answer import VERDICTS, Answer, Bars
from .fit_models import crude_product
from .rl_predict import VARIANT, Reinforced, variant_name

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


#: Of rates, for readers.
RATE_NAMES = dict(
    zip(RATES, ("faking", "refusals in training", "refusals unmonitored"), strict=True)
)
#: More prompts than these are left to the table.
MOST = 8
_OF_RULE = {"policy_gradient": COLOURS[0], "natural_gradient": COLOURS[1]}
_MARKERS = {(False, False): "o", (True, False): "s", (False, True): "^", (True, True): "D"}
_WITH = {
    (False, False): "neither spread nor leak",
    (True, False): "spread",
    (False, True): "leak",
    (True, True): "both",
}
_MEASURED = COLOURS[2]
#: How far apart markers of variants lie in the line of a prompt.
_APART = 0.085


def reinforced_figure(found: Reinforced) -> Figure:
    """Draw rates after training: of the prompt trained on, by variant, and of others, predicted."""
    others = found.predictions.iloc[1:]
    shown = others.head(MOST)
    variants = len(found.variants)
    with house_style():
        height = 2.3 + 0.24 * (variants + 1) + 0.62 * len(shown)
        figure = Figure(figsize=(11.4, height), layout="constrained")
        axes = figure.subplots(
            2,
            3,
            sharex=True,
            sharey="row",
            squeeze=False,
            height_ratios=[0.24 * (variants + 1.5), max(0.62 * len(shown), 0.4)],
        )
        for i, rate in enumerate(RATES):
            _trained(axes[0, i], found, rate)
            _others(axes[1, i], found, shown, rate)
            axes[0, i].set_title(RATE_NAMES[rate])
            axes[1, i].set_xlabel("share of answers")
            axes[1, i].set_xlim(-0.02, 1.02)
        _name_lines(axes, found, shown)
        figure.legend(
            handles=_handles(), loc="outside lower left", ncols=5, frameon=False, fontsize=8
        )
        left = len(others) - len(shown)
        title_of(
            figure,
            f"After training on {found.stages.trained!r}: rates by variant, and of other prompts"
            + (f" ({left} more prompts in the table)" if left else ""),
        )
        return figure


def _trained(ax: Axes, found: Reinforced, rate: str) -> None:
    """Draw what was measured of the prompt trained on, and what each variant says."""
    i = RATES.index(rate)
    measured, error = found.stages.after[0, i], found.stages.errors[0, i]
    ax.axvspan(measured - 1.96 * error, measured + 1.96 * error, color=_MEASURED, alpha=0.1, lw=0)
    ax.errorbar(
        measured, 0, xerr=1.96 * error, fmt="*", color=_MEASURED, capsize=3, ms=9, clip_on=False
    )
    for place, (_, row) in enumerate(found.variants.iterrows(), start=1):
        own = _of_variant(found.by_variant, row).iloc[0]
        _interval(ax, own, rate, y=place, colour=_OF_RULE[row["rule"]], width=1.4)
        ax.plot(own[rate], place, _marker(row), color=_OF_RULE[row["rule"]], ms=5, clip_on=False)
    ax.set_ylim(len(found.variants) + 0.6, -0.7)
    ax.tick_params(axis="y", length=0)


def _others(ax: Axes, found: Reinforced, shown: pd.DataFrame, rate: str) -> None:
    """Draw, for each prompt, the interval of all variants together, and the median of each."""
    i = RATES.index(rate)
    after = {
        found.stages.names[p]: (found.stages.after[at, i], found.stages.errors[at, i])
        for at, p in enumerate(found.stages.targets)
    }
    for place, (_, row) in enumerate(shown.iterrows()):
        prompt = str(row["prompt"])
        _interval(ax, row, rate, y=place - 0.36, colour=MUTED, width=5.0, alpha=0.45)
        ax.plot(row[rate], place - 0.36, "|", color=_MEASURED, ms=9, mew=2, clip_on=False)
        was = row[f"{rate}_before"]
        ax.plot(was, place - 0.36, "o", mfc="white", mec=_MEASURED, ms=6, clip_on=False)
        if prompt in after:
            middle, error = after[prompt]
            ax.errorbar(middle, place - 0.36, xerr=1.96 * error, fmt="*", color=_MEASURED, ms=9)
        for j, (_, variant) in enumerate(found.variants.iterrows()):
            own = _of_variant(found.by_variant, variant).set_index("prompt").loc[prompt]
            ax.plot(
                own[rate], place - 0.18 + _APART * j, _marker(variant),
                color=_OF_RULE[variant["rule"]], ms=4, clip_on=False,
            )  # fmt: skip
        if place:
            ax.axhline(place - 0.55, color=MUTED, lw=0.4, alpha=0.5)
    ax.set_ylim(len(shown) - 0.45, -0.6)
    ax.tick_params(axis="y", length=0)


def _name_lines(axes: np.ndarray, found: Reinforced, shown: pd.DataFrame) -> None:
    names = [
        f"{variant_name(row)}  (χ² {row['chi2']:.1f}, {row['parameters']} par.)"
        for _, row in found.variants.iterrows()
    ]
    trained = f"{found.stages.trained} (trained on): measured"
    axes[0, 0].set_yticks(range(len(names) + 1), [trained, *names], fontsize=8)
    prompts = [textwrap.shorten(str(name), 64, placeholder=" ...") for name in shown["prompt"]]
    wrapped = [textwrap.fill(name, 34) for name in prompts]
    axes[1, 0].set_yticks(range(len(wrapped)), wrapped, fontsize=8)


def _handles() -> list[Line2D]:
    return [
        _key("*", _MEASURED, "measured after, with 95 %", size=9),
        _key("o", _MEASURED, "measured before", face="white"),
        Line2D([], [], color=MUTED, lw=5, alpha=0.45, label="predicted, 95 % of all variants"),
        _key("|", _MEASURED, "its median", size=9),
        *(
            Line2D([], [], color=colour, lw=3, label=rule.replace("_", " "))
            for rule, colour in _OF_RULE.items()
        ),
        *(_key(marker, MUTED, _WITH[has]) for has, marker in _MARKERS.items()),
    ]


def _key(marker: str, colour: str, label: str, *, size: float = 6, face: str = "") -> Line2D:
    return Line2D(
        [], [], linestyle="none", marker=marker, color=colour, mfc=face or colour, ms=size,
        mew=2 if marker == "|" else 1, label=label,
    )  # fmt: skip


def _interval(
    ax: Axes,
    row: pd.Series,
    rate: str,
    *,
    y: float,
    colour: str,
    width: float,
    alpha: float = 1.0,
) -> None:
    ends = [row[f"{rate}_low"], row[f"{rate}_high"]]
    ax.plot(ends, [y, y], color=colour, lw=width, alpha=alpha, solid_capstyle="butt")


def _of_variant(frame: pd.DataFrame, variant: pd.Series) -> pd.DataFrame:
    own = frame
    for name in VARIANT:
        own = own[own[name] == variant[name]]
    return own


def _marker(variant: pd.Series) -> str:
    return _MARKERS[bool(variant["spreads"]), bool(variant["leaks"])]


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
