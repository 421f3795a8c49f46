"""The picture of who wins, value or training: the study of spread, its part `race`."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from experiments.spread.study import MOVED, OUTCOMES, RACE_CREDITS
from sim.analysis.context_roles import ContextRoles
from sim.plots.style import MUTED, head, house_style

#: Value kept: cold; lost: warm. Gaming: dark.
_COLOURS = ("#2F6C9E", "#BBD6E8", "#A63603", "#FBD9B5")


def race_figure(
    runs: pd.DataFrame,
    edges: pd.DataFrame,
    reversals: pd.DataFrame,
    *,
    cast: ContextRoles,
    name: str,
    share: float,
    usual: dict[str, float],
) -> Figure:
    """Draw what became of value and gaming, by awareness and by ratios of learning rates.

    Args:
        runs: `experiments.spread.race.measure_race`.
        edges: `experiments.spread.race.boundary_table`: where the value is kept.
        reversals: The same, where its sign is kept.
        cast: Which part each context plays.
        name: The scenario.
        share: Below this share of its start, a value is lost.
        usual: The ratio that the config has, by what is moved.
    """
    with house_style():
        figure = Figure(figsize=(11.4, 7.0), layout="constrained")
        axes = figure.subplots(len(RACE_CREDITS), len(MOVED), sharex=True, sharey=True)
        colours = ListedColormap(_COLOURS)
        norm = BoundaryNorm(np.arange(len(OUTCOMES) + 1) - 0.5, len(OUTCOMES))
        drawn: set[int] = set()
        shown = [(credit, moved) for credit in reversed(RACE_CREDITS) for moved in MOVED]
        for ax, (credit, moved) in zip(axes.flat, shown, strict=True):
            here, line, turned = (
                frame[(frame["moved"] == moved) & (frame["motive_credit"] == credit)]
                for frame in (runs, edges, reversals)
            )
            place = here["outcome"].map({o: i for i, o in enumerate(OUTCOMES)})
            most = (
                here.assign(place=place)
                .groupby(["ratio", "awareness"])["place"]
                .agg(lambda found: found.mode().iat[0])
                .unstack("awareness")
            )
            drawn |= set(most.stack())
            ax.pcolormesh(
                most.columns, most.index, most, cmap=colours, norm=norm, shading="nearest"
            )
            for end in ("low", "high"):
                ax.plot(line[end], line["ratio"], color="black", lw=0.7, ls=":")
            ax.plot(line["awareness"], line["ratio"], color="black", lw=2.0)
            ax.plot(turned["awareness"], turned["ratio"], color="black", lw=1.2, ls=(0, (4, 2)))
            ax.axhline(usual[moved], color=MUTED, lw=0.7, ls=":")
            ax.annotate(
                "this config",
                (0.99, usual[moved]),
                xycoords=("axes fraction", "data"),
                xytext=(0, 2),
                textcoords="offset points",
                ha="right",
                color="white",
                fontsize=7.5,
            )
            ax.set(
                yscale="log",
                title=f"{moved} learns faster upwards; motive credit {credit:g}",
                xlim=(here["awareness"].min(), here["awareness"].max()),
                ylim=(here["ratio"].min(), here["ratio"].max()),
            )
        for ax in axes[-1]:
            ax.set_xlabel("awareness at the start (logit)")
        for ax in axes[:, 0]:
            ax.set_ylabel("learning rate, as a multiple of the values'")
        value = cast.protected
        words = {
            "kept, gaming": f"{value} kept, by gaming",
            "kept, no gaming": f"{value} kept, without gaming",
            "lost, gaming": f"{value} lost, and gaming goes on",
            "lost, no gaming": f"{value} lost, no gaming",
        }
        handles: list[Patch | Line2D] = [
            Patch(facecolor=colour, label=words[outcome])
            for place, (outcome, colour) in enumerate(zip(OUTCOMES, _COLOURS, strict=True))
            if place in drawn
        ]
        handles += [
            Line2D(
                [], [], color="black", lw=2.0,
                label=f"strength at {100 * share:.0f} % of its start\n(dotted: range over seeds)",
            ),
            Line2D(
                [], [], color="black", lw=1.2, ls=(0, (4, 2)),
                label="strength at 0: reversed to the left",
            ),
        ]  # fmt: skip
        figure.legend(handles=handles, loc="outside right upper", frameon=False, labelspacing=0.9)
        head(
            figure,
            f"{name}: is {value} overwritten before gaming sets in?",
            f"Most frequent outcome over seeds at the end of training, in {cast.contested}. "
            f"Lost: below {100 * share:.0f} % of its strength at the start.",
        )
        return figure
