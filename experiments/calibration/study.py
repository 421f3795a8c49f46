"""The study of calibration: its settings, its run, its tables and the agent that comes out."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import yaml
from pydantic import Field

from sim.cli.fields import Few, OneOrMore, Seed, Spec
from sim.cli.outputs import records
from sim.specs.errors import SpecError
from sim.specs.library import config_root
from sim.specs.overrides import Specs
from sim.utils.files import atomic_write

from .calibrate import BY_RATES, PARTS, Calibrated, Question, calibrate, terms_of
from .data import OF_PROMPTS, OF_STAGES, Calibration, Measurements, read_measurements
from .fit_models import agent_data
from .rates import SmoothRates
from .rl_fit import read_prompts, read_stages
from .rl_predict import disagreements, variant_name

#: The path of a CSV file.
TablePath = Annotated[str, Field(min_length=1, strict=True)]
#: Rows of residuals of each fit that the summary has, the largest first.
WORST = 12
#: Chi-square per degree of freedom above which errors do not account for the residuals.
MISFIT = 1.5
#: Shares of the range of a parameter above which an interval says nothing.
FLAT = 0.6
#: The rise of chi-square at 5 %, for one degree of freedom.
RISE = 3.84
#: Columns that the terminal shows.
_ERRORS = ("task", "predictor", "setting", "rmse_refusal_training", "rmse_gap", "chi2_per_rate")
SHOWN = {
    "fits": ("fit", "parameters", "chi2", "dof", "per_dof", "verdict"),
    "errors": _ERRORS,
    "test_errors": _ERRORS,
    "skipped": ("part", "reason"),
}


class Settings(Spec):
    """The study's own keys; their meaning and defaults are in config.yaml."""

    data: TablePath
    rl: TablePath | None
    measured: Calibration
    test: TablePath | None
    predict: TablePath | None
    folds: Annotated[Few, Field(ge=2)]
    seed: Seed
    parts: Annotated[
        OneOrMore[Literal["fit", "mixture", "cross_validation", "rl", "facts"]], Field(min_length=1)
    ]
    intervals: Annotated[bool, Field(strict=True)]


def check(specs: Specs, settings: Settings) -> None:
    """Refuse tables that cannot be read, and keys of the model that name no number.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    question = read_question(specs, settings)
    terms, _ = terms_of(question)
    stages = question.stages
    if stages is not None and set(stages.frame["setting"]) <= set(question.data.frame["setting"]):
        rough = SmoothRates(specs, settings.measured, cells=2)  # only the table is checked
        read_stages(stages, terms=terms, rates=rough, shared={})


def run(
    specs: Specs, settings: Settings, *, progress: Callable[[float], None] | None = None
) -> Calibrated:
    """Fit, test and predict.

    Raises:
        SpecError: As for `check`.
    """
    return calibrate(read_question(specs, settings), progress=progress)


def read_question(specs: Specs, settings: Settings) -> Question:
    """Read the tables that the settings name.

    Raises:
        SpecError: A table is missing or malformed, or settings do not go together.
    """
    parts = settings.parts
    if settings.predict is not None and "rl" not in parts:
        raise SpecError("predict: needs parts to have rl, which tells what training does")
    if "rl" in parts and settings.rl is None:
        raise SpecError("rl: must be the path of a table, or parts must not have rl")
    predict = _path(settings.predict)
    data, stages = _read("data", settings.data), _read("rl", settings.rl, OF_STAGES)
    assert data is not None
    return Question(
        specs=specs,
        calibration=settings.measured,
        data=data,
        stages=stages if "rl" in parts else None,
        test=_read("test", settings.test),
        predict=None if predict is None else read_prompts(predict),
        folds=settings.folds,
        seed=settings.seed,
        parts=tuple(part for part in PARTS if part in parts),
        intervals=settings.intervals,
    )


def tables(results: Calibrated) -> dict[str, pd.DataFrame]:
    """Return the tables that have rows: fits, residuals, errors, predictions and facts."""
    rl = results.reinforced
    empty = pd.DataFrame()
    named = {
        "fits": fits_table(results),
        "parameters": results.parameters,
        "residuals": results.residuals,
        "mixture": results.mixture,
        "mechanisms": results.mechanisms,
        "cross_validation": results.predicted,
        "errors": results.errors,
        "test": results.tested,
        "test_errors": results.test_errors,
        "variants": empty if rl is None else rl.variants,
        "predictions": empty if rl is None else rl.predictions,
        "courses": empty if rl is None else rl.courses,
        "facts": results.facts,
        "skipped": pd.DataFrame(list(results.skipped.items()), columns=["part", "reason"]),
    }
    return {name: table for name, table in named.items() if len(table)}


def fits_table(results: Calibrated) -> pd.DataFrame:
    """Return a row for each fit: its parameters, chi-square, and whether errors account for it."""
    rows = [
        {
            "fit": name,
            "parameters": len(fit.theta),
            "shared": sum(term.row is None for term in fit.problem.terms),
            "chi2": fit.chi2,
            "dof": fit.dof,
            "per_dof": fit.chi2 / fit.dof,
            "verdict": "misfit" if fit.chi2 / fit.dof > MISFIT else "within errors",
        }
        for name, fit in results.fits.items()
    ]
    return pd.DataFrame(rows)


def summary(results: Calibrated, settings: Settings) -> dict[str, Any]:
    """Return all that the report shows."""
    question = results.question
    counts = question.data.frame["setting"].value_counts().sort_index()
    worst = results.residuals
    if len(worst):
        order = worst["residual"].abs().sort_values(ascending=False, kind="stable").index
        worst = worst.loc[order]
    fits = {row.pop("fit"): row for row in records(fits_table(results))}
    mechanisms = results.mechanisms
    return {
        "sources": sources(settings),
        "rows": {str(name): int(n) for name, n in counts.items()},
        "kinds": question.calibration.kinds,
        "folds": min(question.folds, len(question.data)),
        "fits": {
            name: {
                **row,
                "converged": results.fits[name].converged,
                "worst": records(worst[worst["fit"] == name].head(WORST)),
                "by_setting": _by_setting(results.residuals, name),
            }
            for name, row in fits.items()
        },
        "scatter": results.scatter if math.isfinite(results.scatter) else None,
        "parameters": [
            {**row, "verdict": parameter_verdict(row)} for row in records(results.parameters)
        ],
        "mixture": records(results.mixture),
        "mechanisms": mechanism_rows(mechanisms) if len(mechanisms) else [],
        "errors": records(results.errors),
        "test_errors": records(results.test_errors),
        "rl": _rl_summary(results),
        "facts": [
            {**row, "numbers": dict(results.answers[row["name"]].numbers)}
            for row in records(results.facts)
        ],
        "agent": results.agent,
        "skipped": dict(results.skipped),
        "no_edit": list(results.told_nothing),
    }


def parameter_verdict(row: dict[str, Any]) -> str:
    """Say whether the data determine a parameter: from its interval, bounds and curvature."""
    if row["at_bound"]:
        return "at a bound"
    if row["interval"] == "none":
        return "no effect"
    if row["low"] is None or row["high"] is None:
        return "determined"
    is_flat = row["high"] - row["low"] > FLAT * (row["greatest"] - row["least"])
    return "undetermined" if is_flat else "determined"


def mechanism_rows(mechanisms: pd.DataFrame) -> list[dict[str, Any]]:
    """Return models with some mechanisms, and whether chi-square rises by 3.84 beside all."""
    table = mechanisms[["model", "chi2", "dof", "per_dof"]]
    whole = float(table.loc[table["model"] == "all", "chi2"].iloc[0])
    return [
        {**row, "verdict": "worse" if row["chi2"] - whole >= RISE else "alike"}
        for row in records(table)
    ]


def _rl_summary(results: Calibrated) -> dict[str, Any] | None:
    rl = results.reinforced
    if rl is None:
        return None
    variants = rl.variants.assign(
        variant=[variant_name(row) for _, row in rl.variants.iterrows()],
        verdict=[
            "alike" if chi2 < rl.variants["chi2"].min() + RISE else "worse"
            for chi2 in rl.variants["chi2"]
        ],
    )
    return {
        "trained": rl.stages.trained,
        "setting": rl.stages.setting,
        "variants": records(variants),
        "predictions": records(rl.predictions),
        "disagreements": records(disagreements(rl)),
    }


def _by_setting(residuals: pd.DataFrame, name: str) -> dict[str, float]:
    """Return χ² over the number of rates, by setting and rate."""
    part = residuals[residuals["fit"] == name]
    grouped = (part["residual"] ** 2).groupby([part["setting"], part["rate"]]).mean()
    return {f"{setting}, {rate}": float(x) for (setting, rate), x in grouped.items()}


def sources(settings: Settings) -> dict[str, dict[str, str]]:
    """Return the files that were read, by key: path and SHA-256."""
    named = {"data": settings.data, "rl": settings.rl, "test": settings.test,
             "predict": settings.predict}  # fmt: skip
    paths = {key: (name, _path(name)) for key, name in named.items()}
    return {
        key: {"path": str(name), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for key, (name, path) in paths.items()
        if path is not None and path.is_file()
    }


def write(results: Calibrated, directory: Path, settings: Settings) -> None:
    """Write the calibrated agent as a config, with where it comes from, if there is one."""
    if results.agent is None:
        return
    fit, source = results.fits[BY_RATES], sources(settings)["data"]
    text = "\n".join(
        [
            "# agent=calibrated scenario=alignment_faking: the default helpful-only prompt, as",
            "# the fit by rates has it (docs/validation.md). Queries differ by the spread of the",
            "# contested value; a population of agents stands for them.",
            "#   command: python experiments/calibration (it writes this file, calibrated.yaml)",
            f"#   data: {source['path']}",
            f"#   sha256: {source['sha256']}",
            f"#   chi-square per degree of freedom: {fit.chi2:.1f} / {fit.dof}",
            f"#   date: {datetime.now(UTC).date().isoformat()}",
            yaml.safe_dump(agent_data(results.agent, value=settings.measured.value)),
        ]
    )
    with atomic_write(directory / "calibrated.yaml") as part:
        part.write_text(text, encoding="utf-8")


def _path(name: str | None) -> Path | None:
    """Return the path of a table: from here, or from where this project's own data are."""
    if name is None:
        return None
    path, own = Path(name).expanduser(), config_root().parent / name
    return own if not path.exists() and own.is_file() else path


def _read(key: str, name: str | None, columns: tuple[str, ...] = OF_PROMPTS) -> Measurements | None:
    path = _path(name)
    try:
        return None if path is None else read_measurements(path, of=columns)
    except SpecError as error:
        raise SpecError(f"{key}: {str(error).removeprefix('data: ')}") from None
