"""The scenario fitted to published measurements, put together: fits, tests, predictions, facts.

Three fits stand side by side. *By condition*: what a prompt says tells all three rates, with the
published errors. *By condition, with scatter*: the same, where prompts differ besides by as much as
makes χ² what its degrees of freedom are. *By rates*: two of a prompt's rates place it, the third
tests the model (`calibration_problems`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from sim.analysis.calibration import Fit, fit, interval
from sim.analysis.calibration_problems import by_condition, by_rates, shared_of
from sim.analysis.calibration_terms import Terms, unknown_edits
from sim.analysis.cross_validation import (
    Model,
    Predictor,
    cross_validate,
    errors_of,
    folds_of,
    predictors,
)
from sim.analysis.facts import answers, table_of
from sim.analysis.facts_answer import Answer
from sim.analysis.facts_world import Asked
from sim.analysis.measurements import RATES, Measurements
from sim.analysis.mixture import explained, mechanisms, product_chi2
from sim.analysis.progress import parts_of
from sim.analysis.prompt_rates import SPREAD, PromptRates
from sim.analysis.reinforced_predict import Reinforced
from sim.analysis.reinforced_predict import study as reinforce
from sim.analysis.smooth_rates import SmoothRates
from sim.analysis.workers import mapped
from sim.dynamics.state import Array
from sim.spec.agent import Agent
from sim.spec.calibration import Calibration
from sim.spec.errors import SpecError
from sim.spec.settings import Specs

PARTS = ("fit", "mixture", "cross_validation", "rl", "facts")
#: The fits, by what tells where a prompt stands.
CONDITION, SCATTERED, BY_RATES = "by condition", "by condition, with scatter", "by rates"
#: What each part takes, about.
_COSTS = {"fit": 6.0, "intervals": 20.0, "mixture": 8.0, "cross_validation": 16.0, "test": 3.0,
          "rl": 5.0, "facts": 4.0}  # fmt: skip
#: Prompts differ at most by so much besides.
_MOST_SCATTER = 0.4
_AGENT = "agent."
#: From so many rows on, other processes help.
_MANY = 40
#: The setting whose default prompt tells the calibrated agent, if the table has it.
_FIRST = "helpful_only"

Progress = Callable[[float], None]


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked.

    Attributes:
        specs: The scenario, and whatever of the agent is not fitted.
        calibration: What was measured, and what is free.
        data: Prompts before training, to which the model is fitted.
        stages: Prompts before and after training.
        test: Prompts that no fit sees.
        predict: Prompts before training whose rates after it are asked.
        folds: Of the cross-validation.
        seed: Of how rows are dealt to folds, and of what is drawn of trainings.
        parts: Which parts are done.
        intervals: Whether profiles are computed.
    """

    specs: Specs
    calibration: Calibration
    data: Measurements
    stages: Measurements | None = None
    test: Measurements | None = None
    predict: Measurements | None = None
    folds: int = 10
    seed: int = 0
    parts: tuple[str, ...] = PARTS
    intervals: bool = True


@dataclass
class Calibrated:
    """What came out.

    Attributes:
        question: What was asked.
        fits: By name; those that the table has rows for.
        scatter: By how much prompts differ besides; nan if that was not asked.
        parameters: A row for each parameter of each fit that places no row.
        residuals: A row for each fit, row and rate.
        mixture: A row for each setting: what the crude product explains.
        mechanisms: A row for each model with some of its mechanisms.
        predicted, errors: Of the cross-validation (`cross_validation`).
        tested, test_errors: The same of the rows that no fit saw.
        reinforced: Training on one prompt.
        answers: To the further facts.
        agent: Of the default prompt, by key; None if no fit by rates tells.
        skipped: What could not be done, and why.
        told_nothing: Conditions of which no edit tells anything.
    """

    question: Question
    fits: dict[str, Fit] = field(default_factory=dict)
    scatter: float = float("nan")
    parameters: pd.DataFrame = field(default_factory=pd.DataFrame)
    residuals: pd.DataFrame = field(default_factory=pd.DataFrame)
    mixture: pd.DataFrame = field(default_factory=pd.DataFrame)
    mechanisms: pd.DataFrame = field(default_factory=pd.DataFrame)
    predicted: pd.DataFrame = field(default_factory=pd.DataFrame)
    errors: pd.DataFrame = field(default_factory=pd.DataFrame)
    tested: pd.DataFrame = field(default_factory=pd.DataFrame)
    test_errors: pd.DataFrame = field(default_factory=pd.DataFrame)
    reinforced: Reinforced | None = None
    answers: Mapping[str, Answer] = field(default_factory=dict)
    agent: dict[str, float] | None = None
    skipped: dict[str, str] = field(default_factory=dict)
    told_nothing: tuple[str, ...] = ()

    @property
    def facts(self) -> pd.DataFrame:
        """The answers as a table."""
        return table_of(self.answers)


def terms_of(question: Question) -> tuple[Terms, SmoothRates]:
    """Return the parameters and the model that a question is about.

    Raises:
        SpecError: A key names no number, or a table has a setting that `data` has not.
    """
    rates = SmoothRates(question.specs, question.calibration)
    terms = Terms(question.calibration, rates, settings=sorted(set(question.data.frame["setting"])))
    if question.test is not None:
        terms.matrix(question.test.frame)
    return terms, rates


def calibrate(question: Question, *, progress: Progress | None = None) -> Calibrated:
    """Fit, test and predict.

    Raises:
        SpecError: What was asked does not go together; one line.
    """
    terms, rates = terms_of(question)
    found = Calibrated(question)
    conditions = list(question.data.frame["condition"])
    found.told_nothing = tuple(unknown_edits(question.calibration.edits.values(), conditions))
    wanted = [
        part
        for part in _COSTS
        if part in question.parts
        or (part == "intervals" and question.intervals and "fit" in question.parts)
        or (part == "test" and question.test is not None)
    ]
    todo = dict(zip(wanted, parts_of(progress, [_COSTS[part] for part in wanted]), strict=True))
    # What follows needs the fits, whether they are asked for or not.
    _fit(found, terms, rates, todo.get("fit"))
    if "intervals" in todo:
        _intervals(found, todo["intervals"])
    if "mixture" in todo:
        _mixture(found, terms, rates, todo["mixture"])
    if "cross_validation" in todo:
        _cross_validate(found, terms, rates, todo["cross_validation"])
    if "test" in todo:
        _test(found, terms, rates, todo["test"])
    if "rl" in todo:
        _reinforce(found, terms, todo["rl"])
    if "facts" in todo:
        _facts(found, todo["facts"])
    return found


def scatter_of(
    terms: Terms, rates: PromptRates, measured: Measurements, *, start: Fit | None = None
) -> tuple[float, Fit]:
    """Return by how much prompts differ besides, and the fit with it.

    It is the standard deviation, added to the published errors squared, at which χ² is what its
    degrees of freedom are; 0 if χ² is no more without it.
    """
    last = start or fit(by_condition(terms, rates, measured), thorough=True)
    if last.dof <= 0 or last.chi2 <= last.dof:
        return 0.0, last

    def excess(logarithm: float) -> float:
        nonlocal last
        problem = by_condition(terms, rates, measured, scatter=float(np.exp(logarithm)))
        last = fit(problem, start=last.theta)
        return float(np.log(last.chi2 / last.dof))

    ends = float(np.log(1e-3)), float(np.log(_MOST_SCATTER))
    root = float(np.exp(brentq(excess, *ends, xtol=0.01)))
    # Another valley may be lower with this scatter; once more, from there.
    cold = fit(by_condition(terms, rates, measured, scatter=root))
    begun = min(cold, last, key=lambda one: one.objective)
    last = begun
    if abs(np.log(begun.chi2 / begun.dof)) > 0.02:
        near = float(np.log(root))
        root = float(np.exp(brentq(excess, near - 0.7, near + 0.7, xtol=0.01)))
        last = fit(by_condition(terms, rates, measured, scatter=root), start=last.theta)
    return root, last


def _fit(found: Calibrated, terms: Terms, rates: PromptRates, told: Progress | None) -> None:
    measured = found.question.data
    first, second, third = parts_of(told, [1.0, 2.0, 2.0])
    plain = by_condition(terms, rates, measured)
    free = 3 * len(measured) - len(plain.terms)
    if free > 0:
        found.fits[CONDITION] = fit(plain, thorough=True)
        first(1.0)
        found.scatter, found.fits[SCATTERED] = scatter_of(
            terms, rates, measured, start=found.fits[CONDITION]
        )
    else:
        found.skipped[CONDITION] = (
            f"{len(measured)} rows have {3 * len(measured)} rates, and what they say has "
            f"{len(plain.terms)} parameters"
        )
    second(1.0)
    problem = by_rates(terms, rates, measured)
    shared = sum(term.row is None for term in problem.terms)
    if len(measured) > shared:
        found.fits[BY_RATES] = fit(problem, thorough=True)
        found.agent = _of_default(found)
    else:
        found.skipped[BY_RATES] = (
            f"each row tests the model once, and {len(measured)} rows are too few for the "
            f"{shared} numbers that prompts share"
        )
    third(1.0)
    if found.fits:
        found.parameters = pd.concat(
            [_parameters(name, one) for name, one in found.fits.items()], ignore_index=True
        )
        found.residuals = pd.concat(
            [_residuals(name, one) for name, one in found.fits.items()], ignore_index=True
        )


def _parameters(name: str, one: Fit) -> pd.DataFrame:
    rows = []
    for i, term in enumerate(one.problem.terms):
        if term.row is not None:
            continue
        theta, error = float(one.theta[i]), float(one.standard_errors[i])
        rows.append(
            {
                "fit": name,
                "name": term.name,
                "key": term.key,
                "setting": term.setting,
                "edit": term.edit,
                "fitted": theta,
                "standard_error": error,
                "low": max(theta - 1.96 * error, term.low),
                "high": min(theta + 1.96 * error, term.high),
                "interval": "curvature" if np.isfinite(error) else "none",
                "least": term.low,
                "greatest": term.high,
                "at_bound": bool(one.at_bound[i]),
            }
        )
    return pd.DataFrame(rows)


def _residuals(name: str, one: Fit) -> pd.DataFrame:
    frame, problem = one.problem.measured.frame, one.problem
    tables = []
    for i, rate in enumerate(RATES):
        tables.append(
            frame[["row", "setting", "condition"]].assign(
                fit=name,
                rate=rate,
                measured=frame[rate],
                error=problem.errors[:, i],
                model=one.rates[:, i],
                residual=one.residuals[:, i],
            )
        )
    return pd.concat(tables, ignore_index=True)


def _of_default(found: Calibrated) -> dict[str, float] | None:
    """Return the numbers of the default prompt by full key, as an agent has them."""
    one, frame = found.fits[BY_RATES], found.question.data.frame
    for setting in dict.fromkeys([_FIRST, *frame["setting"]]):
        these = np.flatnonzero(
            ((frame["setting"] == setting) & (frame["condition"] == "default")).to_numpy()
        )
        if len(these):
            return {
                key: float(np.broadcast_to(column, len(frame))[these[0]])
                for key, column in one.numbers().items()
                if key.startswith(_AGENT)
            }
    return None


def agent_data(numbers: Mapping[str, float], *, value: str, digits: int = 4) -> dict[str, object]:
    """Return an agent as plain data from numbers by full key, rounded.

    The spread is that of the contested value alone.
    """
    data: dict[str, object] = {}
    for key, number in sorted(numbers.items()):
        path = key.removeprefix(_AGENT).split(".")
        if key == SPREAD:
            path.append(value)
        node = data
        for part in path[:-1]:
            below = node.setdefault(part, {})
            assert isinstance(below, dict)
            node = below
        node[path[-1]] = round(number, digits)
    return data


def _intervals(found: Calibrated, told: Progress) -> None:
    jobs = [
        (row, found.fits[name])
        for row, (name, edit) in enumerate(
            zip(found.parameters["fit"], found.parameters["edit"], strict=True)
        )
        if name == BY_RATES or (name == SCATTERED and edit is None)
    ] if len(found.parameters) else []  # fmt: skip
    names = [[term.name for term in one.problem.terms] for _, one in jobs]
    asked = [
        (one, own.index(found.parameters.loc[row, "name"]))
        for (row, one), own in zip(jobs, names, strict=True)
    ]
    ends = mapped(_profile, asked, workers=_workers(found), progress=told)
    for (row, _), (low, high) in zip(jobs, ends, strict=True):
        found.parameters.loc[row, ["low", "high"]] = low, high
        found.parameters.loc[row, "interval"] = "profile"


def _profile(job: tuple[Fit, int]) -> tuple[float, float]:
    return interval(*job)


def _workers(found: Calibrated) -> int | None:
    """Return how many processes to use: starting them takes longer than fitting few rows."""
    return None if len(found.question.data) >= _MANY else 1


def _mixture(found: Calibrated, terms: Terms, rates: PromptRates, told: Progress) -> None:
    measured, rows = found.question.data, []
    settings = measured.frame["setting"]
    for setting in sorted(set(settings)):
        part = measured.take((settings == setting).to_numpy())
        rows.append(
            {
                "setting": setting,
                "rows": len(part),
                "explained": explained(part) if len(part) > 1 else np.nan,
                "chi2": product_chi2(part),
                "per_dof": product_chi2(part) / len(part),
            }
        )
    found.mixture = pd.DataFrame(rows)
    if BY_RATES in found.fits:
        found.mechanisms = mechanisms(terms, rates, measured, progress=told)
    else:
        found.skipped["mechanisms"] = found.skipped[BY_RATES]


def _compared(
    found: Calibrated, terms: Terms, rates: PromptRates
) -> dict[str, dict[str, Predictor]]:
    compared = predictors(Model(terms, rates))
    if CONDITION not in found.fits:
        del compared["from the prompt"]["model"]
    else:
        scattered = Model(terms, rates, scatter=found.scatter)
        compared["from the prompt"] = {
            "model": compared["from the prompt"].pop("model"),
            "model, with scatter": scattered.from_prompt,
            **compared["from the prompt"],
        }
    if BY_RATES not in found.fits:
        del compared["from two rates"]["model"]
    return compared


def _cross_validate(found: Calibrated, terms: Terms, rates: PromptRates, told: Progress) -> None:
    question = found.question
    per_setting = question.data.frame["setting"].value_counts()
    if len(question.data) < 4 or int(per_setting.min()) < 2:
        found.skipped["cross-validation"] = (
            "it takes at least 4 rows, and 2 of each setting; the table has "
            + ", ".join(f"{n} of {name}" for name, n in per_setting.items())
        )
        return
    compared = _compared(found, terms, rates)
    fold = folds_of(
        question.data, folds=min(question.folds, len(question.data)), seed=question.seed
    )
    # The model is fitted fold by fold, over processes; rivals take no time.
    models = [(task, n) for task, own in compared.items() for n in own if n.startswith("model")]
    numbers = sorted(set(fold.tolist()))
    jobs = [
        (compared[task][name], question.data.take(fold != k), question.data.take(fold == k))
        for task, name in models
        for k in numbers
    ]
    known = mapped(_predicted, jobs, workers=_workers(found), progress=told)
    for i, (task, name) in enumerate(models):
        mine = known[i * len(numbers) : (i + 1) * len(numbers)]
        compared[task][name] = _Known(
            {_names(jobs[i * len(numbers) + k][2]): rows for k, rows in enumerate(mine)}
        )
    found.predicted = cross_validate(
        question.data,
        compared,
        folds=min(question.folds, len(question.data)),
        seed=question.seed,
    )
    found.errors = errors_of(found.predicted, question.data)


@dataclass(frozen=True)
class _Known:
    """Predictions that were made before, by the rows that were asked."""

    of: Mapping[tuple[str, ...], Array]

    def __call__(self, seen: Measurements, asked: Measurements) -> Array:
        return self.of[_names(asked)]


def _names(measured: Measurements) -> tuple[str, ...]:
    frame = measured.frame
    return tuple(frame["row"] + "/" + frame["setting"] + "/" + frame["condition"])


def _predicted(job: tuple[Predictor, Measurements, Measurements]) -> Array:
    predictor, seen, asked = job
    return predictor(seen, asked)


def _test(found: Calibrated, terms: Terms, rates: PromptRates, told: Progress) -> None:
    question, tables = found.question, []
    assert question.test is not None
    compared = _compared(found, terms, rates)
    jobs = [(task, name) for task, named in compared.items() for name in named]
    named = [c for c in ("row", "setting", "condition") if c in question.test.frame]
    for done, (task, name) in enumerate(jobs):
        predicted = compared[task][name](question.data, question.test)
        table = question.test.frame[named].copy()
        table.insert(0, "task", task)
        table.insert(1, "predictor", name)
        tables.append(table.assign(**dict(zip(RATES, predicted.T, strict=True))))
        told((done + 1) / len(jobs))
    found.tested = pd.concat(tables, ignore_index=True)
    found.test_errors = errors_of(found.tested, question.test)


def _reinforce(found: Calibrated, terms: Terms, told: Progress) -> None:
    question = found.question
    if BY_RATES not in found.fits:
        found.skipped["rl"] = f"it needs the fit by rates: {found.skipped[BY_RATES]}"
        return
    assert question.stages is not None
    settings = sorted(set(question.stages.frame["setting"]))
    missing = [s for s in settings if s not in set(question.data.frame["setting"])]
    if missing:
        found.skipped["rl"] = f"the table of the fit has no row of the setting {missing[0]!r}"
        return
    # Trained agents meet kinds of query, so here prompts are placed by kinds too.
    found.reinforced = reinforce(
        question.stages,
        calibration=question.calibration,
        terms=terms,
        rates=PromptRates(question.specs, question.calibration),
        shared=shared_of(found.fits[BY_RATES]),
        prompts=question.predict,
        seed=question.seed,
        progress=told,
    )


def _facts(found: Calibrated, told: Progress) -> None:
    question = found.question
    if found.agent is None:
        found.skipped["facts"] = found.skipped.get(BY_RATES, "no row is of the default prompt")
        return
    agent = Agent.parse(agent_data(found.agent, value=question.calibration.value), path="agent")
    try:
        asked = Asked(
            agent=agent.completed_by(question.specs.agent),
            scenario=question.specs.scenario,
            calibration=question.calibration,
            prompts=question.data,
            seed=question.seed,
        )
        found.answers = answers(asked, progress=told)
    except SpecError as error:
        found.skipped["facts"] = str(error)
