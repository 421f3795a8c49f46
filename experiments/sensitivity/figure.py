"""The figures of which assumptions matter: indices and ranks side by side; Morris' plane."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sim.analysis.sensitivity import Indices, Method
from sim.dynamics.state import Array
from sim.plots.style import COLOURS, MUTED, house_style, title_of
from sim.specs.overrides import Specs

from .compare import TOP, Comparison
from .labels import MEASURE, label, title
from .outcomes import GROUPS
from .study import Results

#: Which groups of outcomes stand on which side of the ranks.
_LOCAL_GROUPS, _WORST_GROUPS = ("gaming", "values"), ("terms", "worst case")
_BOTH, _LOCAL_ONLY, _WORST_ONLY = COLOURS[2], COLOURS[0], COLOURS[1]
#: So many inputs have their name in Morris' plane.
_LABELLED = 6


def figures(results: Mapping[Method, Results], specs: Specs) -> dict[str, Figure]:
    """Return the comparison by the best method, and the screening where there is one."""
    name = str(specs.scenario.name)
    best = results.get("sobol") or results["morris"]
    pictures = {"sensitivity": sensitivity_figure(best.indices, best.comparison, name=name)}
    if "morris" in results:
        screening = results["morris"]
        pictures["morris"] = morris_figure(screening.indices, screening.comparison, name=name)
    return pictures


def sensitivity_figure(indices: Indices, compared: Comparison, *, name: str) -> Figure:
    """Draw the main index of every input and outcome, and how ranks differ between the groups.

    Args:
        indices: Indices of all outcomes of `experiments.sensitivity.outcomes`.
        compared: Training-gaming and the worst case.
        name: Of the scenario.
    """
    frame = compared.frame
    with house_style():
        figure = Figure(figsize=(13.0, 2.9 + 0.27 * len(frame)), layout="constrained")
        columns = [
            sum(len(GROUPS[group]) for group in side) for side in (_LOCAL_GROUPS, _WORST_GROUPS)
        ]
        local, between, worst = figure.subplots(
            1, 3, gridspec_kw={"width_ratios": [columns[0], 3.2, columns[1]]}
        )
        colours = dict(zip(frame["input"], map(_colour, frame.to_dict("records")), strict=True))
        _heat(local, indices, list(frame.sort_values("left_rank")["input"]), _LOCAL_GROUPS, colours)
        _heat(
            worst, indices, list(frame.sort_values("right_rank")["input"]), _WORST_GROUPS, colours
        )
        worst.yaxis.tick_right()
        _slopes(between, compared, colours)
        handles = [
            Line2D([], [], color=_BOTH, lw=2, label=f"top {TOP} of both"),
            Line2D([], [], color=_LOCAL_ONLY, lw=2, label=f"top {TOP} for training-gaming only"),
            Line2D([], [], color=_WORST_ONLY, lw=2, label=f"top {TOP} for the worst case only"),
            Line2D([], [], color=MUTED, lw=0.6, label="neither"),
        ]
        measure = MEASURE[indices.sample.method]
        meaning = (
            "the share of an outcome's variance that hangs on an assumption, by itself or with "
            "others"
            if indices.sample.method == "sobol"
            else "how far an outcome moves with an assumption, over its whole range"
        )
        figure.legend(
            handles=handles,
            loc="outside lower left",
            ncols=4,
            frameon=False,
            alignment="left",
            title=f"{measure}: {meaning}. Left, in the order of the mean over "
            f"{_joined(compared.left)}; right, over {_joined(compared.right)}. –: does not vary.",
            title_fontproperties={"size": 8},
        )
        title_of(figure, f"{name}: {title(compared)}{_correlation(compared)}")
        return figure


def morris_figure(indices: Indices, compared: Comparison, *, name: str) -> Figure:
    """Draw mu_star against sigma, a panel for each outcome that is compared.

    Args:
        indices: Morris' indices.
        compared: Which outcomes are compared.
        name: Of the scenario.
    """
    outcomes = (*compared.left, *compared.right)
    with house_style():
        figure = Figure(figsize=(11.0, 4.3 * max(1, -(-len(outcomes) // 2))), layout="constrained")
        axes = figure.subplots(max(1, -(-len(outcomes) // 2)), 2, squeeze=False)
        for ax, outcome in zip(axes.flat, outcomes, strict=False):
            _plane(ax, indices, outcome)
        for ax in list(axes.flat)[len(outcomes) :]:
            ax.set_axis_off()
        figure.supxlabel(
            "Across: mean size of the outcome's change as an assumption crosses its range, with "
            "95 % intervals.\nUp: how far that change depends on where the others stand; above the "
            "dashed line it varies more than it is large.",
            fontsize=8,
            color=MUTED,
        )
        title_of(figure, f"{name}: Morris screening. {title(compared)}")
        return figure


def _heat(
    ax: Axes,
    indices: Indices,
    inputs: Sequence[str],
    groups: Sequence[str],
    colours: dict[str, str],
) -> None:
    outcomes = [name for group in groups for name in GROUPS[group]]
    place = [indices.sample.names.index(name) for name in inputs]
    cells = np.array([_shares(indices, name)[place] for name in outcomes]).T
    ax.imshow(cells, cmap="Blues", vmin=0.0, vmax=1.2, aspect="auto")
    for (i, j), value in np.ndenumerate(cells):
        text = "–" if np.isnan(value) else f"{value + 0.0:.2f}".replace("-0.00", "0.00")
        faint = np.isnan(value) or value < 0.05
        ax.text(
            j, i, text, ha="center", va="center", fontsize=7,
            color="white" if value > 0.7 else MUTED if faint else "black",
        )  # fmt: skip
    ax.set_xticks(
        range(len(outcomes)),
        [name.replace("_", " ") for name in outcomes],
        rotation=35,
        ha="left",
        rotation_mode="anchor",
    )
    ax.xaxis.tick_top()
    ax.set_yticks(range(len(inputs)), [label(name) for name in inputs])
    for tick, name in zip(ax.get_yticklabels(), inputs, strict=True):
        tick.set_color(colours[name])
    ax.tick_params(axis="both", length=0)
    ax.tick_params(axis="x", labelcolor="black")
    ax.spines[:].set_visible(False)
    edge = -0.5
    for group in groups[:-1]:
        edge += len(GROUPS[group])
        ax.axvline(edge, color="white", lw=5)


def _shares(indices: Indices, outcome: str) -> Array:
    """Return the main index; for Morris, as a share of the outcome's largest."""
    main = indices.main(outcome)
    return main if indices.sample.method == "sobol" else main / np.nanmax(np.append(main, 1e-300))


def _slopes(ax: Axes, compared: Comparison, colours: dict[str, str]) -> None:
    frame = compared.frame
    for _, row in frame.iterrows():
        colour = colours[row["input"]]
        main = colour != MUTED
        ax.plot(
            [0, 1],
            [row["left_rank"] - 1, row["right_rank"] - 1],
            color=colour,
            lw=2.0 if main else 0.6,
            marker="o",
            ms=4 if main else 2,
            zorder=3 if main else 2,
            clip_on=False,
        )
    ax.set(xlim=(-0.05, 1.05), ylim=(len(frame) - 0.5, -0.5), yticks=[])
    ax.set_xticks([0, 1], ["training-\ngaming", "worst\ncase"], fontweight="bold")
    ax.xaxis.tick_top()
    ax.tick_params(axis="x", length=0, labelcolor="black")
    ax.spines[:].set_visible(False)


def _plane(ax: Axes, indices: Indices, outcome: str) -> None:
    frame = indices.frame[indices.frame["outcome"] == outcome]
    by_index = {index: rows.set_index("input") for index, rows in frame.groupby("index")}
    size, sigma = by_index["mu_star"], by_index["sigma"]["value"]
    across = size["value"]
    ax.errorbar(
        across,
        sigma,
        xerr=size["high"] - across,
        fmt="o",
        ms=4,
        color=COLOURS[0],
        ecolor=COLOURS[5],
        elinewidth=1.0,
    )
    most = max(float(size["high"].max()), float(sigma.max()) / 1.3)
    right = 1.3 * most
    ax.set(xlim=(0.0, right), ylim=(0.0, 1.12 * float(sigma.max())))
    end = min(right, 1.12 * float(sigma.max()))
    ax.plot([0.0, end], [0.0, end], color=MUTED, lw=0.8, ls=(0, (4, 3)), zorder=0)
    labelled = across.sort_values(ascending=False).index[:_LABELLED]
    height = 0.055 * 1.12 * float(sigma.max())
    last = np.inf
    for name in sorted(labelled, key=lambda key: -float(sigma[key])):
        at = min(float(sigma[name]), last - height)
        last = at
        ax.annotate(
            label(name),
            (float(size["high"][name]), float(sigma[name])),
            xytext=(float(size["high"][name]) + 0.025 * right, at),
            va="center",
            fontsize=8,
            bbox={"facecolor": "white", "alpha": 0.85, "lw": 0, "pad": 0.5},
            arrowprops={"arrowstyle": "-", "lw": 0.6, "color": MUTED, "relpos": (0.0, 0.5)},
        )
    ax.set(
        title=outcome.replace("_", " "),
        xlabel="mu* (in units of the outcome)",
        ylabel="sigma (in units of the outcome)",
    )


def _colour(row: Mapping[Hashable, int]) -> str:
    is_local, is_worst = row["left_rank"] <= TOP, row["right_rank"] <= TOP
    if is_local and is_worst:
        return _BOTH
    return _LOCAL_ONLY if is_local else _WORST_ONLY if is_worst else MUTED


def _joined(names: Sequence[str]) -> str:
    return " and ".join(name.replace("_", " ") for name in names) or "nothing"


def _correlation(compared: Comparison) -> str:
    if np.isnan(compared.rank_correlation):
        return ""
    text = f"; rank correlation {compared.rank_correlation:.2f}"
    if not np.isnan(compared.rank_low):
        text += f" [{compared.rank_low:.2f}, {compared.rank_high:.2f}]"
    return text.replace("-", "−")
