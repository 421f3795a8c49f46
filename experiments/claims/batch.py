"""Batches: cases that are one array program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from sim.dynamics.compile import compile_program
from sim.dynamics.program import Program
from sim.specs.keys import full_key
from sim.specs.overrides import read_specs
from sim.sweeps.design import Index, Numbers
from sim.sweeps.world_sample import WorldGroup


class Batch(NamedTuple):
    """Cases that are one array program: their world's structure and their choices are the same.

    Attributes:
        group: The worlds of the structure.
        rows: Which of these worlds.
        choices: By key, what they share.
        columns: By full key, the numbers in which they differ, each [rows].
        after: Likewise of oversight and deployment, which come after training.
        seed: Of all draws.
    """

    group: WorldGroup
    rows: Index
    choices: Mapping[str, Any]
    columns: dict[str, Numbers]
    after: dict[str, Numbers]
    seed: int

    def with_numbers(self, numbers: Mapping[str, float]) -> Batch:
        """Return the batch in which some numbers, by key, are the same for all cases."""
        columns = dict(self.columns)
        for key, number in numbers.items():
            for name in matching(key, columns):
                columns[name] = np.full(len(self.rows), float(number))
        return self._replace(columns=columns)

    def program(
        self, *, longer: float = 1.0, interventions: Iterable[Mapping[str, Any]] = ()
    ) -> Program:
        """Compile the cases, trained so many times as long, under interventions."""
        scenario = self.group.scenario
        choices = {key.removeprefix("training."): choice for key, choice in self.choices.items()}
        training = {**choices, "steps": int(choices["steps"] * longer)}
        agent = {"values": dict.fromkeys(scenario.values, 0.0)}  # or they are human values
        specs = read_specs(
            scenario, agent=agent, training=training, interventions=list(interventions) or None
        )
        return compile_program(
            scenario,
            agent=specs.agent,
            training=specs.training,
            agents=1,
            seed=np.full(len(self.rows), self.seed, np.uint64),
            columns=self.columns,
            interventions=specs.interventions,
        )


def matching(key: str, columns: Mapping[str, Numbers]) -> list[str]:
    """Return the columns that a key with * stands for; a key without one, itself."""
    if "*" not in key:
        return [full_key(key)]
    start, end = full_key(key).split("*")
    return [name for name in columns if name.startswith(start) and name.endswith(end)]
