"""The figure of the phase plane, beside emergence curves."""

from __future__ import annotations

from matplotlib.figure import Figure

from sim.plots.phase_plane import phase_plane

from .study import Results


def figures(results: Results) -> dict[str, Figure]:
    """Return the plane of one value and one habit."""
    return {"phase_plane": phase_plane(results.plane, results.curves)}
