"""Worlds drawn from a prior: scenarios of many structures, each a design of one array program."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import ndtr

from sim.dynamics.randomness import normal
from sim.simulation import MOST_SEED
from sim.specs.base import ENDS
from sim.specs.errors import SpecError, check_whole
from sim.specs.overrides import Specs, apply_overrides, read_specs
from sim.specs.prior import Prior
from sim.specs.scenario import STORY, Scenario
from sim.specs.worlds import Structure, Worlds
from sim.sweeps.design import Design, Index, Numbers
from sim.sweeps.prior_sample import PriorSample, quantile

#: The share of a world's training that upholds human values: an axis of every world.
UPHOLDS = "worlds.upholds"


class WorldSample:
    """Worlds drawn from a prior, by structure.

    Every number of a world is drawn by the world's number and by what it is: world n stays the same
    however many there are, and two worlds of one number share what they both have. A prior without
    worlds is refused (SpecError).
    """

    def __init__(self, prior: Prior, *, points: int, seed: int = 0) -> None:
        check_whole("points", points, minimum=1, maximum=2**32 - 1)
        check_whole("seed", seed, minimum=0, maximum=MOST_SEED)
        if prior.worlds is None:
            raise SpecError("prior: says nothing of worlds, so no scenario can be drawn from it")
        self.worlds, self.seed = prior.worlds, int(seed)
        structures = prior.worlds.structures()
        places = (_uniform("structure", np.arange(points), self.seed) * len(structures)).astype(int)
        self.groups = tuple(
            WorldGroup(self.worlds, structure, np.flatnonzero(places == i), self.seed)
            for i, structure in enumerate(structures)
            if (places == i).any()
        )


class WorldGroup(Design):
    """The worlds of one structure: a scenario, and the numbers in which they differ.

    Attributes:
        structure: What they share.
        points: The numbers of the worlds [points].
        scenario: Their scenario, with the numbers of the first.
    """

    def __init__(self, worlds: Worlds, structure: Structure, points: Index, seed: int, /) -> None:
        self.structure, self.points = structure, points
        self.worlds, self._seed = worlds, seed
        self._contexts = _contexts(structure)
        self._values = [f"value_{d + 1}" for d in range(structure.values)]
        self._responses = [f"answer_{k + 1}" for k in range(structure.responses)]

    @cached_property
    def keys(self) -> tuple[str, ...]:  # type: ignore[override]  # worked out when asked for
        """The keys of all numbers."""
        return tuple(self.at(np.zeros(1, np.intp)))

    def __len__(self) -> int:
        return len(self.points)

    @cached_property
    def scenario(self) -> Scenario:
        """The scenario of the first of its worlds."""
        return apply_overrides(
            Specs(self._template, *read_specs(self._template)[1:]),
            {key: float(column[0]) for key, column in self.at(np.zeros(1, np.intp)).items()},
        ).scenario

    def extremes(self, key: str) -> Index:
        """Return the first point: all numbers are drawn within what their keys allow."""
        return np.zeros(1, np.intp)

    def upholds(self, rows: Index) -> Numbers:
        """Return the share of training that upholds human values, as drawn [rows]."""
        return np.clip(self._draw(self.worlds.upholds, "upholds", rows), 0.0, 1.0)

    def at(self, rows: Index) -> dict[str, Numbers]:
        """Return the numbers of some worlds by key, each [rows]."""
        worlds = self.worlds
        human = np.stack(
            [self._draw(worlds.human_values, f"human {v}", rows) for v in self._values], axis=-1
        )
        columns = {f"scenario.human_values.{v}": human[:, d] for d, v in enumerate(self._values)}
        upholds = self.upholds(rows)
        for name, fields in self._contexts.items():
            key, drawn = f"scenario.contexts.{name}", fields["drawn_as"]
            features = self._features(drawn, human, rows)
            sign = np.ones(len(rows))
            if fields["signed"]:
                sign[_uniform(f"{drawn} sign", self.points[rows], self._seed) >= upholds] = -1.0
            reward = self._reward(drawn, features, human, sign, rows)
            for k, response in enumerate(self._responses):
                columns[f"{key}.reward.{response}"] = reward[:, k]
                for d, value in enumerate(self._values):
                    columns[f"{key}.responses.{response}.{value}"] = features[:, k, d]
            for field in ("weight", "info", "scratchpad", "monitor"):
                distribution = getattr(worlds, field)
                columns[f"{key}.{field}"] = self._draw(distribution, f"{drawn} {field}", rows)
            if fields["kind"] in ("training", "deployment"):
                away = self._draw(worlds.cue, f"{drawn} cue", rows)
                columns[f"{key}.cue"] = away if fields["kind"] == "training" else -away
            else:
                columns[f"{key}.cue"] = self._draw(worlds.inspection_cue, f"{drawn} cue", rows)
        for first, second in self._pairs:
            a, b = sorted((self._contexts[first]["drawn_as"], self._contexts[second]["drawn_as"]))
            similar = self._draw(worlds.similarity, f"similarity {a} {b}", rows)
            columns[f"scenario.similarity.{first}.{second}"] = np.clip(similar, 0.0, 1.0)
        return {key: np.clip(column, *ENDS) for key, column in columns.items()}

    def _features(self, context: str, human: Numbers, rows: Index) -> Numbers:
        """Return Φ [rows, K, D], the responses in the order of how they serve human values."""
        share = self._draw(self.worlds.touches, f"{context} touches", rows)
        chance = np.stack(
            [
                _uniform(f"{context} touches {value}", self.points[rows], self._seed)
                for value in self._values
            ],
            axis=-1,
        )
        touched = (chance < share[:, None]) | (chance == chance.min(axis=1, keepdims=True))
        features = np.stack(
            [
                [
                    self._draw(self.worlds.feature, f"{context} {response} {value}", rows)
                    for value in self._values
                ]
                for response in self._responses
            ]
        ).transpose(2, 0, 1)
        features = np.where(touched[:, None, :], features, 0.0)
        order = np.argsort(-(features * human[:, None, :]).sum(axis=2), axis=1, kind="stable")
        return np.take_along_axis(features, order[:, :, None], axis=1)

    def _reward(
        self, context: str, features: Numbers, human: Numbers, sign: Numbers, rows: Index
    ) -> Numbers:
        """Return R [rows, K]."""
        serves = (features * human[:, None, :]).sum(axis=2)
        serves = serves - serves.mean(axis=1, keepdims=True)
        size = serves.std(axis=1, keepdims=True)
        standard = np.divide(serves, size, out=np.zeros_like(serves), where=size > 0.0)
        agreement = np.clip(self._draw(self.worlds.agreement, f"{context} agreement", rows), 0, 1)
        noise = np.stack(
            [
                normal(
                    seed=self._seed,
                    stream=f"worlds {context} reward {response}",
                    rows=self.points[rows],
                )
                for response in self._responses
            ],
            axis=-1,
        )
        along = (sign * agreement)[:, None] * standard
        reward: Numbers = along + np.sqrt(1.0 - agreement**2)[:, None] * noise
        scale = self._draw(self.worlds.reward_size, f"{context} reward size", rows)
        return np.clip(scale[:, None] * reward, -100.0, 100.0)

    def _draw(self, distribution: Any, stream: str, rows: Index) -> Numbers:
        score = normal(seed=self._seed, stream=f"worlds {stream}", rows=self.points[rows])
        return quantile(distribution, score)

    @cached_property
    def _pairs(self) -> list[tuple[str, str]]:
        """Return the pairs of contexts that are no twins of each other."""
        names = list(self._contexts)
        pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
        return [(a, b) for a, b in pairs if not {a, b} <= _family(self._contexts, a)]

    @cached_property
    def _template(self) -> Scenario:
        features = {response: dict.fromkeys(self._values, 0.0) for response in self._responses}
        contexts: dict[str, Any] = {}
        for name, fields in self._contexts.items():
            stated = {key: fields[key] for key in ("kind", "method", "twin") if key in fields}
            contexts[name] = {"responses": features, **stated}
            if fields["kind"] == "deployment":
                contexts[name]["subversive"] = self._responses[-1:]
        similarity: dict[str, dict[str, float]] = {}
        for first, second in self._pairs:
            similarity.setdefault(first, {})[second] = 1.0
        return Scenario.parse(
            {
                "name": "drawn",
                "values": self._values,
                "human_values": dict.fromkeys(self._values, 1.0),
                "contexts": contexts,
                "similarity": similarity,
            },
            path="scenario",
        )


def draw_scenario(
    prior: Prior | str | Mapping[str, object], number: int, *, seed: int = 0
) -> Scenario:
    """Return a world of a prior by its number, with the agent and the training of its story.

    Raises:
        SpecError: The prior says nothing of worlds, or there is no such number.
    """
    loaded = Prior.load(prior)
    check_whole("number", number, minimum=0, maximum=2**32 - 2)
    sample = WorldSample(loaded, points=number + 1, seed=seed)
    group = next(group for group in sample.groups if number in group.points)
    row = np.flatnonzero(group.points == number)
    numbers: dict[str, Any] = {key: float(x[0]) for key, x in group.at(row).items()}
    specs = apply_overrides(read_specs(group.scenario), numbers)
    if loaded.distributions or loaded.goals:
        agents = PriorSample(loaded, points=number + 1, scenario=specs.scenario, seed=seed)
        drawn = agents.at(np.array([number]))
        specs = apply_overrides(specs, {key: float(x[0]) for key, x in drawn.items()})
    story: dict[str, Any] = {key: getattr(specs, key) for key in STORY}
    return specs.scenario.replace(name=f"drawn_{number}", **story)


def _contexts(structure: Structure) -> dict[str, dict[str, Any]]:
    """Return each context's kind, method and twin, and by whose draws it has its numbers."""
    contexts: dict[str, dict[str, Any]] = {}
    for c in range(structure.training):
        by_demonstration = c >= structure.training - structure.demonstrations
        name = f"training_{c + 1}"
        contexts[name] = {
            "kind": "training",
            "method": "demonstration" if by_demonstration else "reinforcement",
            "drawn_as": name,
            "signed": True,
        }
        if c < structure.twins:
            contexts[name]["twin"] = f"deployed_{c + 1}"
    groups = (("evaluation", structure.evaluations), ("red_team", structure.red_teams))
    for kind, count in groups:
        for c in range(count):
            name = f"{kind}_{c + 1}"
            contexts[name] = {"kind": kind, "drawn_as": name, "signed": False}
    for c in range(structure.twins):
        drawn_as = f"training_{c + 1}"
        fields = {"kind": "deployment", "drawn_as": drawn_as, "signed": True}
        contexts[f"deployed_{c + 1}"] = fields
    for c in range(structure.unwatched):
        name = f"unwatched_{c + 1}"
        contexts[name] = {"kind": "deployment", "drawn_as": name, "signed": False}
    return contexts


def _family(contexts: Mapping[str, Mapping[str, Any]], name: str) -> set[str]:
    """Return the contexts that have the numbers of one: itself and its twin."""
    drawn_as = contexts[name]["drawn_as"]
    return {other for other, fields in contexts.items() if fields["drawn_as"] == drawn_as}


def _uniform(stream: str, points: Index, seed: int) -> Numbers:
    """Return uniform numbers [points]."""
    return np.asarray(ndtr(normal(seed=seed, stream=f"worlds {stream}", rows=points)))
