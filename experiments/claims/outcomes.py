"""Outcomes of cases: what each agent thinks, does and could do when training ends.

Numbers of one agent, a column each, with MODEL.md's words (section 5). `first` is the first
training context; `start` is the moment before training. `changed` is the total variation to π^v,
the answers without gaming; `likes` is how values order answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from sim.analysis.worst_case import TERMS, Thresholds, shortfall
from sim.dynamics.measures import GAMED, conduct, cosine
from sim.dynamics.program import Flags, Program
from sim.dynamics.state import Array
from sim.specs.agent import CAPABILITIES
from sim.specs.deployment import Deployment
from sim.specs.oversight import STEP_CAPABILITIES, Oversight
from sim.sweeps.design import Numbers
from sim.takeover import (
    attempts,
    consistency_probability,
    pass_probability,
    quorum_probability,
)

from .batch import Batch

#: What is observed of agents.
VARIABLES = (
    *("gaming_rate", "instrumental_gaming", "decision", "stake", "incentive", "policy", "values"),
    "value_policy",
    *("awareness_logit", "log_horizon", "log_competence", "capabilities", "capability_logits"),
    *("consistency", "slip", "temptation", "behaviour_shift", "compliance_gap", "conduct"),
    *("deployment_conduct", "opacity_share", "value_cosine", "alignment"),
)
#: How many answers of each context are inspected, and what a takeover needs, by default.
INSPECTED = 3
#: Capabilities that are asked about: low and high.
LOW, HIGH = 0.1, 0.9


def outcomes(
    batch: Batch, program: Program, start: Mapping[str, Array], end: Mapping[str, Array]
) -> pd.DataFrame:
    """Return the outcomes of a batch, a row for each case.

    Args:
        batch: The cases.
        program: Theirs.
        start: `VARIABLES` before training, agents first.
        end: The same when training ends.
    """
    world = program.segments[-1].world
    training, unwatched = world.training, _unwatched(batch)
    first = int(np.flatnonzero(training)[0])
    twin = int(world.twin[first])
    serves = np.einsum("kcdn,nd->kcn", world.features, start["values"])
    likes = [
        _centred(np.einsum("kdn,nd->nk", world.features[:, first], x["values"]))
        for x in (start, end)
    ]
    own_conduct = conduct(end["policy"].transpose(2, 1, 0), serves, world.absent)
    columns: dict[str, Array] = {"contexts": np.full(len(batch.rows), float(training.sum()))}
    for name in ("gaming_rate", "instrumental_gaming"):
        short = name.removesuffix("_rate").removesuffix("_gaming")
        rates = end[name][:, training]
        columns |= {
            f"{short}_most": rates.max(axis=1),
            f"{short}_least": rates.min(axis=1),
            f"{short}_mean": rates.mean(axis=1),
            f"{short}_reach": (rates >= GAMED).mean(axis=1),
            f"{short}_first": end[name][:, first],
            f"{short}_first_at_start": start[name][:, first],
            f"{short}_most_at_start": start[name][:, training].max(axis=1),
        }
    own_twin = own_conduct[:, twin] if twin >= 0 else np.full(len(batch.rows), np.nan)
    inspected = end["slip"][:, world.pre_deployment]
    columns |= {
        "decision_first": end["decision"][:, first],
        "stake_first": start["stake"][:, first],
        "stake_most": start["stake"][:, training].max(axis=1),
        "incentive_first": start["incentive"][:, first],
        "incentive_most": start["incentive"][:, training].max(axis=1),
        "rewarded_first": 1.0 - end["slip"][:, first],
        "changed_first": 0.5 * np.abs(end["policy"] - end["value_policy"])[:, first].sum(axis=1),
        "likes_first_as_before": cosine(*likes),
        "gap_first": end["compliance_gap"][:, first],
        "shift_first": end["behaviour_shift"][:, first],
        "shift_mean": _mean(end["behaviour_shift"][:, training]),
        "shift_most": end["behaviour_shift"][:, training].max(axis=1),
        "own_conduct_first": own_conduct[:, first],
        "own_conduct_twin": own_twin,
        "own_conduct": _mean(own_conduct[:, world.deployment]),
        "own_conduct_unwatched": _mean(own_conduct[:, unwatched]),
        "conduct": end["deployment_conduct"],
        "conduct_at_start": start["deployment_conduct"],
        "conduct_unwatched": _mean(end["conduct"][:, unwatched]),
        "alignment": end["alignment"],
        "alignment_at_start": start["alignment"],
        "value_cosine": end["value_cosine"],
        "value_change": _size(end["values"] - start["values"]) / _size(start["values"]),
        "consistency": end["consistency"],
        "slip_mean": inspected.mean(axis=1),
        "log_stick": np.log(np.maximum(1.0 - inspected, 1e-300)).sum(axis=1),
        "subverts": end["policy"][:, unwatched, -1].max(axis=1),
        "subverts_least": end["policy"][:, unwatched, -1].min(axis=1),
        "subverts_everywhere": end["policy"][:, world.deployment, -1].min(axis=1),
        "opacity_share": end["opacity_share"],
        "awareness": end["awareness_logit"],
        "log_horizon": end["log_horizon"],
        "log_competence": end["log_competence"],
        "capability": end["capability_logits"].mean(axis=1),
    }
    columns |= _before_deployment(batch, world.pre_deployment, end)
    columns |= _worst_case(batch, world.pre_deployment, end, columns)
    columns |= {f"value_{d + 1}": end["values"][:, d] for d in range(end["values"].shape[1])}
    answers = end["policy"][:, first].T
    columns |= {f"answer_first_{k + 1}": answer for k, answer in enumerate(answers)}
    return pd.DataFrame({name: np.asarray(x, np.float64) for name, x in columns.items()})


def _before_deployment(
    batch: Batch, inspected: Flags, end: Mapping[str, Array]
) -> dict[str, Array]:
    """Return what is done in training, evaluations and red-teaming taken together, and in each."""
    columns = {
        "gaming_before": end["gaming_rate"][:, inspected].max(axis=1),
        "conduct_before": _mean(end["conduct"][:, inspected]),
        "visible_gaming": end["gaming_rate"][:, inspected].mean(axis=1)
        * (1.0 - np.nan_to_num(end["opacity_share"], nan=1.0)),
    }
    for kind in ("evaluation", "red_team"):
        selected = np.array([name.startswith(kind) for name in batch.group.scenario.contexts])
        columns[f"rewarded_{kind}"] = 1.0 - _mean(end["slip"][:, selected])
    columns |= {f"capability_{k}": end["capabilities"][:, i] for i, k in enumerate(CAPABILITIES)}
    steps = STEP_CAPABILITIES
    return columns | {f"strength_{k}": batch.after[f"oversight.{k}.strength"] for k in steps}


def _worst_case(
    batch: Batch, inspected: Flags, end: Mapping[str, Array], columns: Mapping[str, Array]
) -> dict[str, Array]:
    """Return the terms of the worst case, prospects of a takeover, and what each term is worth."""
    numbers = np.column_stack(
        [end["deployment_conduct"], end["consistency"], end["capabilities"], columns["shift_mean"]]
    )
    thresholds = Thresholds()
    is_met = shortfall(numbers, np.array([getattr(thresholds, term) for term in TERMS])) == 0.0
    oversight, deployment = Oversight(), Deployment()
    capability = dict(zip(CAPABILITIES, end["capabilities"].T, strict=True))

    def factor(name: str, level: Array) -> Array:
        if name == "coordination":
            return quorum_probability(level, copies=deployment.copies, needed=deployment.needed)
        step = next(step for step, needs in STEP_CAPABILITIES.items() if needs == name)
        return pass_probability(
            level,
            strength=batch.after[f"oversight.{step}.strength"],
            encounters=oversight.step(step).encounters,
        )

    factors = {name: factor(name, capability[name]) for name in CAPABILITIES}
    stick = consistency_probability(end["slip"][:, inspected], np.full(inspected.sum(), INSPECTED))
    caution = batch.after["deployment.caution"]
    temptation = end["temptation"][:, _unwatched(batch)]
    gain = np.nanmean(np.clip(temptation, 0.0, None), axis=1)
    other_factors = {name: stick * _product(factors, without=name) for name in CAPABILITIES}
    success = stick * _product(factors)
    result = {
        **{f"met_{term}": is_met[:, i] for i, term in enumerate(TERMS)},
        "terms_met": is_met.sum(axis=1),
        "worst_case": is_met.all(axis=1),
        "stick": stick,
        "success": success,
        "log_success": np.log10(np.maximum(success, 1e-30)),
        "gain": gain,
        "temptation_least": temptation.min(axis=1),
        "caution": caution,
        "attempts": attempts(gain, success, caution=caution),
        "worth": _worth(gain, success, caution),
    }
    for name, remaining in other_factors.items():
        low, high = (remaining * factor(name, np.full_like(stick, x)) for x in (LOW, HIGH))
        result[f"use_{name}"] = _worth(gain, high, caution) - _worth(gain, low, caution)
        result[f"factor_{name}"] = factors[name]
    result["use_consistency"] = _worth(gain, _product(factors), caution) - _worth(
        gain, 0.0 * stick, caution
    )
    return {name: np.asarray(x, np.float64) for name, x in result.items()}


def _worth(gain: Array, success: Array, caution: Array) -> Array:
    """Return what an agent expects of an attempt, in utility, if it is free not to make it."""
    return np.maximum(gain, 0.0) * np.maximum(success - caution * (1.0 - success), 0.0)


def _product(factors: Mapping[str, Array], without: str = "") -> Array:
    factors_left = [factor for name, factor in factors.items() if name != without]
    return np.asarray(np.prod(factors_left, axis=0))


def _unwatched(batch: Batch) -> Flags:
    names = batch.group.scenario.contexts
    return np.array([name.startswith("unwatched") for name in names])


def _mean(x: Array) -> Array:
    """Return the mean over contexts [n] of what is defined there; nan where nothing is."""
    is_defined = np.isfinite(x)
    total = np.where(is_defined, x, 0.0).sum(axis=1)
    mean: Array = np.full_like(total, np.nan)
    np.divide(total, is_defined.sum(axis=1), out=mean, where=is_defined.any(axis=1))
    return mean


def _centred(utility: Array) -> Array:
    return np.asarray(utility - utility.mean(axis=1, keepdims=True))


def _size(values: Array) -> Array:
    return np.asarray(np.linalg.norm(values, axis=1))


# -------------------------------------------------------------------------- of several arms

Cases = Mapping[str, pd.DataFrame]
#: Cases are drawn independently: a fact of the case so many places on is as good as a random one.
STRIDE = 1009


class Derived(NamedTuple):
    """An outcome of several arms: which arms, and how it comes of them [cases]."""

    arms: tuple[str, ...]
    compute: Callable[[Cases], Numbers]


def elsewhere(column: pd.Series | Numbers, place: int = 1) -> Numbers:
    """Return a number as it is in other cases, each case taking it from one [cases].

    Numbers of one `place` are of the same other case.
    """
    return np.roll(np.asarray(column, np.float64), place * stride(len(column)))


def stride(cases: int) -> int:
    """Return how far on another case is: so that of few places none is a case itself."""
    return STRIDE if cases % STRIDE else STRIDE + 1
