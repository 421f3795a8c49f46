"""The picture of training on one prompt: what fits, and what becomes of the other prompts."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from experiments.calibration.measurements import RATES
from experiments.calibration.reinforced_predict import VARIANT, Reinforced, variant_name
from sim.plots.style import COLOURS, MUTED, house_style, title_of

#: Of rates, for readers.
RATE_NAMES = dict(
    zip(RATES, ("faking", "refusals in training", "refusals unmonitored"), strict=True)
)
#: More prompts than these are left to the table.
MOST = 8
_OF_RULE = {"policy_gradient": COLOURS[0], "replicator": COLOURS[1]}
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
