"""The figure of the phase diagram."""

from __future__ import annotations

from matplotlib.figure import Figure

from sim.analysis.phase_diagram import PhaseDiagram
from sim.plots.phase_diagram import phase_diagram


def figures(diagram: PhaseDiagram) -> dict[str, Figure]:
    """Return the map of regimes, with the contours of one number."""
    return {"phase_diagram": phase_diagram(diagram)}
