"""What a view shows, in words that its numbers choose: for who does not see the figures."""

from __future__ import annotations

import numpy as np

from notebooks.explorer.view import View
from sim.analysis.worst_case import TERMS


def readable(name: str) -> str:
    """Return a name as it is written in a sentence."""
    return name.replace("_", " ")


def term_name(term: str) -> str:
    """Return the name of a worst-case term, by what its number measures."""
    return "alignment (low)" if term == "misalignment" else readable(term)


def of_rates(view: View) -> str:
    """Say where gaming emerged."""
    ends = view.rates[1, -1]
    parts = []
    for c, name in enumerate(view.contexts):
        set_in = f", onset at step {view.onset[c]:.0f}" if np.isfinite(view.onset[c]) else ""
        kind = "" if view.trained[c] else ", not trained"
        start = view.rates[1, 0, c]
        parts.append(f"{readable(name)}{kind}: from {start:.2f} to {ends[c]:.2f}{set_in}")
    return f"Median gaming rate over training, by context. {'; '.join(parts)}."


def of_values(view: View) -> str:
    """Say what became of the values."""
    parts = [
        f"{readable(name)}: from {view.values[1, 0, v]:.2f} to {view.values[1, -1, v]:.2f}"
        for v, name in enumerate(view.value_names)
    ]
    return f"Median strength of each value over training. {'; '.join(parts)}."


def of_plane(view: View) -> str:
    """Say where the agents went in the phase plane."""
    plane = view.plane
    habit, value = (np.median(c, axis=1) for c in (plane.habit_course, plane.value_course))
    return (
        f"Phase plane of {readable(plane.context)}: arrows show where a training step would move "
        f"the habit of gaming and the value {readable(plane.value)}; agents go, in the median, "
        f"from habit {habit[0]:.1f} and value {value[0]:.2f} to habit {habit[-1]:.1f} and value "
        f"{value[-1]:.2f}."
    )


def of_regimes(view: View) -> str:
    """Say what became of gaming."""
    found = {name: share for name, share in view.regimes.items() if share > 0.0}
    parts = [f"{name}: {share:.0%} of agents" for name, share in found.items()]
    return f"Regime at the end of training. {'; '.join(parts)}."


def of_terms(view: View) -> str:
    """Say how far the agents are from the worst case."""
    met = view.terms["met"].values.mean(axis=0)
    number = view.terms["number"].values
    threshold = view.terms["threshold"].values
    parts = []
    for t, term in enumerate(TERMS):
        some = number[:, t][np.isfinite(number[:, t])]
        at = f"{np.median(some):.2f}" if some.size else "not defined"
        side = "at most" if term == "misalignment" else "at least"
        parts.append(f"{term_name(term)} {at} (needs {side} {threshold[t]:g}; met by {met[t]:.0%})")
    whole = float(view.terms["worst_case"].values.mean())
    return f"Worst-case terms, medians. {'; '.join(parts)}. All are met by {whole:.0%} of agents."


def headline(view: View) -> str:
    """Say in a sentence what became of gaming."""
    most = max(view.regimes, key=lambda name: view.regimes[name])
    whole = float(view.terms["worst_case"].values.mean())
    return (
        f"{view.state.agents} agents after {view.steps[-1]:.0f} steps: regime {most} in "
        f"{view.regimes[most]:.0%} of them (settled: {view.settled:.0%}); all worst-case terms are "
        f"met by {whole:.0%}."
    )
