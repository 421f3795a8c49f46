"""The figure of the bifurcation diagram."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from sim.plots.bifurcation import bifurcation

from .study import Results


def figures(results: Results) -> dict[str, Figure]:
    """Return the diagram; no figure if there is no branch."""
    if not results.diagram.branches:
        return {}
    note = (
        free_note(results.free)
        if results.held_parameters
        else "Everything that training moves is free to move"
    )
    figure = bifurcation(results.diagram, results.variable, below=results.below, note=note)
    return {"bifurcation": figure}


def free_note(free: Sequence[str]) -> str:
    """Return the note on the parameters that are free to move, by kind."""
    kinds: dict[str, list[str]] = {}
    for parameter in free:
        kind, _, name = parameter.replace("_", " ").partition(".")
        kinds.setdefault(kind, []).append(name)
    labels = [
        kind if names == [""] else f"{kind} {', '.join(names)}" for kind, names in kinds.items()
    ]
    return f"Free to move: {'; '.join(labels)}. All else is held where it starts"
