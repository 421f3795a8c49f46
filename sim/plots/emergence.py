"""The emergence figure: gaming rate of each context over training, values, and value drift."""

from __future__ import annotations

import textwrap

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
    changes_text,
    cut,
    cut_apart,
    house_style,
    label_ends,
    literal,
    mark_phases,
    spaced,
)
from sim.result import Result
from sim.utils.format import with_minus

#: Inches of the axes of both rows at least, of what is around them, and of a line of labels.
_HEIGHTS, _AROUND = (2.9, 1.9), 0.8
_LINE = 0.17


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
    counts = (result.data.sizes["context"], result.data.sizes["value"] * (2 if unaware else 1))
    with house_style():
        heights = np.maximum(_HEIGHTS, _LINE * np.array(counts))
        figure = Figure(figsize=(8.6, float(sum(heights)) + 2 * _AROUND), layout="constrained")
        ratios = list(heights + _AROUND)
        top, below = figure.subfigures(2, 1, height_ratios=ratios, squeeze=False)[:, 0]
        rates = top.subplots()
        strengths, drift = below.subplots(1, 2, width_ratios=[1.6, 1.0])
        _draw_rates(rates, result, _LINE / heights[0])
        _draw_values(strengths, result, unaware, _LINE / heights[1])
        _draw_drift(drift, result)
        return figure


def _draw_rates(ax: Axes, result: Result, line_height: float) -> None:
    steps = result.data["step"].values
    colours = _context_colours(result)
    onsets = {name: context["onset"] for name, context in summarise(result)["contexts"].items()}
    labels = []
    names = cut_apart([spaced(name) for name in colours], 32)
    for index, (name, text) in enumerate(zip(colours, names, strict=True)):
        rate = result.gaming_rate.sel(context=name)
        trained = rate["kind"].item() == "training"
        dashes = () if trained else DASHES[1 + index % (len(DASHES) - 1)]
        median = _draw_band(ax, steps, rate, colours[name], dashes=dashes)
        text += "" if trained else " (not trained)"
        if not in_few_agents(onsets[name]):
            at = onsets[name]["median"]
            height = float(np.interp(at, steps, median))
            ax.plot([at], [height], "o", color=colours[name], markeredgecolor="white", zorder=4)
            text += f", onset {at:.0f}"
        labels.append(EndLabel(text, median[-1], colours[name]))
    ax.axhline(GAMED, color=MUTED, lw=0.6, dashes=(1, 3))
    ax.set(xlabel="training step", ylabel="gaming rate", xlim=steps[[0, -1]], ylim=(-0.02, 1.02))
    run = result.provenance
    count = run["agents"]
    agents = "1 agent" if count == 1 else f"median and 10–90 % of {count} agents"
    title = f"{literal(cut(run['scenario']['name'], 40))}: where training-gaming emerges ({agents})"
    changes = textwrap.fill(literal(changes_text(run["interventions"])), 110)
    pad = 18 if len(_phases(result)) > 1 else None  # room for the names of phases
    ax.set_title("\n".join(filter(None, [textwrap.fill(title, 88), changes])), pad=pad)
    mark_phases(ax, _phases(result), names="above")
    label_ends(ax, labels, line_height=line_height)


def _draw_values(ax: Axes, result: Result, unaware: Result | None, line_height: float) -> None:
    steps = result.data["step"].values
    labels = []
    names = [str(name) for name in result.data["value"].values]
    short = cut_apart([spaced(name) for name in names], 20)
    for index, (name, text) in enumerate(zip(names, short, strict=True)):
        colour = COLOURS[index % len(COLOURS)]
        median = _draw_band(ax, steps, result.values.sel(value=name), colour)
        text = with_minus(f"{text} {median[0]:.2f} → {median[-1]:.2f}")
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
    label_ends(ax, labels, line_height=line_height)


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


def _phases(result: Result) -> list[tuple[int, str]]:
    """Return the step at which each phase starts, and its name."""
    phases, steps = result.data["phase"].values, result.data["step"].values
    starts = [0, *(np.flatnonzero(phases[1:] != phases[:-1]) + 1)]
    return [(int(steps[start]), str(phases[start])) for start in starts]
