"""Arms: what is changed of every case, for a matched contrast.

A change takes the numbers of a batch by key and returns them changed. The first context is
`training_1`, which every world has; `deployed_1` is its twin.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from sim.dynamics.cognition import think
from sim.specs.base import Spec
from sim.specs.errors import SpecError, nearest
from sim.specs.library import read_yaml
from sim.sweeps.design import Numbers
from sim.sweeps.world_sample import WorldGroup

if TYPE_CHECKING:
    from .cases import Batch

Columns = dict[str, Numbers]
FIRST = "training_1"
#: Worlds from this number on are those that facts are taken from.
OTHER_WORLDS = 2**31


class Arm(Spec):
    """A change of every case.

    Attributes:
        name: Of the arm.
        says: What is changed, in a few words.
        set: Numbers by key; `*` stands for every name.
        choices: Choices by key, in place of those drawn.
        do: Interventions.
        change: Names of changes of this module, in order.
        longer: By how much training is longer.
    """

    name: str
    says: str
    set: dict[str, float] = Field({})
    choices: dict[str, Any] = Field({})
    do: tuple[dict[str, Any], ...] = ()
    change: tuple[str, ...] = ()
    longer: float = 1.0


def load_arms(path: Path) -> dict[str, Arm]:
    """Read all arms from a file, that which changes nothing first.

    Raises:
        SpecError: A change that does not exist, or an arm that cannot be used.
    """
    arms = {"drawn": Arm(name="drawn", says="as drawn")}
    for name, data in read_yaml(path).items():
        arm = Arm.parse({"name": name, **data}, path=f"arms.{name}")
        for change in arm.change:
            if change not in CHANGES:
                raise SpecError(f"arms.{name}.change: {nearest(change, CHANGES)}")
        arms[name] = arm
    return arms


def unopposed(batch: Batch) -> Columns:
    """Return numbers in which the first context rewards the order that the agent prefers.

    The rewards are the same; they go to other responses.
    """
    return _reordered(batch, preferred=True)


def opposed(batch: Batch) -> Columns:
    """Return numbers in which the first context rewards the reverse of what the agent prefers."""
    return _reordered(batch, preferred=False)


def _reordered(batch: Batch, *, preferred: bool) -> Columns:
    utility = own_utility(batch, FIRST)
    rank = np.argsort(np.argsort(utility if preferred else -utility, axis=1), axis=1)
    rewards = np.sort(_rewards(batch, FIRST), axis=1)
    given = np.take_along_axis(rewards, rank, axis=1)
    changed = {}
    for context in (FIRST, _twin(batch, FIRST)):
        for k, response in enumerate(batch.group.scenario.contexts[FIRST].responses):
            changed[f"scenario.contexts.{context}.reward.{response}"] = given[:, k]
    return {**batch.columns, **changed}


def drops_human_values(batch: Batch) -> Columns:
    """Return numbers in which all training rewards the reverse of what serves human values.

    The rewards are the same; they go to other responses. Those of a world are in the order in which
    they serve human values, the best first.
    """
    scenario, changed = batch.group.scenario, {}
    for name, context in scenario.of_kind("training").items():
        rewards = np.sort(_rewards(batch, name), axis=1)
        for place in (name, _twin(batch, name)):
            for k, response in enumerate(context.responses):
                changed[f"scenario.contexts.{place}.reward.{response}"] = rewards[:, k]
    return {**batch.columns, **changed}


def own_utility(batch: Batch, context: str) -> Numbers:
    """Return how responses of a context serve the agent's first values, Φ v [rows, K]."""
    scenario, columns = batch.group.scenario, batch.columns
    return np.stack(
        [
            np.sum(
                [
                    columns[f"scenario.contexts.{context}.responses.{response}.{value}"]
                    * columns[f"agent.initial.values.{value}"]
                    for value in scenario.values
                ],
                axis=0,
            )
            for response in scenario.contexts[context].responses
        ],
        axis=1,
    )


def _rewards(batch: Batch, context: str) -> Numbers:
    responses = batch.group.scenario.contexts[context].responses
    keys = (f"scenario.contexts.{context}.reward.{response}" for response in responses)
    return np.stack([batch.columns[key] for key in keys], axis=1)


def _twin(batch: Batch, context: str) -> str:
    return batch.group.scenario.contexts[context].twin or context


def _from_other_worlds(batch: Batch, *prefixes: str) -> Columns:
    """Return numbers of which those of some contexts are of other worlds of the structure."""
    group = batch.group
    other = WorldGroup(
        group.worlds, group.structure, group.points[batch.rows] + OTHER_WORLDS, batch.seed
    ).at(np.arange(len(batch.rows)))
    starts = tuple(f"scenario.contexts.{prefix}" for prefix in prefixes)
    return {
        key: other[key] if key.startswith(starts) else column
        for key, column in batch.columns.items()
    }


def other_rewards(batch: Batch) -> Columns:
    """Return numbers in which the first context is that of another world."""
    return _from_other_worlds(batch, f"{FIRST}.", f"{_twin(batch, FIRST)}.")


def other_training(batch: Batch) -> Columns:
    """Return numbers in which all training contexts but the first are those of another world."""
    names = [
        name
        for training in batch.group.scenario.of_kind("training")
        if training != FIRST
        for name in (training, _twin(batch, training))
    ]
    return _from_other_worlds(batch, *(f"{name}." for name in names)) if names else batch.columns


def other_inspection(batch: Batch) -> Columns:
    """Return numbers in which evaluations and red-teaming are those of another world."""
    return _from_other_worlds(batch, "evaluation_", "red_team_")


def other_deployment(batch: Batch) -> Columns:
    """Return numbers in which the unwatched contexts are those of another world."""
    return _from_other_worlds(batch, "unwatched_")


def alike(batch: Batch) -> Columns:
    """Return numbers in which all training contexts, and their twins, are like the first."""
    columns = dict(batch.columns)
    sources = {
        name: source
        for training in batch.group.scenario.of_kind("training")
        for name, source in ((training, FIRST), (_twin(batch, training), _twin(batch, FIRST)))
    }
    for name, source in sources.items():
        prefix = f"scenario.contexts.{source}."
        for key, column in batch.columns.items():
            if key.startswith(prefix):
                columns[f"scenario.contexts.{name}.{key.removeprefix(prefix)}"] = column
    return columns


def same_answers_by_propensity(batch: Batch) -> Columns:
    """Return numbers with propensities by which an agent that does not game answers as it would.

    m = log π − log π^v at the first step (MODEL.md 3.2, 3.8). To be used where gaming is held at 0.
    """
    from .cases import compile_batch  # which needs this module's arms

    program = compile_batch(batch, Arm(name="drawn", says=""))
    world = program.segments[0].world
    mind = think(world, program.traits, program.layout.view(program.theta))
    tiny = 1e-300
    shift = np.log(np.maximum(mind.policy, tiny)) - np.log(np.maximum(mind.value_policy, tiny))
    scenario = batch.group.scenario
    propensities = {
        f"agent.initial.propensity.{context}.{response}": shift[k, c]
        for c, context in enumerate(scenario.contexts)
        for k, response in enumerate(scenario.contexts[context].responses)
    }
    return {**batch.columns, **propensities}


def wants_the_answer(batch: Batch) -> Columns:
    """Return numbers of an agent with one value, which comes up in training and its twins only."""
    return _one_value(batch, in_future=False)


def wants_the_future(batch: Batch) -> Columns:
    """Return numbers of an agent with one value, which subversive answers serve later, too."""
    return _one_value(batch, in_future=True)


def _one_value(batch: Batch, *, in_future: bool) -> Columns:
    """Return numbers of an agent that has the first value only, as strongly as all its values.

    In unwatched contexts the value is for the subversive response, if it is about the future; else
    nothing there serves or offends it.
    """
    scenario, columns = batch.group.scenario, dict(batch.columns)
    values = np.stack([columns[f"agent.initial.values.{v}"] for v in scenario.values])
    size = np.sqrt((values**2).sum(axis=0))
    for d, value in enumerate(scenario.values):
        columns[f"agent.initial.values.{value}"] = size if d == 0 else np.zeros_like(size)
    first = scenario.values[0]
    for name, context in scenario.of_kind("deployment").items():
        if not name.startswith("unwatched"):
            continue
        for response in context.responses:
            serves = 1.0 if in_future and response in context.subversive else 0.0
            key = f"scenario.contexts.{name}.responses.{response}.{first}"
            columns[key] = np.full_like(size, serves)
    return columns


def _on_the_way(share: float) -> Callable[[Batch], Columns]:
    """Return the change that sets awareness, horizon and competence so far on their way up."""

    def change(batch: Batch) -> Columns:
        ends = {
            "agent.initial.awareness": (-8.0, 4.0),
            "agent.initial.log_horizon": (-2.0, 2.0),
            "agent.initial.log_competence": (0.0, 2.6),
        }
        rows = len(batch.rows)
        numbers = {key: low + share * (high - low) for key, (low, high) in ends.items()}
        return {**batch.columns, **{key: np.full(rows, x) for key, x in numbers.items()}}

    return change


#: Moments on the way up from unaware, careless and clumsy agents.
WAY = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)

CHANGES: dict[str, Callable[[Batch], Columns]] = {
    "unopposed": unopposed,
    "opposed": opposed,
    "drops_human_values": drops_human_values,
    "other_rewards": other_rewards,
    "other_training": other_training,
    "other_inspection": other_inspection,
    "other_deployment": other_deployment,
    "alike": alike,
    "same_answers_by_propensity": same_answers_by_propensity,
    "wants_the_answer": wants_the_answer,
    "wants_the_future": wants_the_future,
    **{f"way_{share:g}": _on_the_way(share) for share in WAY},
}
