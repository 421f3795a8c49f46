"""The study of calibration: its settings, its run, its tables and the agent that comes out."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import yaml
from pydantic import Field

from sim.cli.fields import Few, OneOrMore, Seed, Spec, Workers
from sim.cli.outputs import records
from sim.dynamics.state import Array
from sim.specs.agent import Agent
from sim.specs.errors import SpecError
from sim.specs.keys import nest
from sim.specs.library import config_root
from sim.specs.overrides import Specs
from sim.utils.files import atomic_write
from sim.utils.parallel import parallel_map
from sim.utils.progress import parts_of

from . import facts
from .cross_validation import cross_validate, errors, predict_rows
from .data import OF_PROMPTS, OF_STAGES, RATES, Calibration, Measurements, read_measurements
from .fit import UNTOLD, Fit, Posterior
from .model import SPREAD, PromptModel
from .predict import Predictions, Stages, predict
from .training import Prompts

#: The path of a CSV file.
TablePath = Annotated[str, Field(min_length=1, strict=True)]
#: Searches start here, in widths of beliefs off their centres.
STARTS = (0.0, 0.5, -0.5)
#: Draws of the posterior that are kept, and those by which facts are judged.
SAMPLE, JUDGES = 400, 150
#: Rows farthest from the fit that the summary has.
WORST = 8
#: The predictions that were made before anything was tuned.
DECLARED = Path(__file__).parents[2] / "docs" / "predeclared.csv"
#: The first lines of the calibrated agent's file.
HEAD = """\
# agent=calibrated scenario=alignment_faking: the default helpful-only prompt, as the fit places
# it (docs/validation.md). Queries differ by the spread of the contested value, as agents do here.
#   command: python experiments/calibration (it writes this file, calibrated.yaml)
#   data: {path}
#   sha256: {sha256}
"""
#: Columns that the terminal shows.
SHOWN = {
    "fits": ("model", "parameters", "posterior", "chi2", "dof", "per_dof", "published_per_rate"),
    "errors": ("by", "task", "predictor", "setting", "rmse_refusal_training", "chi2_per_rate"),
    "levels": ("factor", "level", "score"),
    "predictions": ("prompt", "rate", "low_95", "low_50", "median", "high_50", "high_95"),
}


class Settings(Spec):
    """The study's own keys; their meaning and defaults are in config.yaml."""

    data: TablePath
    rl: TablePath | None
    measured: Calibration
    test: TablePath | None
    predict: TablePath | None
    folds: Annotated[Few, Field(ge=2)]
    walk: Annotated[int, Field(ge=10, le=10_000, strict=True)]
    draws: Annotated[int, Field(ge=10, le=100_000, strict=True)]
    seed: Seed
    parts: Annotated[
        OneOrMore[Literal["fit", "cross_validation", "rl", "facts"]], Field(min_length=1)
    ]
    workers: Workers | None


@dataclass(frozen=True)
class Tables:
    """The tables that settings name."""

    data: Measurements
    test: Measurements | None
    stages: Stages | None


@dataclass(frozen=True)
class Results:
    """Everything that came out."""

    tables: Tables
    fits: dict[str, Fit]
    draws: Array
    mixing: list[Array]
    cross_validation: pd.DataFrame
    test: pd.DataFrame
    predictions: Predictions | None
    facts: pd.DataFrame

    @property
    def fit(self) -> Fit:
        """Return the fit of the model with the stake of foresight."""
        return self.fits["foresight"]


def check(specs: Specs, settings: Settings) -> None:
    """Refuse tables that cannot be read, and keys of the model that name no number."""
    tables = read_tables(settings)
    model = PromptModel(specs, settings.measured, sorted(set(tables.data.frame["setting"])))
    if tables.test is not None:
        model.design(tables.test.frame)


def read_tables(settings: Settings) -> Tables:
    """Read the tables that the settings name."""
    if settings.predict is not None and "rl" not in settings.parts:
        raise SpecError("predict: needs parts to have rl, which tells what training does")
    if "rl" in settings.parts and settings.rl is None:
        raise SpecError("rl: must be the path of a table, or parts must not have rl")
    data = _read("data", settings.data)
    assert data is not None
    stages = _read("rl", settings.rl, OF_STAGES)
    further = _read("predict", settings.predict)
    is_wanted = "rl" in settings.parts
    read = Stages.read(stages, further) if stages is not None and is_wanted else None
    if read is not None and read.setting not in set(data.frame["setting"]):
        raise SpecError(f"rl: setting: {read.setting!r} is not among the settings of data")
    return Tables(data, _read("test", settings.test), read)


def run(
    specs: Specs, settings: Settings, *, progress: Callable[[float], None] | None = None
) -> Results:
    """Fit, test and predict."""
    tables, measured, parts = read_tables(settings), settings.measured, settings.parts
    shares = parts_of(progress, (15.0, 25.0, 60.0, 45.0, 20.0))
    work = partial(search, specs=specs, calibration=measured, measured=tables.data)
    jobs = [(local, start) for local in (False, True) for start in STARTS]
    best = parallel_map(work, jobs, workers=settings.workers, progress=shares[0])
    fits = {
        name: max((f for f in best if f.posterior.model.local == local), key=lambda f: f.density)
        for name, local in (("foresight", False), ("local", True))
    }
    fit = fits["foresight"]
    draws, *mixing = fit.sample(
        count=SAMPLE, seed=settings.seed, steps=settings.walk, progress=shares[1]
    )
    validation = pd.DataFrame()
    if "cross_validation" in parts:
        validation = cross_validate(
            specs, measured, tables.data, folds=settings.folds, seed=settings.seed,
            workers=settings.workers, progress=shares[2],
        )  # fmt: skip
    test = pd.DataFrame()
    if tables.test is not None:
        predicted = predict_rows(tables.data, tables.test, specs=specs, calibration=measured)
        test = predicted.assign(by="test", part="test")
    predictions = None
    if tables.stages is not None:
        predictions = predict(
            fit.posterior.model, draws, tables.stages,
            draws=settings.draws, seed=settings.seed, progress=shares[3],
        )  # fmt: skip
    answers = pd.DataFrame()
    if "facts" in parts:
        local = fits["local"]
        calibrated = facts.Calibrated(
            model=fit.posterior.model,
            theta=draws[np.linspace(0, len(draws) - 1, JUDGES).astype(int)],
            measured=tables.data,
            local=local.posterior.model,
            local_theta=np.repeat(local.theta[None], JUDGES, axis=0),
            predictions=predictions,
        )
        answers = facts.answers(calibrated)
    return Results(tables, fits, draws, mixing, validation, test, predictions, answers)


def search(
    job: tuple[bool, float], *, specs: Specs, calibration: Calibration, measured: Measurements
) -> Fit:
    """Return the best parameters from one start: of which stake, and how far from the centre."""
    local, start = job
    model = PromptModel(specs, calibration, sorted(set(measured.frame["setting"])), local=local)
    wave = np.sin(np.arange(len(model.start)))
    return Posterior(model, measured).maximise(model.start + start * model.width * wave)


def tables(results: Results) -> dict[str, pd.DataFrame]:
    """Return the tables that have rows."""
    predictions = results.predictions
    empty = pd.DataFrame()
    by_name = {
        "fits": fits_table(results),
        "parameters": parameters_table(results),
        "rows": rows_table(results),
        "cross_validation": results.cross_validation,
        "errors": errors(results.cross_validation) if len(results.cross_validation) else empty,
        "test": results.test,
        "test_errors": errors(results.test) if len(results.test) else empty,
        "hypotheses": empty if predictions is None else predictions.scores(),
        "levels": empty if predictions is None else predictions.levels(),
        "numbers": empty if predictions is None else predictions.numbers(),
        "predictions": empty if predictions is None else predictions.distributions(),
        "facts": results.facts,
    }
    return {name: table for name, table in by_name.items() if len(table)}


def fits_table(results: Results) -> pd.DataFrame:
    """Return a row for each stake: how far the model is from what was published.

    `chi2` is by errors and scatter, `published_per_rate` by published errors alone, per rate.
    """
    rows = []
    for name, fit in results.fits.items():
        measured = fit.posterior.measured
        misses = ((fit.rates - measured.rates) / measured.errors) ** 2
        dof = 3 * len(measured) - len(fit.theta)
        rows.append(
            {
                "model": name, "parameters": len(fit.theta), "posterior": fit.density,
                "likelihood": fit.posterior.log_likelihood(fit.theta[None]).sum(),
                "chi2": fit.distances.sum(), "dof": dof,
                "per_dof": fit.distances.sum() / dof if dof > 0 else np.nan,
                "published_per_rate": misses.mean(),
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def parameters_table(results: Results) -> pd.DataFrame:
    """Return a row for each parameter: what was believed, 95 % of the posterior, and a verdict."""
    model, local = results.fit.posterior.model, results.fits["local"]
    rival = dict(zip(local.posterior.model.names, local.theta, strict=True))
    rows = []
    for index, each in enumerate(model.parameters):
        low, middle, high = np.quantile(results.draws[:, index], [0.025, 0.5, 0.975])
        scale = np.exp if each.log else np.asarray
        share = results.draws[:, index].std() / each.width
        rows.append(
            {
                "parameter": each.name, "believed": float(scale(each.start)),
                "median": float(scale(middle)), "low": float(scale(low)),
                "high": float(scale(high)), "local": float(scale(rival.get(each.name, np.nan))),
                "verdict": "untold" if share > UNTOLD else "determined",
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def rows_table(results: Results) -> pd.DataFrame:
    """Return a row for each prompt: rates as published and as fitted, and the distance."""
    measured = results.tables.data
    table = measured.frame[["row", "setting", "condition", *RATES]].copy()
    for index, name in enumerate(RATES):
        table[f"fitted_{name}"] = results.fit.rates[:, index]
    return table.assign(chi2=results.fit.distances, chi2_local=results.fits["local"].distances)


def summary(results: Results, settings: Settings) -> dict[str, Any]:
    """Return all that the report shows."""
    by_name = {name: records(table) for name, table in tables(results).items()}
    rows = by_name.pop("rows")
    for table in ("cross_validation", "test"):
        by_name.pop(table, None)
    edits, conditions = settings.measured.edits.values(), [row["condition"] for row in rows]
    plain = [c for c in conditions if c != facts.DEFAULT and not any(e.applies(c) for e in edits)]
    sections = ("parameters", "hypotheses", "levels", "numbers", "predictions", "facts", "errors")
    return {
        **{name: by_name.get(name, []) for name in (*sections, "fits", "test_errors")},
        "sources": sources(settings),
        "rows": dict(sorted(Counter(row["setting"] for row in rows).items())),
        "no_edit": plain,
        "worst": sorted(rows, key=lambda row: -row["chi2"])[:WORST],
        "mixing": float(results.mixing[0].max()),
        "sample": float(results.mixing[1].min()),
        "effective": None if results.predictions is None else results.predictions.effective,
        "declared": {
            "sha256": hashlib.sha256(DECLARED.read_bytes()).hexdigest(),
            "rows": records(pd.read_csv(DECLARED)),
        },
        "questions": facts.QUESTIONS,
        "agent": agent_data(results, settings),
    }


def sources(settings: Settings) -> dict[str, dict[str, str]]:
    """Return the files that were read, by key: path and SHA-256."""
    paths = {key: getattr(settings, key) for key in ("data", "rl", "test", "predict")}
    return {
        key: {"path": name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for key, name in paths.items()
        if (path := _path(name)) is not None and path.is_file()
    }


def agent_data(results: Results, settings: Settings) -> dict[str, Any] | None:
    """Return the agent of the first default prompt, the one trained on if there is one."""
    frame = results.tables.data.frame
    stages = results.tables.stages
    is_default = frame["condition"] == facts.DEFAULT
    if stages is not None:
        is_default &= frame["setting"] == stages.setting
    if not is_default.any():
        return None
    row = results.tables.data.take([int(is_default.to_numpy().argmax())])
    prompt = Prompts.mean(results.fit.posterior.model, results.fit.theta[None], row)
    model = prompt.model
    number = {
        **prompt.columns(0),
        model.value: prompt.value[:, 0],
        model.awareness: prompt.awareness[:, 0],
        f"{SPREAD}.{settings.measured.value}": prompt.width[:, 0],
    }
    own = {key: round(float(value[0]), 4) for key, value in number.items() if "contexts" not in key}
    return dict(Agent.parse(nest(own)["agent"], path="agent").model_dump(exclude_unset=True))


def write(results: Results, directory: Path, settings: Settings) -> None:
    """Write the calibrated agent as a config, with where it comes from, if there is one."""
    agent = agent_data(results, settings)
    if agent is None:
        return
    source = sources(settings)["data"]
    with atomic_write(directory / "calibrated.yaml") as part:
        part.write_text(f"{HEAD.format(**source)}{yaml.safe_dump(agent)}", encoding="utf-8")


def _path(name: str | None) -> Path | None:
    """Return the path of a table: from here, or from where this project's own data are."""
    if name is None:
        return None
    path, own = Path(name).expanduser(), config_root().parent / name
    return own if not path.exists() and own.is_file() else path


def _read(key: str, name: str | None, columns: tuple[str, ...] = OF_PROMPTS) -> Measurements | None:
    path = _path(name)
    try:
        return None if path is None else read_measurements(path, columns=columns)
    except SpecError as error:
        raise SpecError(f"{key}: {str(error).removeprefix('data: ')}") from None
