"""Worlds drawn from a prior: scenarios of many structures, each a design of one array program."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from sim.dynamics.randomness import normal, stream_id, uniform_pair
from sim.simulation import MOST_SEED
from sim.specs.agent import Agent
from sim.specs.base import ENDS
from sim.specs.distributions import AnyDistribution
from sim.specs.errors import SpecError, check_whole
from sim.specs.keys import nest
from sim.specs.overrides import Specs, apply_overrides, read_specs
from sim.specs.prior import Prior
from sim.specs.scenario import Scenario
from sim.specs.training import Training
from sim.specs.worlds import Structure, Worlds
from sim.sweeps.design import Design, Index, Numbers
from sim.sweeps.prior_sample import PriorSample, quantile

#: The share of a world's training that upholds human values: an axis of every world.
UPHOLDS = "worlds.upholds"
#: Worlds are numbered in 32 bits.
MOST_NUMBER = 2**32 - 2
#: Ends of features and of rewards, as of their keys.
_FEATURES, _REWARDS = 1e4, 1e2


class WorldSample:
    """Worlds drawn from a prior, by structure.

    Every number of a world is drawn by the world's number and by what it is: world n stays the same
    however many there are, and two worlds of one number share what they both have. A prior without
    worlds is refused (SpecError).

    Attributes:
        worlds: What the prior says of worlds.
        groups: The worlds of each structure that was drawn.
    """

    def __init__(self, prior: Prior, *, points: int, seed: int = 0) -> None:
        check_whole("points", points, minimum=1, maximum=MOST_NUMBER + 1)
        self.worlds, self.seed = _read_worlds(prior, seed), int(seed)
        table = _structures(self.worlds, np.arange(points), self.seed)
        structures, places = np.unique(table, axis=0, return_inverse=True)
        self.groups = tuple(
            WorldGroup(self.worlds, Structure(*row), np.flatnonzero(places == i), self.seed)
            for i, row in enumerate(structures.tolist())
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
        #: Contexts that have draws of their own: all but deployed twins, who share their twin's.
        self._sources = list(dict.fromkeys(str(c["drawn_as"]) for c in self._contexts.values()))
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
        return self._draw(self.worlds.upholds, rows, ["upholds"])[:, 0]

    def at(self, rows: Index) -> dict[str, Numbers]:
        """Return the numbers of some worlds by key, each [rows]."""
        sources, worlds = self._sources, self.worlds
        human = self._draw(worlds.human_values, rows, ["human"], self._values)[:, 0]
        features = self._features(human, rows)
        reward = self._reward(features, human, rows)
        fields = {
            name: self._draw(getattr(worlds, name), rows, sources, [name])[:, :, 0]
            for name in ("weight", "info", "scratchpad", "monitor", "cue", "inspection_cue")
        }
        columns = {f"scenario.human_values.{v}": human[:, d] for d, v in enumerate(self._values)}
        for name, context in self._contexts.items():
            key, c = f"scenario.contexts.{name}", sources.index(context["drawn_as"])
            for k, response in enumerate(self._responses):
                columns[f"{key}.reward.{response}"] = reward[:, c, k]
                for d, value in enumerate(self._values):
                    columns[f"{key}.responses.{response}.{value}"] = features[:, c, k, d]
            for field in ("weight", "info", "scratchpad", "monitor"):
                columns[f"{key}.{field}"] = fields[field][:, c]
            cues = {"training": fields["cue"][:, c], "deployment": -fields["cue"][:, c]}
            columns[f"{key}.cue"] = cues.get(context["kind"], fields["inspection_cue"][:, c])
        pairs = [" ".join(sorted(self._drawn_as(pair))) for pair in self._pairs]
        similarity = self._draw(worlds.similarity, rows, ["similarity"], pairs)[:, 0]
        for i, (first, second) in enumerate(self._pairs):
            columns[f"scenario.similarity.{first}.{second}"] = similarity[:, i]
        return {key: np.clip(column, *ENDS) for key, column in columns.items()}

    def _features(self, human: Numbers, rows: Index) -> Numbers:
        """Return Φ [rows, C, K, D], the responses in the order of how they serve human values."""
        sources, values = self._sources, self._values
        share = self._draw(self.worlds.touches, rows, sources, ["touches"])
        chance = self._uniform(rows, sources, ["touches"], values)[:, :, 0]
        touched = (chance < share) | (chance == chance.min(axis=-1, keepdims=True))
        features = self._draw(self.worlds.feature, rows, sources, self._responses, values)
        features = np.where(touched[:, :, None], features, 0.0).clip(-_FEATURES, _FEATURES)
        order = np.argsort(-_served(features, human), axis=-1, kind="stable")
        return np.take_along_axis(features, order[..., None], axis=-2)

    def _reward(self, features: Numbers, human: Numbers, rows: Index) -> Numbers:
        """Return R [rows, C, K]."""
        sources, worlds = self._sources, self.worlds
        served, count = _served(features, human), len(self._responses)
        served = served - _total(served)[..., None] / count
        size = np.sqrt(_total(served**2) / count)[..., None]
        standard = np.divide(served, size, out=np.zeros_like(served), where=size > 0.0)
        agreement = self._draw(worlds.agreement, rows, sources, ["agreement"])
        noise = self._scores(rows, sources, ["reward"], self._responses)[:, :, 0]
        reward = self._sign(rows) * agreement * standard + np.sqrt(1.0 - agreement**2) * noise
        scaled = self._draw(worlds.reward_size, rows, sources, ["reward size"]) * reward
        return np.asarray(np.clip(scaled, -_REWARDS, _REWARDS))

    def _sign(self, rows: Index) -> Numbers:
        """Return whether training upholds human values, as 1 or -1 [rows, C, 1]."""
        signed = [str(c["drawn_as"]) for c in self._contexts.values() if c["signed"]]
        offends = self._uniform(rows, self._sources, ["sign"]) >= self.upholds(rows)[:, None, None]
        return np.where(offends & np.isin(self._sources, signed)[:, None], -1.0, 1.0)

    def _draw(self, distribution: AnyDistribution, rows: Index, *names: Sequence[str]) -> Numbers:
        """Return what is drawn from a distribution for each combination of names [rows, ...]."""
        return quantile(distribution, self._scores(rows, *names))

    def _scores(self, rows: Index, *names: Sequence[str]) -> Numbers:
        """Return normal scores for each combination of names [rows, ...]."""
        points, numbers = self._counters(rows, names)
        return normal(seed=self._seed, stream="worlds", rows=points, draw=numbers)

    def _uniform(self, rows: Index, *names: Sequence[str]) -> Numbers:
        """Return uniform numbers for each combination of names [rows, ...]."""
        points, numbers = self._counters(rows, names)
        return uniform_pair(seed=self._seed, stream="worlds uniform", rows=points, draw=numbers)[0]

    def _counters(self, rows: Index, names: Iterable[Sequence[str]]) -> tuple[Index, Index]:
        """Return the numbers of worlds [rows, 1, ...] and of combinations of names [...]."""
        numbers = np.array([stream_id(" ".join(parts)) for parts in product(*names)], np.int64)
        numbers = numbers.reshape([len(names_) for names_ in names])
        return self.points[rows].reshape(-1, *[1] * numbers.ndim), numbers

    def _drawn_as(self, names: Iterable[str]) -> list[str]:
        """Return by whose draws contexts have their numbers."""
        return [str(self._contexts[name]["drawn_as"]) for name in names]

    @cached_property
    def _pairs(self) -> list[tuple[str, str]]:
        """Return the pairs of contexts that are no twins of each other."""
        names = list(self._contexts)
        pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
        return [pair for pair in pairs if len(set(self._drawn_as(pair))) == 2]

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
    prior: Prior | str | Path | Mapping[str, object], number: int, *, seed: int = 0
) -> Scenario:
    """Return a world of a prior by its number, with the agent and the training of its story.

    Args:
        prior: A prior that says what worlds there are: its name, a path, a dict or itself.
        number: Which world, from 0. It is the same however many there are.
        seed: Of all draws. `PRIOR/NUMBER`, for which a scenario's name can stand, is of seed 0.

    Raises:
        SpecError: The prior says nothing of worlds, or there is no such number.
    """
    loaded = Prior.load(prior)
    check_whole("number", number, minimum=0, maximum=MOST_NUMBER)
    origin = Path(prior).stem if isinstance(prior, str | Path) else "drawn"
    worlds, point = _read_worlds(loaded, seed, origin), np.array([int(number)])
    structure = Structure(*_structures(worlds, point, int(seed))[0].tolist())
    scenario = WorldGroup(worlds, structure, point, int(seed)).scenario
    story: dict[str, Any] = {}
    if loaded.distributions or loaded.goals:
        agents = PriorSample(loaded, points=int(number) + 1, scenario=scenario, seed=seed)
        numbers = {key: float(column[0]) for key, column in agents.at(point).items()}
        scenario = apply_overrides(read_specs(scenario), numbers).scenario
        tree = nest(numbers)
        story["agent"] = Agent.parse(tree.get("agent", {}), path="agent")
        story["training"] = Training.parse(tree.get("training", {}), path="training")
    name = f"{origin}/{number}{f' (seed {seed})' if seed else ''}"
    return scenario.replace(name=name, **story)


def draw_world(prior: str | Path, number: str) -> Scenario:
    """Return the world that is named as PRIOR/NUMBER (SpecError)."""
    if not re.fullmatch("[0-9]{1,12}", number):
        name = f"{Path(prior).stem}/{number}"
        raise SpecError(f"scenario: got {name!r}: must be PRIOR/NUMBER, such as worlds/7")
    return draw_scenario(prior, int(number))


def _read_worlds(prior: Prior, seed: int, origin: str = "drawn") -> Worlds:
    """Return what a prior says of worlds (SpecError)."""
    check_whole("seed", seed, minimum=0, maximum=MOST_SEED)
    if prior.worlds is None:
        name = "prior" if origin == "drawn" else f"prior {origin}"
        raise SpecError(f"{name}: says nothing of worlds, so no scenario can be drawn from it")
    return prior.worlds


def _structures(worlds: Worlds, points: Index, seed: int) -> Index:
    """Return the structures of some worlds [points, fields of Structure]."""
    columns: dict[str, Numbers] = {}
    for name in Structure._fields:
        counts = np.array(sorted(getattr(worlds, name)))
        draw = stream_id(f"number of {name}")
        place, _ = uniform_pair(seed=seed, stream="worlds uniform", rows=points, draw=draw)
        columns[name] = counts[(place * len(counts)).astype(np.intp)]
    columns["demonstrations"] = np.minimum(columns["demonstrations"], columns["training"] - 1)
    columns["twins"] = np.rint(columns["twins"] * columns["training"])
    return np.stack(list(columns.values()), axis=-1).astype(np.intp)


def _served(features: Numbers, human: Numbers) -> Numbers:
    """Return how responses serve human values [rows, C, K]."""
    return _total(features * human[:, None, None, :])


def _total(terms: Numbers) -> Numbers:
    """Return sums over the last axis, term by term: the same bits in any company."""
    return sum(np.moveaxis(terms, -1, 0), np.zeros(terms.shape[:-1]))


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
