"""What the study of causes found, in sentences that are written from its numbers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from experiments.causation.self_modification import AS_IT_IS, Coverage
from experiments.causation.study import Effects
from sim.utils.format import join_words, percent, shown

#: How outcomes are called.
_NAMES = {
    "kept": "what is kept of the goal",
    "value_drift": "value drift",
    "gaming_rate": "gaming rate in training",
    "slip_deployed": "slips where deployed",
    "deployed_policy": "deployed policy (distance)",
    "terms_met": "worst-case terms met (count)",
    "worst_case": "all worst-case terms met",
    "success": "P(success)",
}
#: Those that are told of, in this order.
_TOLD = ("kept", "alignment", "awareness", "log_horizon", "consistency", "behaviour_shift")


def outcome_label(outcome: str) -> str:
    """Return an outcome's name as a reader has it."""
    if outcome.startswith("met."):
        return f"{outcome.removeprefix('met.').replace('_', ' ')} met"
    for start in ("strength.", "capability."):
        if outcome.startswith(start):
            return f"{start.removesuffix('.')} of {outcome.removeprefix(start)}".replace("_", " ")
    return _NAMES.get(outcome, outcome.replace("_", " "))


def route_label(route: str) -> str:
    """Return what stands for a route: a mediator, or what an assumption takes away."""
    return {
        "motive_credit 0": "credit for motives",
        "leak 0.3": "having no leak (of 0.3)",
    }.get(route, route.replace("_", " "))


def told(row: pd.Series, name: str = "effect") -> str:
    """Write an effect with its interval."""
    start = "" if name == "effect" else f"{name}_"
    low, high = row[f"{start}low"], row[f"{start}high"]
    digits = _digits(row[name])
    return f"{signed(row[name], digits)} [{shown(low, digits)}, {shown(high, digits)}]"


def signed(number: float, digits: int = 2) -> str:
    """Write a number with its sign; one that rounds to 0 without."""
    if not np.isfinite(number):
        return "–"
    text = shown(number, digits)
    return f"+{text}" if round(number, digits) > 0 else text


def signed_small(number: float) -> str:
    """Write an effect with its sign, and with more digits where it is small."""
    return signed(number, _digits(number))


def _digits(number: float) -> int:
    return 4 if 0.0 < abs(number) < 0.01 else 2


def direction(low: float, high: float) -> str:
    """Say `raises`, `lowers`, or what an interval leaves open."""
    if not (np.isfinite(low) and np.isfinite(high)):
        return "leaves open"
    if low == high == 0.0:
        return "does nothing to"
    return "raises" if low > 0.0 else "lowers" if high < 0.0 else "may or may not change"


def effects_paragraph(found: Effects) -> str:
    """Say what the main contrast causes, in all agents and in the aligned and the misaligned."""
    name = str(found.table["contrast"].iat[0])
    main = found.table[found.table["contrast"] == name]
    rows = {(row["group"], row["outcome"]): row for _, row in main.iterrows()}
    cause = name[0].upper() + name[1:]
    parts = []
    for outcome in (*_TOLD, "success"):
        row = rows["all", outcome]
        if np.isfinite(row["effect"]):
            verb, number = direction(row["low"], row["high"]), signed_small(row["effect"])
            parts.append(f"{verb} {outcome_label(outcome)} ({number})")
    text = f"{cause}, in {found.sizes['all']:,} agents, {join_words(parts)}."
    for group in ("aligned", "misaligned"):
        if (group, "kept") not in rows:
            continue
        kept, cosine, terms = (rows[group, o] for o in ("kept", "alignment", "terms_met"))
        text += (
            f" Agents that start {group} ({found.sizes[group]}): kept {told(kept)}, alignment "
            f"{told(cosine)}, terms met {told(terms)}."
        )
    if ("aligned", "kept") in rows and ("misaligned", "kept") in rows:
        one, other = rows["aligned", "kept"], rows["misaligned", "kept"]
        overlap = one["low"] <= other["high"] and other["low"] <= one["high"]
        verdict = "Their intervals overlap" if overlap else "Their intervals are apart"
        text += f" {verdict}: of goals that start aligned and of those that start misaligned."
    return text


def mediation_paragraph(table: pd.DataFrame) -> str:
    """Name, for some outcomes, the route that takes the largest part of the effect."""
    sentences = []
    for outcome in _TOLD:
        rows = table[(table["outcome"] == outcome) & table["mediated"].notna()]
        if rows.empty or not np.isfinite(rows["total"].iat[0]):
            continue
        sure = rows[(rows["mediated_low"] > 0.0) | (rows["mediated_high"] < 0.0)]
        label = outcome_label(outcome)
        total = f"{label} (total {signed(rows['total'].iat[0])})"
        if sure.empty:
            sentences.append(f"Of {total}, no route takes a part beyond its interval.")
            continue
        row = sure.loc[sure["mediated"].abs().idxmax()]
        sentences.append(
            f"Of {total}, the largest part goes by {route_label(str(row['route']))}: "
            f"{told(row, 'mediated')} is not there without it, {signed(row['direct'])} still is."
        )
    return " ".join(sentences)


def scenarios_paragraph(table: pd.DataFrame) -> str:
    """Say where gaming protects the goal, and what it does to alignment and to the worst case."""
    asis = table[table["assumption"] == AS_IT_IS]
    text = []
    for outcome in ("kept", "alignment", "awareness", "terms_met"):
        rows = asis[asis["outcome"] == outcome]
        groups = {
            verb: [
                f"{r['scenario']} ({signed(r['effect'])})"
                for _, r in rows.iterrows()
                if direction(r["low"], r["high"]) == verb
            ]
            for verb in ("raises", "lowers")
        }
        said = [f"{verb} it in {join_words(names)}" for verb, names in groups.items() if names]
        rest = len(rows) - sum(map(len, groups.values()))
        if rest:
            said.append(f"leaves it as it is, or open, in {rest} of {len(rows)}")
        text.append(f"{outcome_label(outcome).capitalize()}: gaming {join_words(said)}.")
    kept = table[table["outcome"] == "kept"]
    for assumption, rows in kept.groupby("assumption", sort=False):
        if assumption != AS_IT_IS:
            protects = int((rows["low"] > 0.0).sum())
            text.append(
                f"Under {assumption} it keeps more of the goal in {protects} of {len(rows)}."
            )
    return " ".join(text)


def self_modification_paragraph(found: Coverage) -> str:
    """Say what coverage keeps half of the goal, and whether that is a slope or a threshold."""
    return " ".join(_of_knobs(found))


def _of_knobs(found: Coverage) -> Iterator[str]:
    for _, row in found.knobs.iterrows():
        need = row["needed"]
        if not np.isfinite(need):
            needs = "no coverage keeps half of it"
        elif need == 0.0:
            needs = "half of it is kept without any gaming"
        else:
            needs = f"half of it is kept from a coverage of {percent(need)} on"
        yield (
            f"{str(row['knob']).capitalize()}: without gaming {shown(row['none'], 2)} of the goal "
            f"is kept, with gaming forced everywhere {shown(row['all'], 2)}; {needs} "
            f"({row['shape']}). Its own choice keeps {shown(row['own_kept'], 2)}."
        )
    sampled = found.table[(found.table["knob"] == "sampled") & ~found.table["own"]]
    if len(sampled):
        none, every = sampled["apart"].iat[0], sampled["apart"].iat[-1]
        yield (
            f"Random drift: sampled gradients move what is kept by {shown(none, 3)} (root mean "
            f"square) without gaming and by {shown(every, 3)} with gaming everywhere."
        )
