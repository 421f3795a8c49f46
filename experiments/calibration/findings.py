"""What the fit to published measurements got wrong and right, in words that its numbers choose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sim.utils.format import join_words

#: χ² per degree of freedom above which errors do not account for what is left.
_MISFIT = 1.5
#: Verdicts of several facts.
_THEY = {"met": "are met", "not met": "are not met", "depends": "depend on what is unknown"}
_FITS = ("by condition", "by condition, with scatter", "by rates")

Summary = Mapping[str, Any]


def findings(summary: Summary) -> list[str]:
    """Return what the model gets wrong and right, in at most six sentences."""
    said = [
        _prompts(summary),
        _scatter(summary),
        _rates(summary),
        _crossed(summary),
        _rl(summary),
        _facts(summary),
    ]
    return [sentence for sentence in said if sentence]


def _prompts(summary: Summary) -> str:
    one = summary["fits"].get(_FITS[0])
    if one is None:
        return ""
    verdict = (
        "Wrong: what a prompt says does not tell how it comes out"
        if one["per_dof"] > _MISFIT
        else "Right: what a prompt says tells how it comes out, within errors"
    )
    return (
        f"{verdict}: chi-square {one['chi2']:.0f} for {one['dof']} degrees of freedom "
        f"({one['per_dof']:.1f} each)."
    )


def _scatter(summary: Summary) -> str:
    if summary["scatter"] is None or _FITS[1] not in summary["fits"]:
        return ""
    return (
        f"Prompts differ besides by {summary['scatter']:.3f} in each rate (standard deviation): "
        "so much must be added to the published errors for chi-square to be what it should."
    )


def _rates(summary: Summary) -> str:
    one = summary["fits"].get(_FITS[2])
    if one is None:
        return ""
    crude = sum(row["chi2"] for row in summary["mixture"])
    rows = sum(row["rows"] for row in summary["mixture"])
    rival = f"; the crude product has {crude / rows:.2f}, with nothing fitted" if rows else ""
    verdict = "Wrong" if one["per_dof"] > _MISFIT else "Right"
    return (
        f"{verdict}: two rates of a prompt tell the third with chi-square {one['chi2']:.1f} for "
        f"{one['dof']} degrees of freedom ({one['per_dof']:.2f} each){rival}."
    )


def _crossed(summary: Summary) -> str:
    said = []
    for task, measure, what in (
        ("from the prompt", "rmse_refusal_training", "refusals in training are"),
        ("from the prompt", "rmse_gap", "the gap is"),
        ("from two rates", "rmse_gap", "the gap is"),
    ):
        rows = {
            row["predictor"]: row[measure]
            for row in summary["errors"]
            if row["task"] == task and row["setting"] == "all"
        }
        if "model" not in rows:
            continue
        others = {name: x for name, x in rows.items() if not name.startswith("model")}
        rival = min(others, key=lambda name: others[name])
        better = "nearer than" if rows["model"] < others[rival] else "further off than"
        said.append(
            f"{task}, on unseen rows {what} {rows['model']:.3f} off"
            f", {better} by the best rival ({rival}: {others[rival]:.3f})"
        )
    if not said:
        return ""
    right = all("nearer" in one for one in said)
    head = "Right" if right else ("Wrong" if all("further" in one for one in said) else "In part")
    return f"{head}: {'; '.join(said)}."


def _rl(summary: Summary) -> str:
    rl = summary["rl"]
    if rl is None:
        return ""
    best = min(rl["variants"], key=lambda row: row["chi2"])
    names = [variant_name(row) for row in rl["variants"] if row["chi2"] < best["chi2"] + 3.84]
    return (
        f"After training on {rl['trained']!r}, the best of {len(rl['variants'])} variants has "
        f"chi-square {best['chi2']:.1f} on {best['rates']} rates with {best['parameters']} "
        f"parameters; within 3.84 of it: {join_words(names)}."
    )


def variant_name(row: Mapping[str, Any]) -> str:
    """Return what a variant of training is called."""
    rule = str(row["rule"]).replace("_", " ")
    parts = [name for name, has in (("spread", row["spreads"]), ("leak", row["leaks"])) if has]
    return f"{rule} with {' and '.join(parts)}" if parts else rule


def _facts(summary: Summary) -> str:
    facts = summary["facts"]
    if not facts:
        return ""
    by = {verdict: [f["name"] for f in facts if f["verdict"] == verdict]
          for verdict in ("met", "not met", "depends")}  # fmt: skip
    told = [
        f"{len(names)} {_THEY[verdict]} ({'; '.join(names)})"
        for verdict, names in by.items()
        if names
    ]
    return f"Of {len(facts)} further facts: {', '.join(told)}."
