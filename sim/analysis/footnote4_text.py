"""What the study of footnote 4 found, in words that its numbers choose."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim.analysis.footnote4 import GROWN, SHRUNK, Outcome
from sim.utils.format import join_words, percent

#: A share of agents that is as good as none, and one that is worth telling.
_HARDLY, _SOME = 0.05, 0.1


def paragraph(outcomes: Sequence[Outcome]) -> str:
    """Return one paragraph; every clause follows from a number of the outcomes."""
    return " ".join(sentences(outcomes))


def sentences(outcomes: Sequence[Outcome]) -> list[str]:
    """Return what came out in sentences: in all; the first case, those like it, and the others."""
    first, others = outcomes[0], outcomes[1:]
    gone = [o for o in others if _is_gone(o)]
    in_part = [o for o in others if o.verdict == "transient" and o not in gone]
    lasting = [o for o in others if o.verdict != "transient"]
    found = [
        _whole(outcomes),
        _first(first),
        _alike(gone, first),
        *(f"With {o.case.label}, {_lasting(o)}{_held(o)}." for o in [*in_part, *lasting]),
        _otherwise(outcomes),
    ]
    return [sentence for sentence in found if sentence]


def _is_gone(one: Outcome) -> bool:
    return one.verdict == "transient" and bool(one.undecided[-1] < _HARDLY)


def _first(one: Outcome) -> str:
    fates = one.fates
    return (
        f"Agents that start undecided in {one.context.replace('_', ' ')} ({one.case.label}): "
        f"{_lasting(one)}{_held(one)}; after {one.steps[-1]:,} steps "
        f"{percent(fates['always'])} game always, {percent(fates['unaware'])} would but are not "
        f"always aware, and {percent(fates['against'])} have decided not to.{_lean(one)}"
    )


def _lean(one: Outcome) -> str:
    """Say to which side agents went first."""
    if np.isnan(one.to_gaming):
        return ""
    who = "All" if one.to_gaming == 1.0 else percent(one.to_gaming)
    return f" {who} of those that decided went to gaming first."


def _alike(outcomes: Sequence[Outcome], first: Outcome) -> str:
    if not outcomes:
        return ""
    told = join_words([f"{o.case.label} (half by step {o.half_life:,.0f})" for o in outcomes])
    so = "Hardly any are left either" if _is_gone(first) else "Hardly any are left"
    return f"{so} with {told}."


def _lasting(one: Outcome) -> str:
    last = percent(one.undecided[-1])
    if one.verdict != "transient":
        return f"{last} are undecided at the end"
    text = f"half have decided by step {one.half_life:,.0f}, and {last} are undecided at the end"
    if one.undecided[-1] >= _HARDLY and one.returned >= _SOME:
        who = "all" if one.returned == 1.0 else percent(one.returned)
        text += f" ({who} of them had decided in between, and came back)"
    return text


def _held(one: Outcome) -> str:
    """Say how those that are left are held, if there are enough of them to tell."""
    if np.isnan(one.left_of_nudge):
        return ""
    left = f"{one.left_of_nudge:.2f} of a nudge at half-time"
    if one.left_of_nudge < SHRUNK:
        text = f", in a balance that restores itself ({left} is left)"
    elif one.left_of_nudge <= GROWN:
        text = f", where nothing holds them and nothing drives them away ({left} is left)"
    else:
        text = f", from where a nudge drives them away ({left} is left)"
    looked_at = sum(one.fixed.values())
    if looked_at:
        stable = one.fixed.get("stable", 0)
        text += f"; {stable} of the {looked_at} looked at are at a stable fixed point"
    return text


def _whole(outcomes: Sequence[Outcome]) -> str:
    gone = [one for one in outcomes if _is_gone(one)]
    lasting = [one for one in outcomes if one.verdict != "transient"]
    in_part = [one for one in outcomes if one.verdict == "transient" and one not in gone]
    parts = [f"in {len(gone)} hardly any agent is left undecided, as footnote 4 expects"]
    if in_part:
        labels = join_words([one.case.label for one in in_part])
        parts.append(f"in {len(in_part)} fewer than half are ({labels})")
    if lasting:
        text = f"in {len(lasting)} most are"
        if all(_is_anchored(one) for one in lasting):
            text += ", all of them with a strong anchor, which pulls agents to where they started"
        parts.append(text)
    return f"Of {len(outcomes)} cases, {'; '.join(parts)}."


def _otherwise(outcomes: Sequence[Outcome]) -> str:
    """Say who games some of the time without being undecided."""
    parts = []
    unaware = [one for one in outcomes if one.fates["unaware"] >= _SOME]
    if unaware:
        parts.append(
            f"with {join_words([one.case.label for one in unaware])}, at least {percent(_SOME)} of "
            "agents have decided to game and are not always aware of training"
        )
    for one in outcomes:
        if one.swinging >= _SOME:
            who = "all agents" if one.swinging == 1.0 else f"{percent(one.swinging)} of agents"
            parts.append(f"with {one.case.label}, {who} game by turns")
    told = "; ".join(parts)
    return f"There is gaming some of the time without being undecided: {told}." if parts else ""


def _is_anchored(one: Outcome) -> bool:
    return float(str(one.case.settings.get("training.anchor", 0.0))) > 0.0
