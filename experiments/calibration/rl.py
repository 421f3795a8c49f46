"""Training on one prompt, where others stand, and what they come to.

What an agent has become in training on one prompt, and so what any other prompt comes to.

A prompt that is not trained on changes through what it shares with the one that is: values,
awareness, horizon, competence, and the habits that carry over. So it need not be in the world that
is trained in: moments of training tell its numbers, and these its rates.

Where prompts may stand, given what was measured of them and how surely.

A place is two numbers of a prompt. Rates near 0 say little about either (a prompt without gaming
may be far from it, or very far), so no curvature tells how uncertain a place is. Here both numbers
are laid out on a grid, first over all that is allowed, then over the part that is likely, and
places are drawn by exp(−χ²/2). All places are taken to be equally likely beforehand.

Training on one prompt, in a world that holds others that are not trained on.

All prompts are met by one agent. Queries of a prompt differ in how much they offend the contested
value: as u = Φ v, a query at which the value speaks f times as strongly is a context whose features
are f times as large. So a prompt that is placed at the value v_p has kinds of query with the
features f = (v_p + s z) / v, where s is the spread of queries, z are the nodes of `kinds_of_query`
and v is the agent's own value. That is √(v_p² + s²) of the prompt trained on, so that its features
are 1 in the mean square, and ratios of learning rates mean what they do elsewhere. How readily a
prompt brings training to mind is part of the input: `info`. Before any training, rates are those of
`PromptRates`.

A prompt's queries of one tier are one context as far as habits go: its kinds share what is learnt
(similarity 1 between them). Between prompts, and between tiers, habits carry over by `spread`. All
else that training changes (values, awareness, competence, horizon) prompts have in common.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sim.dynamics.compile import compile_program
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.loop import Snapshot, records
from sim.dynamics.program import Program
from sim.dynamics.randomness import uniform_pair
from sim.dynamics.state import Array
from sim.specs.errors import SpecError
from sim.specs.overrides import Specs, apply_overrides, read_specs
from sim.utils.progress import count_progress

from .data import Calibration, Measurements
from .rates import SPREAD, PromptRates


@dataclass(frozen=True)
class Moments:
    """What an agent has become at moments of training; arrays of one shape [...].

    Attributes:
        scale: The contested value as a multiple of what it was.
        others: The other values, by name.
        awareness: By how much awareness has grown.
        habit: Of the prompt trained on, where its input says that it is trained on.
        habit_elsewhere: Of its other tier, and of all other prompts.
        log_horizon, log_competence, opacity: As they are then.
    """

    scale: Array
    others: Mapping[str, Array]
    awareness: Array
    habit: Array
    habit_elsewhere: Array
    log_horizon: Array
    log_competence: Array
    opacity: Array

    def take(self, places: Any) -> Moments:
        """Return some moments, by any index."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        others = {name: array[places] for name, array in found.pop("others").items()}
        return Moments(others=others, **{name: array[places] for name, array in found.items()})

    def turned(self) -> Moments:
        """Return moments [run, step] of moments [step, run]."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        others = {name: array.T for name, array in found.pop("others").items()}
        return Moments(others=others, **{name: array.T for name, array in found.items()})

    @staticmethod
    def join(parts: Sequence[Moments]) -> Moments:
        """Return moments one after another."""
        found = {
            one.name: np.concatenate([getattr(part, one.name) for part in parts])
            for one in fields(Moments)
            if one.name != "others"
        }
        others = {
            name: np.concatenate([part.others[name] for part in parts]) for name in parts[0].others
        }
        return Moments(others=others, **found)


def after(
    rates: PromptRates,
    calibration: Calibration,
    numbers: Mapping[str, Array],
    moments: Moments,
    *,
    is_trained: bool = False,
) -> dict[str, Array]:
    """Return the numbers of prompts at moments of training that they were no part of [row].

    What a prompt not trained on comes to depends on the agent alone, so it need not be in the
    world that is trained in; `PromptRates` of these numbers are those of `Reinforcement`.

    Args:
        rates: The model before training.
        calibration: What was measured, where.
        numbers: Of prompts before training, by full key [row].
        moments: What the agent has become [row].
        is_trained: Whether the prompt is the one trained on.
    """
    value, awareness = f"agent.initial.values.{calibration.value}", calibration.placing[1]
    signalled, unmonitored = rates.contexts

    def of(key: str) -> Array:
        return np.asarray(numbers.get(key, rates.said(key)))

    found = {key: np.asarray(column) for key, column in numbers.items()}
    for key in [key for key in found if key.startswith("agent.initial.habit")]:
        del found[key]
    width = found.get(SPREAD, np.zeros(1))
    found |= {
        value: of(value) * moments.scale,
        SPREAD: width * np.abs(moments.scale),
        awareness: of(awareness) + moments.awareness,
        f"agent.initial.habit.{signalled}": (
            moments.habit if is_trained else moments.habit_elsewhere
        ),
        f"agent.initial.habit.{unmonitored}": moments.habit_elsewhere,
        "agent.initial.log_horizon": moments.log_horizon,
        "agent.initial.log_competence": moments.log_competence,
        "agent.initial.capability.opacity": moments.opacity,
        **{f"agent.initial.values.{name}": now for name, now in moments.others.items()},
    }
    return found


#: What the contested value and awareness may be.
_VALUES, _AWARENESS = (-6.0, 12.0), (-25.0, 12.0)
#: Points of either number: on the first grid, and on the second.
_COARSE, _FINE = (61, 62), (61, 61)
#: χ² above the least that is still likely: two numbers, 0.9999.
_LIKELY = 18.0


def draw_places(
    rates: PromptRates,
    calibration: Calibration,
    measured: Measurements,
    numbers: Mapping[str, Array],
    *,
    count: int,
    birge: float = 1.0,
    seed: int = 0,
) -> list[dict[str, Array]]:
    """Return draws of the two numbers that place each row, by full key [draw].

    Args:
        rates: The model.
        calibration: What places a prompt.
        measured: The rows.
        numbers: Of the rows at their best, by full key [row].
        count: How many draws of each row.
        birge: By what published errors are multiplied.
        seed: Of the draws; a row's own are told apart by its name.
    """
    found = []
    for row in range(len(measured)):
        one = measured.take([row])
        here = {key: column[row : row + 1] for key, column in numbers.items()}
        found.append(_of_row(rates, calibration, one, here, count=count, birge=birge, seed=seed))
    return found


def _of_row(
    rates: PromptRates,
    calibration: Calibration,
    measured: Measurements,
    numbers: Mapping[str, Array],
    *,
    count: int,
    birge: float,
    seed: int,
) -> dict[str, Array]:
    def chi2(values: Array, awareness: Array) -> Array:
        points = np.meshgrid(values, awareness, indexing="ij")
        placed = dict(zip(calibration.placing, (p.ravel() for p in points), strict=True))
        seen = rates({**numbers, **placed})
        misses = (seen - measured.rates) / (birge * measured.errors)
        total: Array = (misses**2).sum(axis=1).reshape(points[0].shape)
        return total

    # Where the search found the best must be among the points, however narrow it is.
    best = [float(numbers[key][0]) for key in calibration.placing]
    values, awareness = (
        np.union1d(np.linspace(*ends, n), [at])
        for ends, n, at in zip((_VALUES, _AWARENESS), _COARSE, best, strict=True)
    )
    rise = chi2(values, awareness)
    likely = rise <= rise.min() + _LIKELY
    fine = (
        np.linspace(*_reach(values, likely.any(axis=1)), _FINE[0]),
        np.linspace(*_reach(awareness, likely.any(axis=0)), _FINE[1]),
    )
    rise = chi2(*fine)
    weight = np.exp(-0.5 * (rise - rise.min())).ravel()
    name = f"place of {measured.frame.iloc[0, 0]}"
    picks = np.unravel_index(draw(weight, count=count, seed=seed, stream=name), rise.shape)
    # Anywhere within a cell of the grid: draws are no grid.
    within = uniform_pair(seed=seed, stream=f"{name}, within", rows=np.arange(count))
    return {
        key: axis[at] + (axis[1] - axis[0]) * (off - 0.5)
        for key, axis, at, off in zip(calibration.placing, fine, picks, within, strict=True)
    }


def draw(weight: Array, *, count: int, seed: int, stream: str) -> NDArray[np.intp]:
    """Return places among weights, drawn in proportion, in an order that tells nothing [count]."""
    rows = np.arange(count)
    first, second = uniform_pair(seed=seed, stream=stream, rows=rows)
    order = np.argsort(second, kind="stable")
    # One in each of `count` equal shares: less noise than independent draws have.
    at = (rows + first)[order] / count
    total = np.cumsum(weight)
    picks: NDArray[np.intp] = np.searchsorted(total, at * total[-1], side="right")
    return picks.clip(max=len(weight) - 1)


def _reach(axis: Array, likely: Array) -> tuple[float, float]:
    """Return the likely part of an axis, and one point more on either side."""
    at = np.flatnonzero(likely)
    return float(axis[max(at[0] - 1, 0)]), float(axis[min(at[-1] + 1, len(axis) - 1)])


UpdateRule = Literal["policy_gradient", "natural_gradient"]
#: A value less than this cannot be scaled to those of other prompts.
_LEAST_VALUE = 1e-3
#: Told the share that is done.
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Course:
    """Runs of training on one prompt.

    Attributes:
        steps: Where runs were looked at [step].
        rates: Of every prompt [step, run, prompt, rate].
        moments: What the agent was then, arrays [step, run].
    """

    steps: Array
    rates: Array
    moments: Moments


class Reinforcement:
    """A world of several prompts, one of which is trained on.

    Args:
        rates: The model before training.
        calibration: What was measured, where.
        prompts: How many prompts there are.
        trained: Which one is trained on.
        spread: ρ: how far a habit carries over to other prompts and to the other tier.
        update_rule: Of training.

    Attributes:
        specs: The world, with what the specs of `rates` say of every prompt.
    """

    def __init__(
        self,
        rates: PromptRates,
        calibration: Calibration,
        *,
        prompts: int,
        trained: int = 0,
        spread: float = 0.0,
        update_rule: UpdateRule = "policy_gradient",
    ) -> None:
        self._rates = rates
        self._count = prompts
        self._trained = trained
        self._value = f"agent.initial.values.{calibration.value}"
        self._awareness = calibration.placing[1]
        self._named = calibration.value
        measured = [rates.specs.scenario.contexts[name] for name in rates.contexts]
        self._responses = list(measured[0].responses)
        self._refusal = self._responses.index(calibration.refusal)
        kinds = len(rates.nodes)
        # [prompt, tier, kind]
        self._contexts = [
            [
                [f"prompt_{p}_{tier}_{k}" for k in range(kinds)]
                for tier in ("trained", "unmonitored")
            ]
            for p in range(prompts)
        ]
        self.specs = self._world(measured, spread, update_rule)

    def _world(self, measured: Sequence[Any], spread: float, update_rule: UpdateRule) -> Specs:
        said = [
            one.model_dump(mode="json", exclude_unset=True, exclude={"twin", "kind", "weight"})
            for one in measured
        ]
        contexts: dict[str, object] = {}
        blocks = []
        for p, (signalled, unmonitored) in enumerate(self._contexts):
            kind = "training" if p == self._trained else "evaluation"
            for name, twin, weight in zip(signalled, unmonitored, self._rates.weights, strict=True):
                contexts[name] = {**said[0], "kind": kind, "twin": twin, "weight": float(weight)}
            for name in unmonitored:
                contexts[name] = {**said[1], "kind": "deployment"}
            blocks += [2 * p] * len(signalled) + [2 * p + 1] * len(unmonitored)
        block = np.array(blocks)
        similarity = np.where(block[:, None] == block, 1.0, spread)
        scenario = self._rates.specs.scenario
        return read_specs(
            {
                "name": scenario.name,
                "values": list(scenario.values),
                "human_values": dict(scenario.human_values),
                "contexts": contexts,
                "similarity": similarity.tolist(),
            },
            agent=self._rates.specs.agent,
            # Similarity says all of how habits carry over.
            training={"generalisation": {"habit": 1.0}, "update_rule": update_rule},
        )

    def columns(self, numbers: Mapping[str, Array]) -> dict[str, Array]:
        """Return the numbers of runs, by full key of this world [run].

        Args:
            numbers: As `PromptRates` takes them, by full key [run, prompt].

        Raises:
            SpecError: Prompts differ in what one agent can have only once, or the value of the
                queries trained on is about 0.
        """
        rates = self._rates
        wide = {key: np.atleast_2d(np.asarray(column, float)) for key, column in numbers.items()}
        shape = (max(column.shape[0] for column in wide.values()), self._count)
        wide = {key: np.broadcast_to(column, shape) for key, column in wide.items()}

        def of(key: str) -> Array:
            return wide.get(key, np.full(shape, rates.said(key)))

        centre, aware = of(self._value), of(self._awareness)
        width = wide.get(SPREAD, np.zeros(shape))
        own = np.hypot(centre, width)[:, self._trained]
        if (own < _LEAST_VALUE).any():
            raise SpecError(
                f"calibration: {self._value} of the prompt trained on is about 0 for all its "
                "queries: those of other prompts cannot be told as multiples of it"
            )
        found = self._of_agent(wide)
        found[self._value] = own
        # Info must not be negative, so the agent's own awareness is the least of all prompts'.
        least = aware.min(axis=1)
        found[self._awareness] = least
        factor = (centre[..., None] + width[..., None] * rates.nodes) / own[:, None, None]
        further, sensitive = aware - least[:, None], of("agent.info_sensitivity")
        if ((further > 0.0) & (sensitive == 0.0)).any():
            raise SpecError(
                "agent.info_sensitivity: got 0: prompts differ in how readily training comes to "
                "mind, which input can only tell an agent that is sensitive to it"
            )
        told = further / np.where(sensitive == 0.0, 1.0, sensitive)
        for p, tiers in enumerate(self._contexts):
            for name, kinds in zip(rates.contexts, tiers, strict=True):
                here = f"scenario.contexts.{name}"
                for k, kind in enumerate(kinds):
                    there = f"scenario.contexts.{kind}"
                    found |= {
                        f"{there}{key.removeprefix(here)}": column[:, p]
                        for key, column in wide.items()
                        if key.startswith(f"{here}.")
                    }
                    found[f"{there}.info"] = of(f"{here}.info")[:, p] + told[:, p]
                    for response in self._responses:
                        served = f"responses.{response}.{self._named}"
                        by = factor[:, p, k]
                        found[f"{there}.{served}"] = of(f"{here}.{served}")[:, p] * by
        return found

    def _of_agent(self, wide: Mapping[str, Array]) -> dict[str, Array]:
        """Return what an agent has once."""
        found = {}
        for key, column in wide.items():
            if key.startswith("scenario.") or key in (SPREAD, self._value, self._awareness):
                continue
            if np.ptp(column, axis=1).max() > 1e-9:
                raise SpecError(
                    f"calibration: {key} differs between prompts, of which one agent is to be "
                    "trained on one: prompts must be of the setting of the prompt trained on"
                )
            found[key] = column[:, self._trained]
        return found

    def specs_of(self, numbers: Mapping[str, Array]) -> Specs:
        """Return the specs of one run, which `sim.simulate` takes; arguments as `columns`."""
        columns = self.columns(numbers)
        return apply_overrides(self.specs, {key: float(c[0]) for key, c in columns.items()})

    def course(
        self,
        numbers: Mapping[str, Array],
        *,
        settings: Mapping[str, Array],
        steps: Sequence[int],
        progress: Progress | None = None,
    ) -> Course:
        """Return what becomes of every prompt in the course of training.

        Args:
            numbers: As `columns`; all runs are one program.
            settings: What else runs differ in, by full key [run] or [1]: learning rates, leak.
            steps: Where to look, increasing.
            progress: Told the share that is done.
        """
        columns = self.columns(numbers) | {key: np.asarray(c) for key, c in settings.items()}
        runs = max(len(column) for column in columns.values())
        last = max(int(steps[-1]), 1)
        program = compile_program(
            self.specs.scenario,
            agent=self.specs.agent,
            training=self.specs.training.replace(steps=last),
            agents=1,
            seed=np.zeros(runs, np.uint64),
            columns={key: np.broadcast_to(column, runs) for key, column in columns.items()},
        )
        rates = np.empty((len(steps), runs, self._count, 3))
        thetas = np.empty((len(steps), *program.theta.shape))
        history = records(
            get_engine("auto"),
            program,
            steps,
            names=("gaming_rate", "policy", "capabilities"),
            runs=runs,
            progress=count_progress(progress, runs * last),
        )
        for index, record in enumerate(history):
            rates[index] = self._rates_at(record)
            thetas[index] = record.theta
        moments = self._moments(program, thetas)
        return Course(np.asarray(steps, np.float64), rates, moments)

    def _rates_at(self, record: Snapshot) -> Array:
        """Return the rates of prompts in a record [run, prompt, rate]."""
        seen = record.observed
        room = record.program.at(record.step).world.scratchpad.T
        opaque = seen["capabilities"][:, 0, None]
        shape = (-1, self._count, 2, len(self._rates.nodes))
        visible = (seen["gaming_rate"] * room * (1.0 - opaque)).reshape(shape)[:, :, :1]
        refused = seen["policy"][:, :, self._refusal].reshape(shape)
        found: Array = np.concatenate([visible, refused], axis=2) @ self._rates.weights
        return found

    def _moments(self, program: Program, thetas: Array) -> Moments:
        """Return what agents are, from θ [step, P, run]."""
        row = program.layout.names.index
        own = row(f"values.{self._named}")
        signalled, unmonitored = (tier[0] for tier in self._contexts[self._trained])
        return Moments(
            scale=thetas[:, own] / program.origin[own],
            others={
                name: thetas[:, row(f"values.{name}")]
                for name in program.layout.values
                if name != self._named
            },
            awareness=thetas[:, row("awareness")] - program.origin[row("awareness")],
            habit=thetas[:, row(f"habit.{signalled}")],
            habit_elsewhere=thetas[:, row(f"habit.{unmonitored}")],
            log_horizon=thetas[:, row("log_horizon")],
            log_competence=thetas[:, row("log_competence")],
            opacity=thetas[:, row("capability.opacity")],
        )
