"""What the study of spread found, in words that its numbers choose.

Every sentence is chosen by a rule from measured numbers: where the numbers differ, so does what is
said, and what was not measured is not said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.spread.study import RULE_NAMES, RULES
from sim.dynamics.measures import GAMED
from sim.utils.format import join_words, percent, shown

#: A decision at least so sure no longer teaches the habit much: the gate's slope is d (1 − d).
_SURE = 0.95


def reach_paragraph(numbers: Mapping[str, Any]) -> str:
    """Say where gaming reached, from which spread, and where it did not, why."""
    said = [f"Gaming pays in {join_words(numbers['paying'])}."]
    for rule in RULES:
        cases = [case for case in numbers["cases"] if case["rule"] == rule]
        nowhere = [case for case in cases if not _reached(case)]
        if nowhere:
            said += _nowhere(nowhere)
        said += [_somewhere(case) for case in cases if _reached(case)]
    return " ".join(said)


def _length(case: Mapping[str, Any]) -> str:
    """Say how long training lasted, and how fast habit learnt if not as configured."""
    told = f"{case['steps']:,} steps"
    faster = case["faster"]
    return told if faster == 1.0 else f"{told} with habit learning {faster:g} times as fast"


def _reached(case: Mapping[str, Any]) -> list[str]:
    """Return the contexts to which gaming gets, at whatever similarity."""
    return [name for name, c in case["contexts"].items() if c["least_similarity"] is not None]


def _nowhere(cases: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say how far from gaming a context stays that it does not reach, and what is missing."""
    last = cases[-1]
    names = list(last["contexts"])
    nearest = max(names, key=lambda name: max(c["contexts"][name]["most_gaming"] for c in cases))
    most = max(case["contexts"][nearest]["most_gaming"] for case in cases)
    lengths = join_words([_length(case) for case in cases], "or")
    passing = most >= GAMED
    what = "it does not stay, up to full spread, in any of" if passing else "it reaches none of"
    said = [
        f"By the {RULE_NAMES[last['rule']]}, in {lengths}, {what} {join_words(names)}, at any "
        f"similarity that was tried: the highest median gaming rate is {most:.2g}, in {nearest}."
    ]
    for name in names:
        c = last["contexts"][name]
        said.append(
            f"In {name}, full spread takes the habit from {shown(c['habit_without'])} to "
            f"{shown(c['habit'])} in {_length(last)}; "
            + (
                f"it would have to be {shown(c['needed'])}, as the incentive adds "
                f"{shown(c['pull'])}."
                if c["needed"] is not None
                else "no habit would do, as training comes to mind too rarely."
            )
        )
    paying = last["paying"]
    if paying["decision"] >= _SURE:
        said.append(
            f"There is little habit to hand on: where gaming pays it is decided on by incentive "
            f"(d = {paying['decision']:.3f} in {paying['context']}, habit "
            f"{shown(paying['habit'])}), and what a habit learns is in proportion to d (1 − d)."
        )
    return said


def _somewhere(case: Mapping[str, Any]) -> str:
    """Say from which spread on gaming reaches contexts, and how similar they must be."""
    names = _reached(case)
    parts = []
    for name in names:
        c = case["contexts"][name]
        if c["threshold"] is None:
            parts.append(f"{name} (not at full similarity)")
            continue
        lows = (c["threshold_low"], c["threshold_high"])
        seeds = (
            f"{shown(lows[0], 2)} to {shown(lows[1], 2)}"
            if None not in lows
            else "not in all seeds"
        )
        parts.append(f"{name} from {shown(c['threshold'], 2)} ({seeds})")
    least = {case["contexts"][name]["least_similarity"] for name in names}
    away = [name for name in case["contexts"] if name not in names]
    said = (
        f"By the {RULE_NAMES[case['rule']]}, in {_length(case)}, it gets, at full similarity, to "
        f"these from a spread of (range over seeds): {', '.join(parts)}; at a similarity below "
        f"{shown(min(least), 2)}, of those tried, to none. Where it pays the habit ends at "
        f"{shown(case['paying']['habit'])} at full spread and similarity; the regime goes from "
        f"{case['regime_without']} without spread to {case['regime']}."
    )
    return said + (f" It does not get to {join_words(away)}." if away else "")


def race_paragraph(numbers: Mapping[str, Any]) -> str:
    """Say where the boundary of the race runs, and which learning rate moves it."""
    value = numbers["value"]
    said = [
        f"The race is over {value}, in {numbers['context']}; it is kept if its strength ends at "
        f"{100 * numbers['share']:.0f} % of its start or above. At the start, gaming is decided on "
        f"with d = {numbers['decision_start']:.2f} there, once training comes to mind."
    ]
    for case in sorted(numbers["cases"], key=lambda case: -case["motive_credit"]):
        moved = case["moved"]
        span = f"{case['ratio_low']:,.6g} to {case['ratio_high']:,.6g} times"
        said.append(
            f"With motive credit {case['motive_credit']:g} and {moved} learning {span} as fast as "
            + (
                f"values, it is kept from an awareness of {shown(case['boundary_low'])} at the "
                f"lowest ratio and {shown(case['boundary_high'])} at the highest."
                if None not in (case["boundary_low"], case["boundary_high"])
                else f"values, {percent(case['found'])} of rows have a boundary between "
                f"awarenesses of {shown(numbers['awareness_low'])} and "
                f"{shown(numbers['awareness_high'])}, so it is not followed from end to end."
            )
        )
        said.append(_moves(moved, case))
        shares = case["outcomes"]
        said.append(
            f"Of these runs, {percent(shares['kept, gaming'])} keep it and game, "
            f"{percent(shares['kept, no gaming'])} keep it without, "
            f"{percent(shares['lost, gaming'])} lose it and game, "
            f"{percent(shares['lost, no gaming'])} lose it and do not."
        )
    unsettled = max(case["moving"] for case in numbers["cases"])
    if unsettled > 0.01:
        said.append(f"In up to {percent(unsettled)} of them the gaming rate is still moving.")
    return " ".join(said)


def _moves(moved: str, case: Mapping[str, Any]) -> str:
    """Say how far, and which way, a learning rate moves the boundary."""
    slope = case["slope_upper"]
    if slope is None:
        return "Too few seeds have a boundary in three rows to say how it moves."
    interval = f"[{shown(slope['low'], 2)}, {shown(slope['high'], 2)}]"
    told = f"by {shown(slope['value'], 2)} logits per e-fold ({interval}, upper half of the ratios)"
    if slope["high"] < 0.0:
        what = f"Faster {moved} saves the value at lower awareness: the boundary moves {told}."
    elif slope["low"] > 0.0:
        what = f"Faster {moved} does not save it: the boundary moves up, {told}."
    else:
        what = f"Whether faster {moved} moves the boundary cannot be told: {told}."
    lower = case["slope_lower"]
    if lower is not None:
        what += (
            f" In the lower half it is {shown(lower['value'], 2)} "
            f"[{shown(lower['low'], 2)}, {shown(lower['high'], 2)}]."
        )
    turned = case["slope_reversed_upper"]
    if turned is not None:
        what += (
            f" Where the value keeps its sign, it is {shown(turned['value'], 2)} "
            f"[{shown(turned['low'], 2)}, {shown(turned['high'], 2)}] in the upper half."
        )
    if moved == "awareness":
        near = slope["low"] <= -1.0 <= slope["high"]
        what += (
            f" Awareness that has only itself to feed on would give −1, which is "
            f"{'within' if near else 'outside'} the interval."
        )
    return what


def outlive_paragraph(numbers: Mapping[str, Any]) -> str:
    """Say how often gaming outlives the value, for how long, where, and what keeps it up."""
    value, context = numbers["value"], numbers["context"]
    said = [
        f"A value is lost below {100 * numbers['share']:.0f} % of its start; shares are of the "
        "grid of motive credit, leak, ratio and awareness."
    ]
    for rule, case in numbers["cases"].items():
        by = f"By the {RULE_NAMES[rule]}"
        if case["lost"] == 0:
            said.append(f"{by}, {value} is lost in none of {case['runs']:,} runs.")
            continue
        if case["outlived"] == 0:
            said.append(
                f"{by}, {value} is lost in {case['lost']:,} of {case['runs']:,} runs, and in none "
                f"of them does gaming in {context} outlive it."
            )
            continue
        rest = case["outlived"] - case["by_habit"]
        said.append(
            f"{by}, {value} is lost in {case['lost']:,} of {case['runs']:,} runs, and in "
            f"{case['outlived']:,} of these ({percent(case['outlived'] / case['lost'])}) "
            f"{context} is still gamed at the end; in {case['reversed']:,} the value is reversed."
        )
        if case["by_habit"]:
            said.append(
                f"In {case['by_habit']:,} gaming is kept up by habit alone, without incentive "
                f"(medians: habit {shown(case['habit_of_these'])} against "
                f"{shown(case['pull_of_these'])} from the incentive)."
            )
        if rest:
            said.append(
                f"In {rest:,} the incentive is still positive "
                f"({shown(case['pull_of_the_others'])}): what is left of the value (median "
                f"{100 * case['strength_of_the_others']:.0f} % of its start) is enough to be worth "
                "protecting."
            )
        said += _how_long(case)
        axis, levels = max(case["by"].items(), key=lambda one: _range_of(one[1]))
        low, high = (f(levels, key=lambda level: levels[level]) for f in (min, max))
        said.append(
            f"Of the four, {_AXES[axis]} matters most over the range tried: from "
            f"{percent(levels[low])} of runs at {shown(float(low))} to {percent(levels[high])} at "
            f"{shown(float(high))}; "
            + ", ".join(
                f"{_AXES[other]} {percent(min(others.values()))} to {percent(max(others.values()))}"
                for other, others in case["by"].items()
                if other != axis
            )
            + "."
        )
    return " ".join(said)


_AXES = {
    "motive_credit": "motive credit",
    "leak": "leak",
    "ratio": "the learning rate of habit",
    "awareness": "awareness at the start",
}


def _how_long(case: Mapping[str, Any]) -> list[str]:
    if not case["gamed_then"] or case["survives"] is None:
        return []
    told = (
        f"Of the {case['gamed_then']:,} that gamed when the value fell, "
        f"{percent(case['survives'])} go on for as long as was watched (up to "
        f"{case['longest']:,.0f} steps)"
    )
    if case["last_stop"] is not None:
        told += f"; of those that stop, the last does after {case['last_stop']:,.0f}"
    return [f"{told}."]


def _range_of(levels: Mapping[str, float]) -> float:
    return max(levels.values()) - min(levels.values())
