"""What the pictures of the study of spread share: a title, and below it what is drawn."""

from __future__ import annotations

from matplotlib.figure import Figure

from sim.plots.style import MUTED


def head(figure: Figure, title: str, note: str) -> None:
    """Write a title in bold above a figure, and a note below it."""
    figure.suptitle(f"{title}\n", x=0.01, ha="left", fontweight="bold", fontsize=10)
    figure.text(0.01, 1.0, f"\n\n{note}", va="top", color=MUTED, fontsize=8)
