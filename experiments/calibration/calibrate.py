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

from experiments.calibration.cross_validation import (
    Model,
    Predictor,
    cross_validate,
    errors_of,
    predictions,
    predictors,
)
from experiments.calibration.facts import answers, table_of
from experiments.calibration.facts_answer import Answer
from experiments.calibration.facts_world import Asked
from experiments.calibration.fit import Fit, fit, interval
from experiments.calibration.measurements import Measurements
from experiments.calibration.mixture import explained, mechanisms, product_chi2
from experiments.calibration.problems import by_condition, by_rates, shared_of
from experiments.calibration.prompt_rates import PromptRates
from experiments.calibration.reinforced_predict import Reinforced
from experiments.calibration.reinforced_predict import study as reinforce
from experiments.calibration.scatter import scatter_of
from experiments.calibration.smooth_rates import SmoothRates
from experiments.calibration.spec import Calibration
from experiments.calibration.tables import agent_data, default_prompt, parameters_of, residuals_of
from experiments.calibration.terms import Terms, unknown_edits
from sim.specs.agent import Agent
from sim.specs.errors import SpecError
from sim.specs.overrides import Specs
from sim.utils.parallel import parallel_map
from sim.utils.progress import parts_of

PARTS = ("fit", "mixture", "cross_validation", "rl", "facts")
#: The fits, by what tells where a prompt stands.
CONDITION, SCATTERED, BY_RATES = "by condition", "by condition, with scatter", "by rates"
#: What each part takes, about.
_COSTS = {"fit": 6.0, "intervals": 20.0, "mixture": 8.0, "cross_validation": 16.0, "test": 3.0,
          "rl": 5.0, "facts": 4.0}  # fmt: skip
#: From so many rows on, other processes help.
_MANY = 40
#: The setting whose default prompt tells the calibrated agent, if the table has it.
_FIRST = "helpful_only"
#: The setting whose default prompt some further facts are about.
_WELFARE = "animal_welfare"

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
        found.skipped[CONDITION] = f"rates: {3 * len(measured)}, parameters: {len(plain.terms)}"
    second(1.0)
    problem = by_rates(terms, rates, measured)
    shared = sum(term.row is None for term in problem.terms)
    if len(measured) > shared:
        found.fits[BY_RATES] = fit(problem, thorough=True)
        settings = (_FIRST, *measured.frame["setting"])
        told_by = (default_prompt(found.fits[BY_RATES], setting) for setting in settings)
        found.agent = next((numbers for numbers in told_by if numbers), None)
    else:
        found.skipped[BY_RATES] = f"rows: {len(measured)}, shared parameters: {shared}"
    third(1.0)
    if found.fits:
        found.parameters = pd.concat(
            [parameters_of(name, one) for name, one in found.fits.items()], ignore_index=True
        )
        found.residuals = pd.concat(
            [residuals_of(name, one) for name, one in found.fits.items()], ignore_index=True
        )


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
    ends = parallel_map(_profile, asked, workers=_workers(found), progress=told)
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
        found.skipped["cross-validation"] = "rows: " + ", ".join(
            f"{name} {n}" for name, n in per_setting.items()
        )
        return
    found.predicted = cross_validate(
        question.data,
        _compared(found, terms, rates),
        folds=min(question.folds, len(question.data)),
        seed=question.seed,
        workers=_workers(found),
        progress=told,
    )
    found.errors = errors_of(found.predicted, question.data)


def _test(found: Calibrated, terms: Terms, rates: PromptRates, told: Progress) -> None:
    question, predicted = found.question, {}
    assert question.test is not None
    compared = _compared(found, terms, rates)
    jobs = [(task, name) for task, named in compared.items() for name in named]
    for done, (task, name) in enumerate(jobs):
        predicted[task, name] = compared[task][name](question.data, question.test)
        told((done + 1) / len(jobs))
    found.tested = predictions(question.test, predicted)
    found.test_errors = errors_of(found.tested, question.test)


def _reinforce(found: Calibrated, terms: Terms, told: Progress) -> None:
    question = found.question
    if BY_RATES not in found.fits:
        found.skipped["rl"] = found.skipped[BY_RATES]
        return
    assert question.stages is not None
    settings = sorted(set(question.stages.frame["setting"]))
    missing = [s for s in settings if s not in set(question.data.frame["setting"])]
    if missing:
        found.skipped["rl"] = f"rows of {missing[0]}: 0"
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
        found.skipped["facts"] = found.skipped.get(BY_RATES, "rows of the default prompt: 0")
        return
    welfare = default_prompt(found.fits[BY_RATES], _WELFARE)
    try:
        asked = Asked(
            agent=_agent(question, found.agent),
            welfare=_agent(question, welfare) if welfare else None,
            scenario=question.specs.scenario,
            calibration=question.calibration,
            prompts=question.data,
            seed=question.seed,
        )
        found.answers = answers(asked, progress=told)
    except SpecError as error:
        found.skipped["facts"] = str(error)


def _agent(question: Question, numbers: Mapping[str, float]) -> Agent:
    data = agent_data(numbers, value=question.calibration.value)
    return Agent.parse(data, path="agent").completed_by(question.specs.agent)
