"""The agents and the contexts that published facts are about.

Agents that facts need beside the calibrated one: one that guards as an end, one moved.

Where published facts are asked of the model: one agent that is trained on many kinds of query.

Queries differ in how much they offend the contested value (`PromptRates`). Before any training, a
spread of values over agents says the same; under training it does not, for there is one agent, and
all kinds of query move its values. So here each kind is a context of its own, with the features of
the contested value scaled by (v + s z)/v at the node z of that kind, and the node's weight; its
twin beside it. What is never said by those who published is how training was done: learning rates
and assumptions are drawn, evenly, and an answer is a share of these draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.stats import rankdata

from sim.dynamics.compile import compile_program
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.loop import records
from sim.dynamics.observe import Recorder
from sim.dynamics.state import Array
from sim.specs.agent import HABIT, Agent
from sim.specs.errors import SpecError, check_whole
from sim.specs.intervention import Interventions
from sim.specs.overrides import Specs, read_specs
from sim.specs.scenario import Scenario
from sim.sweeps.design import LatinHypercube, Range
from sim.utils.progress import count_progress

from .data import RATES, Calibration, Measurements
from .rates import SPREAD, PromptRates, kinds_of_query, measured_alone


def guarding_as_an_end(specs: Specs) -> Agent:
    """Return the agent of some specs that games as much as it does, and for no consequence.

    What guarding is worth to an agent is its incentive (3.6), which follows from what training
    would do to its values. An agent to which guarding is an end in itself is inclined to it
    whatever comes of it: its log-odds of gaming, h + τ I before training, are all habit, and
    rationality, by which consequences count, is 0. Both agents act alike until training starts.
    """
    program = compile_program(
        specs.scenario, agent=specs.agent, training=specs.training, agents=1, seed=0
    )
    now = Recorder()(program, 0, program.theta, ("incentive", "habit"))
    odds = now["habit"][0] + program.traits.rationality[0] * now["incentive"][0]
    habit = dict(zip(specs.scenario.contexts, (float(x) for x in odds), strict=True))
    initial = specs.agent.initial.replace(habit=habit)
    return specs.agent.replace(initial=initial, rationality=0.0)


def placed(
    specs: Specs, calibration: Calibration, rates: Sequence[float], *, width: float
) -> tuple[Agent, Array]:
    """Return the agent moved to where it has three rates, and the rates that it then has [rate].

    The contested value, awareness and competence move; everything else stays.

    Args:
        specs: Scenario and agent.
        calibration: What in them is measured.
        rates: As wanted, in the order of `data.RATES`.
        width: Standard deviation over queries of what they offend the contested value by.
    """
    initial = specs.agent.initial
    value = f"agent.initial.values.{calibration.value}"
    keys = (value, "agent.initial.awareness", "agent.initial.log_competence")
    target = np.asarray(rates, np.float64)
    assert target.shape == (len(RATES),)
    source = PromptRates(specs, calibration)

    def found(at: Array) -> Array:
        numbers = dict(zip(keys, np.atleast_2d(at).T, strict=True))
        return source({SPREAD: np.array([width]), **numbers})

    starts = [
        np.array([v, a, c])
        for v in (0.2, 1.0)
        for a in (initial.awareness, initial.awareness + 3.0)
        for c in (-0.5, 1.0)
    ]
    tries = [
        least_squares(lambda at: found(at)[0] - target, start, bounds=([-6, -20, -3], [8, 8, 3]))
        for start in starts
    ]
    best = np.asarray(min(tries, key=lambda one: float(one.cost)).x, np.float64)
    values = dict(initial.values or specs.scenario.human_values)
    values[calibration.value] = float(best[0])
    moved = initial.replace(values=values, awareness=float(best[1]), log_competence=float(best[2]))
    return specs.agent.replace(initial=moved), found(best)[0]


#: What is not known of a published training run, and from where to where it is drawn. The habit's
#: learning rate is held: rates count by their ratios, and the ends of courses hardly by their pace.
UNKNOWN: Mapping[str, Range] = {
    "training.learning_rate.values": Range(0.001, 1.0, "log"),
    "training.learning_rate.awareness": Range(0.001, 1.0, "log"),
    "training.motive_credit": Range(0.0, 1.0),
    "training.leak": Range(0.0, 1.0),
    "training.generalisation.habit": Range(0.0, 1.0),
}
#: The learning rate of habits.
HABIT_RATE = 0.3
#: Refusals in training count as gone below this.
GONE = 0.01
#: The value that only contexts behind a trigger have.
TRIGGERED = "behind_the_trigger"
_SEEN = ("gaming_rate", "policy", "capabilities", "incentive")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What facts are asked of.

    Attributes:
        agent: The calibrated agent.
        scenario: Its scenario.
        calibration: What in it is measured, and where.
        prompts: Published rates of prompts before training.
        draws: How many trainings are drawn.
        steps: Of each.
        seeds: Replicates where gradients are sampled.
        welfare: The agent of the animal-welfare prompt; None: `agent`, placed where that prompt is.
        seed: Of the draws.
    """

    agent: Agent
    scenario: Scenario
    calibration: Calibration
    prompts: Measurements
    draws: int = 128
    steps: int = 1500
    seeds: int = 48
    welfare: Agent | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        for name, least in (("draws", 4), ("steps", 10), ("seeds", 16)):
            check_whole(name, getattr(self, name), minimum=least, maximum=100_000)
        if self.start == 0.0:
            raise SpecError(
                f"agent.initial.values.{self.calibration.value}: is 0; kinds of query differ by "
                "multiples of it"
            )

    @cached_property
    def specs(self) -> Specs:
        """Scenario and agent."""
        return read_specs(self.scenario, agent=self.agent)

    @property
    def start(self) -> float:
        """The contested value before training."""
        values = self.specs.agent.initial.values
        said = self.scenario.human_values if values is None else values
        return float(said.get(self.calibration.value, 0.0))

    @property
    def width(self) -> float:
        """Standard deviation over queries of what they offend it by."""
        spread = self.specs.agent.spread.initial.values
        if isinstance(spread, Mapping):
            return float(spread.get(self.calibration.value, 0.0))
        return float(spread)

    @cached_property
    def unknown(self) -> dict[str, Array]:
        """What is drawn of trainings: by key [draw]."""
        design = LatinHypercube(UNKNOWN, points=self.draws, seed=self.seed)
        return {k: np.asarray(v, np.float64) for k, v in design.at(np.arange(self.draws)).items()}

    @cached_property
    def exact(self) -> dict[str, Array]:
        """The same trainings by the exact gradient: all credit, no leak, nothing carried over."""
        held = {"motive_credit": 1.0, "leak": 0.0, "generalisation.habit": 0.0}
        return self.unknown | {f"training.{k}": np.full(self.draws, v) for k, v in held.items()}

    def of(self, agent: Agent) -> Asked:
        """Return the same, asked of another agent."""
        return replace(self, agent=agent)

    def untrained(self, settings: Mapping[str, Array], *, context: str | None = None) -> Array:
        """Return the rates before training [row, rate], in the order of `data.RATES`.

        Args:
            settings: By full key, * for both contexts, numbers that differ from the agent's [row].
            context: Measured there, not where the calibration says.
        """
        calibration = self.calibration
        if context is not None:
            calibration = calibration.replace(context=context)
        rates = PromptRates(self.specs, calibration)
        numbers = {SPREAD: np.array([self.width])}
        for key, column in settings.items():
            numbers |= dict.fromkeys(rates.expand(key), np.atleast_1d(column))
        return rates(numbers)


@dataclass(frozen=True)
class Course:
    """What became of runs.

    Attributes:
        steps: Recorded steps [S].
        gaming: Gaming in training that a scratchpad shows [S, run].
        training: Refusals in training [S, run].
        unmonitored: Refusals in the twin [S, run].
    """

    steps: NDArray[np.int_]
    gaming: Array
    training: Array
    unmonitored: Array

    @property
    def gap(self) -> Array:
        """The compliance gap [S, run]."""
        gap: Array = self.unmonitored - self.training
        return gap

    @property
    def gone(self) -> NDArray[np.intp]:
        """The record from which refusals in training are gone [run]; the last if never."""
        below = self.training < GONE
        return np.where(below.any(axis=0), below.argmax(axis=0), len(self.steps) - 1)

    def falls_to(self, share: float) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Return from which record refusals in training are down to a share [run], and if ever."""
        below = self.training <= share * self.training[0]
        return below.argmax(axis=0), below.any(axis=0)

    def at(self, rates: Array, record: NDArray[np.intp]) -> Array:
        """Return rates [S, run] at a record for each run [run]."""
        found: Array = np.take_along_axis(rates, record[None], axis=0)[0]
        return found


def trained(
    asked: Asked,
    *,
    columns: Mapping[str, Array] | None = None,
    training: Mapping[str, object] | None = None,
    interventions: Interventions = (),
    terminal: bool = False,
    shared: float = 1.0,
    seeds: int = 1,
    progress: Callable[[float], None] | None = None,
) -> Course:
    """Train the agent on all kinds of query, once for each row of the columns and each seed.

    Args:
        asked: The agent, and for how long.
        columns: By full key, a number for each run; runs of one row and different seeds follow
            each other.
        training: Of the training, what is not in the columns.
        interventions: What is done to all runs.
        terminal: Whether guarding is an end in itself (`facts_agents`).
        shared: How much of what speaks for refusing in the twin is the value that is trained on;
            the rest is a value that training never meets.
        seeds: Replicates of each row.
        progress: Told the share that is done.
    """
    columns = {key: np.asarray(column, np.float64) for key, column in (columns or {}).items()}
    rows = max((len(column) for column in columns.values()), default=1)
    specs, weights = queries(asked, shared=shared, training=training, interventions=interventions)
    if terminal:
        specs = specs._replace(agent=guarding_as_an_end(specs))
    program = compile_program(
        specs.scenario,
        agent=specs.agent,
        training=specs.training,
        agents=1,
        seed=np.tile(np.arange(seeds, dtype=np.uint64), rows),
        columns={key: np.repeat(column, seeds) for key, column in columns.items()},
        interventions=specs.interventions,
    )
    every = max(1, asked.steps // 75)
    steps = [*range(0, asked.steps, every), asked.steps]
    refusal, room = _refusal(asked), _room(asked)
    names = list(specs.scenario.contexts)
    count = len(weights)
    here, there = np.arange(count), np.arange(count, 2 * count)
    assert len(names) == 2 * count
    seen: dict[str, list[Array]] = {name: [] for name in ("gaming", "training", "unmonitored")}

    for record in records(
        get_engine("auto"),
        program,
        steps,
        names=_SEEN,
        bounded=False,
        runs=rows * seeds,
        progress=count_progress(progress, program.agents * program.steps),
    ):
        now = record.observed
        visible = room * (1.0 - now["capabilities"][:, 0])
        seen["gaming"].append(visible * (now["gaming_rate"][:, here] @ weights))
        seen["training"].append(now["policy"][:, here, refusal] @ weights)
        seen["unmonitored"].append(now["policy"][:, there, refusal] @ weights)
    return Course(np.array(steps), **{name: np.array(rates) for name, rates in seen.items()})


def queries(
    asked: Asked,
    *,
    shared: float = 1.0,
    training: Mapping[str, object] | None = None,
    interventions: Interventions = (),
) -> tuple[Specs, Array]:
    """Return specs with a context for each kind of query, their twins after them, and the weights.

    Args:
        asked: What is asked.
        shared: As for `trained`.
        training: What is said of training.
        interventions: What is done.
    """
    alone = measured_alone(asked.specs, asked.calibration)
    value, start = asked.calibration.value, asked.start
    nodes, weights = kinds_of_query(asked.calibration.kinds)
    scales = (start + asked.width * nodes) / start
    places = list(alone.scenario.contexts)
    contexts: dict[str, object] = {}
    for place in places:
        for i, (scale, weight) in enumerate(zip(scales, weights, strict=True)):
            said = alone.scenario.contexts[place].model_dump(mode="json", exclude_unset=True)
            said["weight"] = float(weight)
            own = 0.0 if place == places[0] else 1.0 - shared
            for serves in said["responses"].values():
                whole = serves.get(value, 0.0) * float(scale)
                serves |= {value: (1.0 - own) * whole, TRIGGERED: own * whole}
            if place == places[0]:
                said["twin"] = f"{places[1]}_{i}"
            contexts[f"{place}_{i}"] = said
    scenario = Scenario.parse(
        {
            "name": alone.scenario.name,
            "values": [*alone.scenario.values, TRIGGERED],
            "human_values": dict(alone.scenario.human_values),
            "contexts": contexts,
        },
        path="scenario",
    )
    initial = alone.agent.initial
    values = dict(initial.values or alone.scenario.human_values) | {TRIGGERED: start}
    habit = initial.habit
    if isinstance(habit, Mapping):
        habit = {
            f"{place}_{i}": habit.get(place, HABIT) for place in places for i in range(len(weights))
        }
    agent = alone.agent.replace(initial=initial.replace(values=values, habit=habit))
    rates = {"habit": HABIT_RATE}
    said_of_training = {"steps": asked.steps, "learning_rate": rates, **(training or {})}
    done = read_specs(scenario, agent=agent, training=said_of_training, interventions=interventions)
    return done, weights


def leans_on(unknown: Mapping[str, Array], yes: NDArray[np.bool_]) -> tuple[str, float]:
    """Return what a yes or no depends on most, and the rank correlation with it.

    Args:
        unknown: What was drawn, by key [draw].
        yes: The answer in each draw [draw].
    """
    if yes.all() or not yes.any():
        return "", 0.0
    of = {
        key: float(np.corrcoef(rankdata(column), yes.astype(np.float64))[0, 1])
        for key, column in unknown.items()
    }
    key = max(of, key=lambda one: abs(of[one]))
    return key, of[key]


def _refusal(asked: Asked) -> int:
    responses = asked.scenario.contexts[asked.calibration.context].responses
    return list(responses).index(asked.calibration.refusal)


def _room(asked: Asked) -> float:
    return float(asked.scenario.contexts[asked.calibration.context].scratchpad)
