"""Each number at the least and the greatest that its key allows: both engines come to the same."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from sim.dynamics.compile import compile_program
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.loop import out_of_bounds, records
from sim.specs.agent import TRAITS, InitialSpread, Spread, parameter_names
from sim.specs.errors import SpecError
from sim.specs.intervention import CONTEXT_NUMBERS, TRAINING_NUMBERS
from sim.specs.keys import check_number, value_at
from sim.specs.library import scenarios
from sim.specs.overrides import Specs, read_specs

#: Numbers to try: those that a key allows are found by asking it.
TRIED = (1e300, 1e9, 1e6, 1e4, 100.0, 20.0, 5.0, 1.0, 0.0, -100.0, -1e6, -1e9)
#: Rules of training under which all parameters move.
ALL_RULES: dict[str, Any] = {
    "advantages": "normalised",
    "leak": 0.3,
    "generalisation": 0.3,
    "visible_gaming_penalty": 0.5,
    "anchor": 0.01,
    "learning_rate": 0.05,
}
RULES = {
    "defaults": {},
    "all rules": ALL_RULES,
    "natural gradient": {**ALL_RULES, "advantages": "raw", "update_rule": "natural_gradient"},
}


def keys(specs: Specs, *, propensities: bool) -> Iterator[str]:
    answers = specs.scenario.answers if propensities else ()
    contexts = specs.scenario.contexts
    yield from (f"agent.{name}" for name in TRAITS)
    yield from (
        f"agent.initial.{name}"
        for name in parameter_names(specs.scenario.values, contexts, answers)
    )
    yield from (f"agent.spread.{name}" for name in Spread.model_fields if name != "initial")
    for spec in (*InitialSpread.model_fields, *(f"training.{name}" for name in TRAINING_NUMBERS)):
        key = spec if "." in spec else f"agent.spread.initial.{spec}"
        if propensities or ("rate.propensity" not in key and "initial.propensity" not in key):
            yield key
    for name, context in contexts.items():
        base = f"scenario.contexts.{name}"
        for number in CONTEXT_NUMBERS:
            parts = [f".{r}" for r in context.responses] if number == "reward" else [""]
            yield from (f"{base}.{number}{part}" for part in parts)
        for response in context.responses:
            yield from (f"{base}.responses.{response}.{value}" for value in specs.scenario.values)


def allowed(key: str) -> list[float]:
    """Return the least and the greatest of the numbers tried that a key allows."""
    numbers = []
    for number in TRIED:
        with contextlib.suppress(SpecError):
            check_number(key, number)
            numbers.append(number)
    return [min(numbers), max(numbers)]


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("name", scenarios())
def test_engines_agree_at_the_ends_of_every_key(name: str, rules: str) -> None:
    """To 1e-9, or both say that parameters grew out of all bounds: a run for each end of a key."""
    specs = read_specs(name, training={"steps": 40, **RULES[rules]})
    given: dict[str, Any] = {"agent": specs.agent, "training": specs.training, "agents": 1}
    usual = compile_program(specs.scenario, **given, seed=0)
    start = dict(zip(usual.layout.names, usual.theta[:, 0], strict=True))
    propensities = rules != "defaults" or usual.layout.with_propensity
    ends = [
        (key, x)
        for key in keys(specs, propensities=propensities)
        for x in allowed(key)
        if x or "weight" not in key
    ]
    columns = {}
    for key in dict(ends):
        stands = start.get(key.removeprefix("agent.initial."))
        stands = value_at(specs, key) if stands is None else stands
        columns[key] = [x if key == moved else stands for moved, x in ends]
    program = compile_program(specs.scenario, **given, seed=[0] * len(ends), columns=columns)
    steps = [1, 5, 20, 40]
    by_numpy, by_numba = (
        np.stack([s.theta for s in records(get_engine(e), program, steps, names=(), bounded=False)])
        for e in ("numpy", "numba")
    )
    diverged, also = (
        np.any([out_of_bounds(program.layout, theta) for theta in thetas], axis=(0, 1))
        for thetas in (by_numpy, by_numba)
    )
    np.testing.assert_array_equal(diverged, also)
    for run in np.flatnonzero(~diverged):
        np.testing.assert_allclose(
            by_numba[..., run], by_numpy[..., run], rtol=1e-9, atol=1e-9, err_msg=str(ends[run])
        )
