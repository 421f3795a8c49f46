"""The emergence figure: gaming rate of each context over training, values, and value drift."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sim.analysis.summary import BAND, in_few_agents, summarise
from sim.dynamics.measures import GAMED
from sim.plots.style import (
    COLOURS,
    DASHES,
    MUTED,
    EndLabel,
    house_style,
    label_ends,
    literal,
    spaced,
)
from sim.result import Result
from sim.utils.format import with_minus


def emergence(result: Result, *, unaware: Result | None = None) -> Figure:
    """Draw when and where gaming emerges.

    Lines are medians over agents, bands reach from the 10th to the 90th percentile. Dashed lines
    are contexts that are not trained on. A dot marks the median onset, where at least half of the
    agents have one.

    Args:
        result: A run.
        unaware: The same agents, had training never come to mind: their values are dotted, with
            their ends where these differ by more than 0.1.

    Returns:
        A figure; `figure.savefig(path)` writes it.
    """
    with house_style():
        figure = Figure(figsize=(8.6, 6.4), layout="constrained")
        top, below = figure.subfigures(2, 1, height_ratios=[1.45, 1.0], squeeze=False)[:, 0]
        rates = top.subplots()
        strengths, drift = below.subplots(1, 2, width_ratios=[1.6, 1.0])
        _draw_rates(rates, result)
        _draw_values(strengths, result, unaware)
        _draw_drift(drift, result)
        return figure


def _draw_rates(ax: Axes, result: Result) -> None:
    steps = result.data["step"].values
    colours = _context_colours(result)
    onsets = {name: context["onset"] for name, context in summarise(result)["contexts"].items()}
    labels = []
    for index, name in enumerate(colours):
        rate = result.gaming_rate.sel(context=name)
        trained = rate["kind"].item() == "training"
        dashes = () if trained else DASHES[1 + index % (len(DASHES) - 1)]
        median = _draw_band(ax, steps, rate, colours[name], dashes=dashes)
        text = spaced(name) if trained else f"{spaced(name)} (not trained)"
        if not in_few_agents(onsets[name]):
            at = onsets[name]["median"]
            height = float(np.interp(at, steps, median))
            ax.plot([at], [height], "o", color=colours[name], markeredgecolor="white", zorder=4)
            text += f", onset {at:.0f}"
        labels.append(EndLabel(text, median[-1], colours[name]))
    ax.axhline(GAMED, color=MUTED, lw=0.6, dashes=(1, 3))
    ax.set(ylim=(-0.02, 1.02), xlim=(steps[0], steps[-1]), ylabel="gaming rate")
    ax.set_xlabel("training step")
    run = result.provenance
    count = run["agents"]
    agents = "1 agent" if count == 1 else f"median and 10–90 % of {count} agents"
    ax.set_title(f"{literal(run['scenario']['name'])}: where training-gaming emerges ({agents})")
    _mark_phases(ax, result)
    label_ends(ax, labels, line_height=0.055)


def _draw_values(ax: Axes, result: Result, unaware: Result | None) -> None:
    steps = result.data["step"].values
    labels = []
    for index, name in enumerate(result.data["value"].values):
        colour = COLOURS[index % len(COLOURS)]
        median = _draw_band(ax, steps, result.values.sel(value=name), colour)
        text = with_minus(f"{name} {median[0]:.2f} → {median[-1]:.2f}")
        labels.append(EndLabel(text, median[-1], colour))
        if unaware is not None:
            ends = unaware.values.sel(value=name).median("agent").values
            ax.plot(steps, ends, color=colour, dashes=(1, 2), lw=1.4)
            if abs(ends[-1] - median[-1]) > 0.1:
                text = with_minus(f"if unaware {ends[-1]:.2f}")
                labels.append(EndLabel(text, ends[-1], colour))
    ax.axhline(0.0, color=MUTED, lw=0.6)
    ax.set(xlim=(steps[0], steps[-1]), xlabel="training step", ylabel="strength")
    ax.set_title("What became of the values")
    label_ends(ax, labels, line_height=0.1)


def _draw_drift(ax: Axes, result: Result) -> None:
    steps = result.data["step"].values
    median = _draw_band(ax, steps, result.value_drift, COLOURS[2])
    ax.set(xlim=(steps[0], steps[-1]), xlabel="training step", ylabel="distance")
    ax.set_ylim(bottom=0.0)
    ax.set_title("Value drift")
    label_ends(ax, [EndLabel(f"{median[-1]:.2f}", median[-1], COLOURS[2])])


def _draw_band(
    ax: Axes,
    steps: np.ndarray,
    over_agents: xr.DataArray,
    colour: str,
    *,
    dashes: tuple[float, ...] = (),
) -> np.ndarray:
    low, median, high = over_agents.quantile(BAND, dim="agent").values
    ax.fill_between(steps, low, high, color=colour, alpha=0.15, lw=0)
    ax.plot(steps, median, color=colour, dashes=dashes)
    return np.asarray(median)


def _context_colours(result: Result) -> dict[str, str]:
    """Return a colour for each context; a twin has that of the context it is the twin of."""
    contexts = result.provenance["scenario"]["contexts"]
    twin_of = {context["twin"]: name for name, context in contexts.items() if context["twin"]}
    originals = [name for name in contexts if name not in twin_of]
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(originals)}
    return {name: colours[twin_of.get(name, name)] for name in contexts}


def _mark_phases(ax: Axes, result: Result) -> None:
    phases = result.data["phase"].values
    steps = result.data["step"].values
    changes = [0, *(np.flatnonzero(phases[1:] != phases[:-1]) + 1)]
    if len(changes) < 2:
        return
    for index in changes:
        ax.axvline(steps[index], color=MUTED, lw=0.6)
        ax.annotate(
            literal(str(phases[index])),
            (steps[index], 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(4, -4),
            textcoords="offset points",
            va="top",
            color=MUTED,
            fontsize=8,
        )
