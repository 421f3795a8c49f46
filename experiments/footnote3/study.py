"""What the study of footnote 3 found: its numbers, and words that they choose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from experiments.footnote3.map import HIDDEN, REGIMES, REMOVED, Map
from experiments.footnote3.study import LEARNING_KEY, Case, Study
from experiments.footnote3.visibility import KINDS
from sim.cli.outputs import none_if_not_finite
from sim.utils.format import join_words, percent, shown

AXES = {True: "learning rate of capabilities", False: "opacity at the start (logit)"}


def axis_of(key: str) -> str:
    """Return what the axis of a map is called."""
    return AXES[key == LEARNING_KEY]


def numbers(
    study: Study, found: Sequence[Map], cases: Sequence[Case], unaware: Case
) -> dict[str, Any]:
    """Return all that the words are made of, ready for JSON."""
    return {
        "scenario": study.specs.scenario.name,
        "agents": study.agents,
        "steps": study.specs.training.steps,
        "watched": list(study.watched),
        "unwritten": list(study.unwritten),
        "value": study.cast.protected,
        "limits": vars(study.limits),
        "strength_unaware": float(unaware.strength[-1]),
        "maps": [_of_map(one) for one in found],
        "cases": [_of_case(case) for case in cases],
    }


def _of_map(one: Map) -> dict[str, Any]:
    row = int(np.abs(one.levels - one.here).argmin())
    taught = np.argwhere(one.teaches)
    first = taught[0] if len(taught) else None
    unasked = np.flatnonzero(one.most[:, 0] == HIDDEN)
    return {
        "key": one.key,
        "points": int(one.most.size),
        "here": float(one.levels[row]),
        "along_here": _spans(one, row),
        "regimes": {name: _of_regime(one, r) for r, name in enumerate(REGIMES)},
        "taught": float(one.taught.mean()),
        "taught_points": len(taught),
        "removed_points": int((one.most == REMOVED).sum()),
        "taught_from": None if first is None else float(one.levels[first[0]]),
        "taught_penalty": None if first is None else float(one.penalties[first[1]]),
        "hidden_without_from": float(one.levels[unasked[0]]) if len(unasked) else None,
    }


def _spans(one: Map, row: int) -> list[dict[str, Any]]:
    """Return in which regime most agents end along a row, from penalty to penalty."""
    spans, column = [], 0
    for regime, group in groupby(one.most[row]):
        count = len(list(group))
        ends = one.penalties[column], one.penalties[column + count - 1]
        spans.append({"regime": REGIMES[regime], "from": float(ends[0]), "to": float(ends[1])})
        column += count
    return spans


def _of_regime(one: Map, regime: int) -> dict[str, Any] | None:
    """Return what agents that end in a regime are like; None if there are none."""
    there = one.regime == regime
    if not there.any():
        return None
    without = np.broadcast_to(one.unwritten[:, :1], there.shape)
    strength = one.strength[there]
    return {
        "share": float(there.mean()),
        "strength": none_if_not_finite(np.median(strength)),
        "reversed": float((strength < 0.0).mean()),
        "gaming": float(one.gaming[there].mean()),
        "unwritten": none_if_not_finite(one.unwritten[there].mean()),
        "unwritten_without_penalty": none_if_not_finite(without[there].mean()),
        "moving": float(one.moving[there].mean()),
    }


def _of_case(case: Case) -> dict[str, Any]:
    gaming = 1.0 - case.shares[:, -1]
    return {
        "case": case.name,
        "settings": dict(case.settings),
        "gaming_most": float(gaming.max()),
        "gaming_end": float(gaming[-1]),
        "shares_end": dict(zip(KINDS, map(float, case.shares[-1]), strict=True)),
        "opacity_end": float(case.opacity[-1]),
        "strength_end": float(case.strength[-1]),
    }


def map_table(found: Sequence[Map]) -> pd.DataFrame:
    """Return a row for each point of the maps: shares of agents, and what they are like."""
    rows = []
    for one in found:
        level, penalty = np.meshgrid(one.levels, one.penalties, indexing="ij")
        rows.append(
            pd.DataFrame(
                {
                    "key": one.key,
                    "level": level.ravel(),
                    "penalty": penalty.ravel(),
                    "most": np.array(REGIMES)[one.most.ravel()],
                    **{name: one.shares[:, :, r].ravel() for r, name in enumerate(REGIMES)},
                    "taught": one.taught.mean(axis=2).ravel(),
                    "gaming_rate": one.gaming.mean(axis=2).ravel(),
                    "opaque_part": one.opaque.mean(axis=2).ravel(),
                    "gaming_rate_unwritten": one.unwritten.mean(axis=2).ravel(),
                    "strength": np.median(one.strength, axis=2).ravel(),
                    "moving": one.moving.mean(axis=2).ravel(),
                }
            )
        )
    return pd.concat(rows, ignore_index=True)


def training_table(cases: Sequence[Case]) -> pd.DataFrame:
    """Return a row for each case and recorded step."""
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "case": case.name,
                    "step": case.steps,
                    **{k.replace(" ", "_"): case.shares[:, i] for i, k in enumerate(KINDS)},
                    "opacity": case.opacity,
                    "strength": case.strength,
                }
            )
            for case in cases
        ],
        ignore_index=True,
    )


def finding(told: Mapping[str, Any]) -> str:
    """Say in a title what a penalty does to most agents somewhere on the maps."""
    removed = any(one["removed_points"] for one in told["maps"])
    taught = any(one["taught_points"] for one in told["maps"])
    if removed and taught:
        return "a penalty for visible gaming removes it, or teaches it to hide"
    if removed:
        return "a penalty for visible gaming removes it, and teaches no hiding"
    if taught:
        return "a penalty for visible gaming teaches it to hide, and removes none"
    if all(span["regime"] == "never" for one in told["maps"] for span in one["along_here"]):
        return "gaming does not last even without a penalty"
    return "a penalty for visible gaming neither removes it nor teaches it to hide"


def paragraphs(told: Mapping[str, Any]) -> list[str]:
    """Return short paragraphs; every clause follows from a number."""
    where = join_words([name.replace("_", " ") for name in told["watched"]])
    penalised = "Penalising visible gaming"
    found = [_map_words(one) for one in told["maps"]]
    told_in_turn = [
        f"{penalised} in {where} ({told['agents']} agents at each point, {told['steps']:,} "
        f"steps). {found[0]}",
        *found[1:],
        _value_words(told),
        _spill_words(told),
        _cases_words(told),
    ]
    return [words for words in told_in_turn if words]


def _level(number: float) -> str:
    return f"{number:.2g}".replace("-", "−")


def _map_words(one: Mapping[str, Any]) -> str:
    name = axis_of(one["key"])
    text = f"At the {name} that is set, {_level(one['here'])}, most agents end {_along(one)}."
    if one["taught_from"] is not None:
        faster = one["taught_from"] / one["here"] if one["key"] == LEARNING_KEY else 0.0
        times = f" ({faster:.2g} times as fast)" if faster > 1.0 else ""
        text += (
            f" The least at which some penalty teaches most agents to hide is "
            f"{_level(one['taught_from'])}{times}, at a penalty of "
            f"{_level(one['taught_penalty'])}; it is so at "
            f"{percent(one['taught_points'] / one['points'])} of the points of this map."
        )
    else:
        text += " Nowhere on this map are most agents taught to hide."
    if one["hidden_without_from"] is not None:
        text += (
            f" From {_level(one['hidden_without_from'])} on, most gaming cannot be read even "
            "without a penalty."
        )
    return text


_ENDS = {
    "visible": "gaming visibly",
    "hidden": "with gaming hidden",
    "removed": "with gaming removed",
    "never": "not gaming, with a penalty or without,",
}


def _along(one: Mapping[str, Any]) -> str:
    spans = one["along_here"]
    first = _ENDS[spans[0]["regime"]]
    if len(spans) == 1:
        return f"{first} at every penalty up to {_level(spans[0]['to'])}"
    told = [f"{first} up to a penalty of {_level(spans[0]['to'])}"]
    told += [f"{_ENDS[span['regime']]} from {_level(span['from'])} on" for span in spans[1:]]
    return join_words(told)


def _value_words(told: Mapping[str, Any]) -> str:
    """Say what becomes of the protected value, by regime, on the first map."""
    regimes = told["maps"][0]["regimes"]
    parts = [
        f"{shown(found['strength'], 2)} of its start where gaming ends {name} (turned round in "
        f"{percent(found['reversed'])} of agents)"
        for name, found in regimes.items()
        if found is not None and name != "never"
    ]
    if regimes["never"] is not None:
        parts.append(
            f"{shown(regimes['never']['strength'], 2)} in the {percent(regimes['never']['share'])} "
            "of agents that do not end gaming without a penalty either"
        )
    return (
        f"What gaming protected, {told['value']}, ends at {join_words(parts)}; in agents that never "
        f"think of training it ends at {shown(told['strength_unaware'], 2)} (all medians, after "
        f"{told['steps']:,} steps)."
    )


def _spill_words(told: Mapping[str, Any]) -> str:
    regimes = told["maps"][0]["regimes"]
    if not told["unwritten"]:
        return "Gaming pays nowhere without a scratchpad, so the penalty has nothing to spill into."
    where = join_words([name.replace("_", " ") for name in told["unwritten"]])
    parts = [
        f"{percent(regimes[name]['unwritten'])} where it {how} "
        f"(the same agents without a penalty: "
        f"{percent(regimes[name]['unwritten_without_penalty'])})"
        for name, how in (("removed", "is removed"), ("hidden", "hides"))
        if regimes[name] is not None
    ]
    if not parts:
        return f"In {where}, where there is nothing to read, the penalty changes nothing."
    return (
        f"In {where}, where there is nothing to read, the gaming rate ends at {join_words(parts)}."
    )


def _cases_words(told: Mapping[str, Any]) -> str:
    parts = []
    for case in told["cases"]:
        opaque = case["shares_end"][KINDS[1]] + case["shares_end"][KINDS[2]]
        end = case["gaming_end"]
        unseen = f", {percent(opaque / end)} of it opaque" if end > 0.005 else ""
        parts.append(
            f"{case['case']}: at most {percent(case['gaming_most'])} of episodes gamed, "
            f"{percent(end)} at the end{unseen}"
        )
    return f"Over training: {'; '.join(parts)}."
