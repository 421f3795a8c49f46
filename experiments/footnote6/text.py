"""What the study of footnote 6 found: its numbers, tables, and words that they choose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from experiments.footnote6.study import CAUSES, DEPLOYMENT, PRE_DEPLOYMENT, Seen, Study, Swept
from sim.cli.outputs import none_if_not_finite
from sim.dynamics.state import Array
from sim.utils.format import join_words, percent, shown

#: The band over agents.
BAND = (0.1, 0.9)
#: A change of the shift that is as good as none, and a share of agents likewise.
_NO_CHANGE = 0.01


def numbers(asked: Study, seen: Sequence[Seen], swept: Sequence[Swept]) -> dict[str, Any]:
    """Return all that the words are made of, ready for JSON."""
    return {
        "scenario": asked.specs.scenario.name,
        "agents": asked.agents,
        "steps": asked.specs.training.steps,
        "populations": [
            _of_population(one, levels) for one, levels in zip(seen, swept, strict=True)
        ],
    }


def _of_population(one: Seen, swept: Swept) -> dict[str, Any]:
    return {
        "name": one.name,
        "looks": {
            group: {
                "start": float(chance[0].mean()),
                "end": float(chance[-1].mean()),
                "low": float(np.quantile(chance[-1], BAND[0])),
                "high": float(np.quantile(chance[-1], BAND[1])),
                "by_values": float(one.by_values[group][-1].mean()),
                "added": float(one.added(group)[-1].mean()),
            }
            for group, chance in one.looks.items()
        },
        "gap_start": none_if_not_finite(one.gap[0].mean()),
        "gap_end": none_if_not_finite(one.gap[-1].mean()),
        "shift_start": float(one.shift[0].mean()),
        "shift_end": float(one.shift[-1].mean()),
        "owed": {cause: float(one.owed[cause][-1].mean()) for cause in CAUSES},
        "contexts": one.contexts,
        "by_gamed": by_gamed(one).to_dict("records"),
        "discernment": _of_sweep(swept),
    }


def _of_sweep(swept: Swept) -> dict[str, Any]:
    shift = swept.shift.mean(axis=1)
    least, most = float(shift.min()), float(shift.max())
    risen = np.flatnonzero(shift - shift[0] >= 0.9 * (most - shift[0]))
    return {
        "low": float(swept.levels[0]),
        "high": float(swept.levels[-1]),
        "shift_low": float(shift[0]),
        "shift_high": float(shift[-1]),
        "shift_least": least,
        "shift_most": most,
        "most_of_the_rise_by": float(swept.levels[risen[0]]),
        "never_falls": bool((np.diff(shift) >= -_NO_CHANGE).all()),
        "gap_low": none_if_not_finite(swept.gap[0].mean()),
        "gap_high": none_if_not_finite(swept.gap[-1].mean()),
    }


def by_gamed(one: Seen) -> pd.DataFrame:
    """Return, by how many training contexts an agent games at the end, what its shift is.

    Returns:
        A row for each number that occurs: `gamed`, `agents`, and means of `shift` and `gap`.
    """
    frame = pd.DataFrame(
        {"gamed": one.gamed[-1].astype(int), "shift": one.shift[-1], "gap": one.gap[-1]}
    )
    grouped = frame.groupby("gamed")
    table = grouped[["shift", "gap"]].mean()
    table.insert(0, "agents", grouped.size())
    table = table.reset_index().astype({"gamed": object, "agents": object})
    return table.astype(object).where(table.notna(), None)


def training_table(seen: Sequence[Seen]) -> pd.DataFrame:
    """Return a row for each population, recorded step and measure: mean and band over agents."""
    rows = []
    for one in seen:
        measures: dict[str, Array] = {
            **{f"looks best: {group}": x for group, x in one.looks.items()},
            **{f"looks best by values: {group}": x for group, x in one.by_values.items()},
            "gap": one.gap,
            "shift": one.shift,
            **{f"shift owed to {cause}": x for cause, x in one.owed.items()},
        }
        for name, x in measures.items():
            low, high = np.quantile(x, BAND, axis=1)
            rows.append(
                pd.DataFrame(
                    {
                        "population": one.name,
                        "measure": name,
                        "step": one.steps,
                        "mean": x.mean(axis=1),
                        "low": low,
                        "high": high,
                    }
                )
            )
    return pd.concat(rows, ignore_index=True)


def agents_table(seen: Sequence[Seen]) -> pd.DataFrame:
    """Return a row for each agent, at the end of training."""
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "population": one.name,
                    "agent": np.arange(one.shift.shape[1]),
                    "contexts_gamed": one.gamed[-1].astype(int),
                    "shift": one.shift[-1],
                    **{f"owed_to_{cause}": one.owed[cause][-1] for cause in CAUSES},
                    "gap": one.gap[-1],
                    **{f"looks best: {group}": x[-1] for group, x in one.looks.items()},
                    **{f"added by gaming: {g}": one.added(g)[-1] for g in one.looks},
                }
            )
            for one in seen
        ],
        ignore_index=True,
    )


def discernment_table(swept: Sequence[Swept]) -> pd.DataFrame:
    """Return a row for each population and level of discernment: means over agents."""
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "population": one.name,
                    "discernment": one.levels,
                    "shift": one.shift.mean(axis=1),
                    **{f"owed_to_{cause}": one.owed[cause].mean(axis=1) for cause in CAUSES},
                    "gap": one.gap.mean(axis=1),
                }
            )
            for one in swept
        ],
        ignore_index=True,
    )


def paragraphs(told: Mapping[str, Any]) -> list[str]:
    """Return a paragraph for each population; every clause follows from a number."""
    return [
        " ".join(
            sentence
            for sentence in (
                _looks_words(one),
                _shift_words(one),
                _evaluation_words(one),
                _gamed_words(one),
                _discernment_words(one),
            )
            if sentence
        )
        for one in told["populations"]
    ]


def before_and_after(one: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return which groups before, and which after deployment a population was seen in."""
    before = [group for group in PRE_DEPLOYMENT if group in one["looks"]]
    return before, [group for group in DEPLOYMENT if group in one["looks"]]


def _looks_words(one: Mapping[str, Any]) -> str:
    before, after = (
        join_words([f"{percent(one['looks'][g]['end'])} in {_where(g)}" for g in groups])
        for groups in before_and_after(one)
    )
    name = one["name"].replace("_", " ")
    text = f"{name}: after training, the answer that looks best is given {before}"
    if one["gap_end"] is None:
        return f"{text}."
    return (
        f"{text}; once deployed, {after}. An agent's mean before deployment is off its mean "
        f"afterwards by {shown(one['gap_end'], 2)} ({shown(one['gap_start'], 2)} at the start)."
    )


def _where(group: str) -> str:
    return {
        "training": "training",
        "evaluation": "evaluations",
        "red-team": "red-teaming",
        "deployed twins": "twins of training contexts",
        "nobody's twin": "contexts that are nobody's twin",
    }[group]


def _shift_words(one: Mapping[str, Any]) -> str:
    start, end = one["shift_start"], one["shift_end"]
    text = f"Between a training context and its twin, behaviour shifts by {shown(end, 2)}"
    text += f" ({shown(start, 2)} at the start)"
    if end < _NO_CHANGE:
        return f"{text}."
    parts = [f"{percent(one['owed'][cause] / end)} of it owed to {_CAUSES[cause]}" for cause in
             CAUSES if cause != "other" or abs(one["owed"][cause]) > 1e-9]  # fmt: skip
    return f"{text}, {join_words(parts)}."


_CAUSES = {
    "belief": "believing that it is trained on",
    "habit": "habit learnt there",
    "other": "other differences of the twin",
}


def _evaluation_words(one: Mapping[str, Any]) -> str:
    parts = []
    for group in ("training", "evaluation", "red-team"):
        if group in one["looks"]:
            here = one["looks"][group]
            parts.append(f"{shown(100 * here['added'], 1)} in {_where(group)}")
    return f"Gaming adds so many percentage points to looking best: {join_words(parts)}."


def _gamed_words(one: Mapping[str, Any]) -> str:
    rows = one["by_gamed"]
    if len(rows) < 2:
        games = f"{rows[0]['gamed']} of {one['contexts']} training contexts"
        return f"All agents game {games}."
    first, last = rows[0], rows[-1]
    return (
        f"Agents that game {first['gamed']} of {one['contexts']} training contexts shift by "
        f"{shown(first['shift'], 2)}, those that game {last['gamed']} by "
        f"{shown(last['shift'], 2)}."
    )


def _discernment_words(one: Mapping[str, Any]) -> str:
    swept = one["discernment"]
    low, high = swept["shift_low"], swept["shift_high"]
    ends = f"from {shown(low, 2)} at {swept['low']:.2g} to {shown(high, 2)} at {swept['high']:.2g}"
    if swept["shift_most"] - swept["shift_least"] < _NO_CHANGE:
        return "Discernment makes no difference to the shift."
    if swept["never_falls"] and high > low:
        return (
            f"The shift grows with discernment, {ends}; nine tenths of the rise are there by "
            f"{swept['most_of_the_rise_by']:.2g}."
        )
    return f"The shift does not only grow with discernment: it goes {ends}, and lies between " \
        f"{shown(swept['shift_least'], 2)} and {shown(swept['shift_most'], 2)}."  # fmt: skip
