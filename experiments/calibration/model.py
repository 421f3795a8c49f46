"""The three rates that a prompt has in the model before training, for many parameters at once.

Queries differ in how much they offend the contested value, normally over the queries of a prompt.
What agents of each value think (MODEL.md section 3) is worked out once, on a grid, and weighted for
every prompt. All rates are linear in awareness, so an agent that is surely aware, with its answers
without gaming, tells the rates at any. A prompt is placed by its setting and its edits; prompts
scatter about their places by two standard deviations that all rows share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from sim.dynamics.cognition import Activations, think
from sim.dynamics.compile import compile_program
from sim.dynamics.numerics import calculating, logistic
from sim.dynamics.program import World
from sim.dynamics.state import Array
from sim.dynamics.training import OPACITY
from sim.specs.errors import SpecError, nearest
from sim.specs.keys import full_key, value_at
from sim.specs.overrides import Specs, apply_overrides, read_specs
from sim.specs.scenario import Scenario

from .data import Calibration

SPREAD = "agent.spread.initial.values"  # of the contested value, over queries
_SURELY = 60.0  # a logit of awareness at which training comes to mind
_LOGARITHMS = (-7.0, 7.0)  # those beyond are as these: searches may try anything


@dataclass(frozen=True)
class Parameter:
    """A parameter of a fit: the number that it moves, in which rows, and what is believed of it."""

    key: str
    start: float
    width: float
    log: bool = False
    setting: str | None = None
    edit: str | None = None

    @property
    def name(self) -> str:
        """Return its name in tables."""
        name = self.key if self.edit is None else f"{self.edit}: {self.key}"
        return name if self.setting is None else f"{name} [{self.setting}]"


@dataclass(frozen=True)
class Design:
    """Rows of a table as the model sees them; rows that differ in place alone share a curve."""

    acts: Mapping[str, Array]  # by key, which parameters act on which rows [row, parameter]
    curve: NDArray[np.intp]  # of each row [row]
    rows: NDArray[np.intp]  # that stand for the curves [curve]
    sets: Mapping[str, Array]  # numbers that edits set, by full key [row]; nan where none does
    first: NDArray[np.intp]  # rows that stand for those with the same edits [distinct]
    alike: NDArray[np.intp]  # which of these has the edits of a row [row]


class PromptModel:
    """The rates of prompts as a function of parameters; `local` is with the rival stake."""

    def __init__(
        self,
        specs: Specs,
        calibration: Calibration,
        settings: Sequence[str],
        *,
        local: bool = False,
    ) -> None:
        self.calibration, self.settings, self.local = calibration, tuple(settings), local
        self.specs = measured_alone(specs, calibration)
        scenario = self.specs.scenario
        self.contexts = (calibration.context, str(scenario.contexts[calibration.context].twin))
        self.tiers = [list(scenario.contexts).index(name) for name in self.contexts]
        responses = list(scenario.contexts[calibration.context].responses)
        self.refusal = responses.index(calibration.refusal)
        self.value, self.awareness = calibration.placing
        self.grid = np.linspace(*calibration.reach, calibration.points)
        self.parameters = tuple(self._parameters())
        self.start = np.array([each.start for each in self.parameters])
        self.width = np.array([each.width for each in self.parameters])
        self.names = [each.name for each in self.parameters]
        edits = calibration.edits.values()
        edited = (key for edit in edits for key in (*edit.moves, *edit.sets))
        keys = (*calibration.free, *calibration.local, *edited)
        self.full = {key: self._expand(key) for key in keys}
        self.awareness_offset = self._find_awareness_offset()

    def _parameters(self) -> list[Parameter]:
        calibration, collected = self.calibration, []
        each: dict[str | None, Sequence[str | None]] = {None: (None,), "setting": self.settings}
        for key, free in calibration.free.items():
            if not (self.local and key in calibration.local):
                start = float(np.log(free.start)) if free.log else free.start
                collected += [
                    Parameter(key, start, free.width, free.log, setting)
                    for setting in each[free.by]
                ]
        for name, free in calibration.scatter.items():
            collected.append(
                Parameter(f"scatter.{name}", float(np.log(free.start)), free.width, True)
            )
        for name, edit in calibration.edits.items():
            for key in edit.moves:
                collected += [
                    Parameter(key, 0.0, calibration.belief, False, setting, name)
                    for setting in each[edit.by]
                ]
        return collected

    def _expand(self, key: str) -> tuple[str, ...]:
        """Return the full keys that a key stands for: * for both contexts; refuse others."""
        full = full_key(key)
        keys = tuple(full.replace("*", name) for name in self.contexts) if "*" in full else (full,)
        for each in keys:
            if each != SPREAD:
                try:
                    apply_overrides(self.specs, {each: self.stated(each)})
                except SpecError as error:
                    raise SpecError(f"measured: {error}") from None
        return keys

    def stated(self, key: str) -> float:
        """Return the number that the specs state for a full key."""
        try:
            return float(value_at(self.specs, key))
        except (AttributeError, KeyError, TypeError):
            return 0.0  # `apply_overrides` refuses the key

    def design(self, frame: pd.DataFrame) -> Design:
        """Return the rows of a table as the model sees them."""
        unknown = set(frame["setting"]) - set(self.settings)
        if unknown:
            raise SpecError(f"data: setting: {nearest(min(unknown), self.settings)}")
        edits = {
            name: np.array([edit.applies(text) for text in frame["condition"]])
            for name, edit in self.calibration.edits.items()
        }
        acts = {each.key: np.zeros((len(frame), len(self.parameters))) for each in self.parameters}
        for index, each in enumerate(self.parameters):
            rows = np.ones(len(frame), bool) if each.edit is None else edits[each.edit]
            if each.setting is not None:
                rows = rows & (frame["setting"].to_numpy() == each.setting)
            acts[each.key][:, index] = rows
        sets: dict[str, Array] = {}
        for name, edit in self.calibration.edits.items():
            for key, number in edit.sets.items():
                for full in self.full[key]:
                    before = sets.get(full, np.full(len(frame), np.nan))
                    sets[full] = np.where(edits[name], number, before)
        place = {self.value, self.awareness, SPREAD}
        columns = [column[:, None] for column in sets.values()]
        whole = [np.hstack([*acts.values(), *columns])]
        columns += [matrix for key, matrix in acts.items() if key not in place]
        (_, rows, curve), (_, first, alike) = (
            np.unique(np.nan_to_num(np.hstack(c), nan=-1e9), axis=0, return_index=True,
                      return_inverse=True)
            for c in (columns, whole)
        )  # fmt: skip
        return Design(acts, curve.ravel(), rows, sets, first, alike.ravel())

    def numbers(self, theta: Array, design: Design, key: str) -> Array:
        """Return a number of the model in every row [draw, row], for θ [draw, parameter]."""
        total = theta @ design.acts[key].T
        if key in self.calibration.free and self.calibration.free[key].log:
            return np.exp(np.clip(total, *_LOGARITHMS))
        return np.asarray(total if key in self.calibration.free else total + self.stated(key))

    def columns(self, theta: Array, design: Design, rows: NDArray[np.intp]) -> dict[str, Array]:
        """Return all numbers but those that place a prompt, by full key [draw, row]."""
        shape = (len(theta), len(rows))
        place = {self.value, self.awareness, SPREAD}
        collected = {
            full: self.numbers(theta, design, key)[:, rows]
            for key in design.acts
            if key not in place and not key.startswith("scatter.")
            for full in self.full[key]
        }
        if self.local:
            local = self.calibration.local
            collected |= {key: np.full(shape, number) for key, number in local.items()}
        for key, number in design.sets.items():
            otherwise = collected.get(key, np.full(shape, self.stated(key)))
            collected[key] = np.where(np.isnan(number[rows]), otherwise, number[rows])
        return collected

    def curves(self, theta: Array, design: Design) -> Array:
        """Return what agents of each value do, by curve [draw, curve, 5, point]."""
        columns = self.columns(theta, design, design.rows)
        collected = self.curves_of({key: column.ravel() for key, column in columns.items()})
        return collected.reshape(len(theta), len(design.rows), *collected.shape[1:])

    def curves_of(self, columns: Mapping[str, Array]) -> Array:
        """Return what agents of each value do, with numbers by full key [item]: [item, 5, point].

        Visible gaming in training, refusals in training without and with awareness, and refusals
        unmonitored without and with it.
        """
        points, size = len(self.grid), max(len(column) for column in columns.values())
        wide = {key: np.repeat(np.broadcast_to(c, size), points) for key, c in columns.items()}
        wide[self.value] = np.tile(self.grid, size)
        wide[self.awareness] = np.full(size * points, _SURELY)
        world, mind, opaque = self.think(wide)
        trained, unmonitored = self.tiers
        answers = np.stack(
            [
                mind.gaming_rate[trained] * world.scratchpad[trained] * (1.0 - opaque),
                mind.value_policy[self.refusal, trained],
                mind.policy[self.refusal, trained],
                mind.value_policy[self.refusal, unmonitored],
                mind.policy[self.refusal, unmonitored],
            ]
        )
        return answers.reshape(5, size, points).transpose(1, 0, 2)

    def think(self, columns: Mapping[str, Array]) -> tuple[World, Activations, Array]:
        """Return the world, what agents of the columns think in it, and how opaque they are."""
        size = max(len(column) for column in columns.values())
        program = compile_program(
            self.specs.scenario,
            agent=self.specs.agent,
            training=self.specs.training,
            agents=1,
            seed=np.zeros(size, np.uint64),
            columns=columns,
        )
        world, state = program.segments[0].world, program.layout.view(program.theta)
        with calculating():
            mind = think(world, program.traits, state)
        return world, mind, logistic(state.capability[OPACITY])

    def rates(
        self,
        theta: Array,
        design: Design,
        *,
        value: Array | None = None,
        awareness: Array | None = None,
    ) -> Array:
        """Return the rates of prompts [draw, row, deviate of value, of awareness, rate].

        Prompts lie so many standard deviations of the scatter from their places, along the value
        and along awareness [deviate]; at 0 where None.
        """
        curves = self.curves(theta, design)
        places = [
            self.placed(theta, design, key, np.zeros(1) if deviates is None else deviates)
            for key, deviates in ((self.value, value), (self.awareness, awareness))
        ]
        width = self.numbers(theta, design, SPREAD)[..., None]
        return self.mix(curves[:, design.curve], places[0], width, places[1])

    def placed(self, theta: Array, design: Design, key: str, deviates: Array) -> Array:
        """Return the value or the awareness of prompts off their places [draw, row, deviate].

        Deviates are standard, [deviate] or [draw, row, deviate].
        """
        scatter = design.acts["scatter.value" if key == self.value else "scatter.awareness"]
        width = np.exp(np.clip(theta @ scatter.T, *_LOGARITHMS))
        return np.asarray(self.numbers(theta, design, key)[..., None] + width[..., None] * deviates)

    def mix(self, curves: Array, values: Array, width: Array, awareness: Array) -> Array:
        """Return rates [..., value, awareness, rate] over queries, at places [..., value] etc.

        Curves [..., 5, point]; the width of queries [..., value] or [..., 1].
        """
        weights = self._weights(values, width)
        means = np.matmul(weights, curves.swapaxes(-1, -2))[..., None, :]
        with calculating():
            a = logistic(awareness + self.awareness_offset)[..., None, :]
        visible, plain, gamed, plain_unmonitored, gamed_unmonitored = np.moveaxis(means, -1, 0)
        return np.stack(
            [
                a * visible,
                (1.0 - a) * plain + a * gamed,
                (1.0 - a) * plain_unmonitored + a * gamed_unmonitored,
            ],
            axis=-1,
        )

    def _weights(self, centre: Array, width: Array) -> Array:
        """Return the weights of the points of the grid for normal queries [..., point]."""
        below = ndtr((self.grid - centre[..., None]) / width[..., None])
        below[..., 0], below[..., -1] = 0.0, 1.0
        mass = np.diff(below, axis=-1) / 2.0
        weights = np.zeros(below.shape)
        weights[..., :-1] = mass
        weights[..., 1:] += mass
        return weights

    def _find_awareness_offset(self) -> float:
        """Return what input adds to the logit of awareness, which must be alike in both tiers."""
        aware = self.think({self.awareness: np.zeros(1)})[1].awareness[self.tiers, 0]
        if np.ptp(aware) > 0.0:
            raise SpecError("measured.context: input must tell as much of training as in its twin")
        return float(np.log(aware[0] / (1.0 - aware[0])))


def measured_alone(specs: Specs, calibration: Calibration) -> Specs:
    """Return specs that have the measured context and its twin alone, and no spread."""
    scenario, name = specs.scenario, calibration.context
    if name not in scenario.contexts:
        raise SpecError(f"measured.context: {nearest(name, scenario.contexts)}")
    responses = scenario.contexts[name].responses
    if calibration.refusal not in responses:
        raise SpecError(f"measured.refusal: {nearest(calibration.refusal, responses)}")
    if calibration.value not in scenario.values:
        raise SpecError(f"measured.value: {nearest(calibration.value, scenario.values)}")
    twin = scenario.contexts[name].twin
    if twin is None:
        raise SpecError(f"measured.context: {name!r} has no twin, where nothing is monitored")
    data = scenario.model_dump(mode="json", exclude_unset=True)
    contexts = {each: data["contexts"][each] for each in (name, twin)}
    alone = Scenario.parse({**data, "contexts": contexts}, path="scenario")
    training = specs.training.replace(learning_rate={"propensity": 0.0})
    return read_specs(alone, agent=specs.agent.replace(spread={}), training=training)
