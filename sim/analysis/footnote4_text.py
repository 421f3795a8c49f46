"""What the study of footnote 4 found, in words that its numbers choose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim.analysis.footnote4 import GROWN, SHRUNK, Outcome
from sim.analysis.words import listed, percent

#: A share of agents that is as good as none, and one that is worth telling.
_HARDLY, _SOME = 0.05, 0.1


def paragraph(outcomes: Sequence[Outcome]) -> str:
    """Return one paragraph; every clause follows from a number of the outcomes."""
    first, others = outcomes[0], outcomes[1:]
    alike = [o for o in others if o.verdict == "transient" and o.undecided[-1] < _HARDLY]
    in_part = [o for o in others if o.verdict == "transient" and o not in alike]
    lasting = [o for o in others if o.verdict != "transient"]
    sentences = [
        _first(first),
        _alike(alike, first),
        *(f"With {o.case.label} {_lasting(o)}{_held(o)}." for o in in_part),
        *(f"With {o.case.label} {_lasting(o)}{_held(o)}." for o in lasting),
        _whole(outcomes),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _first(one: Outcome) -> str:
    fates = one.fates
    return (
        f"Agents that start undecided in {one.context.replace('_', ' ')} ({one.case.label}): "
        f"{_lasting(one)}{_held(one)}; after {one.steps[-1]:,} steps "
        f"{percent(fates['always'])} game always, {percent(fates['unaware'])} would but are not "
        f"always aware, and {percent(fates['never'])} hardly ever game."
    )


def _alike(outcomes: Sequence[Outcome], first: Outcome) -> str:
    if not outcomes:
        return ""
    told = listed([f"{o.case.label} (half by step {o.half_life:,.0f})" for o in outcomes])
    so = "Hardly any are left either" if first.undecided[-1] < _HARDLY else "Hardly any are left"
    return f"{so} with {told}."


def _lasting(one: Outcome) -> str:
    last = percent(one.undecided[-1])
    if one.verdict == "transient":
        return (
            f"half have decided by step {one.half_life:,.0f}, and {last} are undecided at the end"
        )
    return f"{last} stay undecided to the end"


def _held(one: Outcome) -> str:
    """Say how those that are left are held, if there are enough of them to tell."""
    if np.isnan(one.left_of_nudge):
        return ""
    left = f"{one.left_of_nudge:.2f} of a nudge is left"
    if one.left_of_nudge < SHRUNK:
        text = f", in a balance that restores itself ({left})"
    elif one.left_of_nudge <= GROWN:
        text = f", where nothing holds them and nothing drives them away ({left})"
    else:
        text = f", from where a nudge drives them away ({left})"
    looked_at = sum(one.fixed.values())
    if looked_at:
        stable = one.fixed.get("stable", 0)
        text += f"; {stable} of {looked_at} that were looked at end at a stable fixed point"
    return text


def _whole(outcomes: Sequence[Outcome]) -> str:
    transient = [one for one in outcomes if one.verdict == "transient"]
    lasting = [one for one in outcomes if one.verdict != "transient"]
    text = (
        f"So in {len(transient)} of {len(outcomes)} cases being undecided is no equilibrium as "
        "training continues, as footnote 4 expects"
    )
    if lasting:
        text += f", and in {len(lasting)} it lasts"
        if all(_is_anchored(one) for one in lasting):
            text += ": those in which a strong anchor pulls agents back to where they started"
    unaware = [one for one in outcomes if one.fates["unaware"] >= _SOME]
    if unaware:
        text += (
            ". Gaming some of the time for another reason, that training does not always come to "
            f"mind, is left to at least {percent(_SOME)} of agents with "
            f"{listed([one.case.label for one in unaware])}"
        )
    return f"{text}."


def _is_anchored(one: Outcome) -> bool:
    return float(str(one.case.settings.get("training.anchor", 0.0))) > 0.0
