"""The fit to published measurements as a command: what it is told, what it leaves behind."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from matplotlib.figure import Figure
from omegaconf import DictConfig
from rich.console import Group, RenderableType
from rich.table import Column, Table

from experiments.calibration.figure import errors_figure, mechanisms_figure, predicted_figure
from experiments.calibration.figure_facts import facts_figure
from experiments.calibration.figure_reinforced import reinforced_figure
from experiments.calibration.measurements import (
    OF_PROMPTS,
    OF_STAGES,
    Measurements,
    read_measurements,
)
from experiments.calibration.reinforced_stages import read_prompts, read_stages
from experiments.calibration.reinforced_text import predictions_paragraph, variants_paragraph
from experiments.calibration.smooth_rates import SmoothRates
from experiments.calibration.spec import Calibration
from experiments.calibration.study import BY_RATES, PARTS, Calibrated, Question, terms_of
from experiments.calibration.tables import agent_data
from experiments.calibration.text import page
from sim.cli.compose import read_study
from sim.cli.help import keys_of, study_help
from sim.cli.outputs import records, write_figure, write_frame, write_json
from sim.cli.study import describe
from sim.simulation import MOST_SEED
from sim.specs.errors import SpecError, check_whole, nearest
from sim.specs.library import config_root
from sim.specs.overrides import Specs
from sim.utils.files import atomic_write

#: The keys of configs/calibration.yaml besides the specs, with their defaults, for the help.
OWN = {
    "data=data/alignment_faking_prompts.csv": "prompts before training, which are fitted",
    "rl=data/alignment_faking_rl.csv": "prompts before and after training on one of them",
    "measured=alignment_faking": "what was measured and what is free (configs/measured)",
    "test=null": "a table of prompts that no fit sees, predicted",
    "predict=null": "prompts before training (either form), whose rates after it are asked",
    "folds=10": "of the cross-validation",
    "seed=0": "of how rows are dealt to folds, and of drawn trainings",
    "parts=[fit,mixture,cross_validation,rl,facts]": "what is done",
    "intervals=true": "profile-likelihood intervals; they take longest",
}
KEYS = keys_of(OWN)
HELP = study_help(
    "the scenario fitted to published measurements, and what that tests.\n"
    "  Tables have the form of data/alignment_faking_prompts.csv: any rows, any half of them.\n"
    "  '++measured.free={agent.discernment: {start: 1, low: 1, high: 2}}' moves a number\n"
    "  within other ends, '++measured.edits={NAME: {when: WORDS, moves: [KEY]}}' adds an edit",
    OWN,
    example="data=half.csv test=other_half.csv parts=[fit]",
)
#: So many rows of residuals are told.
_WORST = 12


@dataclass(frozen=True)
class Study:
    """What is asked for.

    Attributes:
        question: What is computed.
        sources: The files, by key: path and SHA-256.
    """

    question: Question
    sources: Mapping[str, Mapping[str, str]]


def read(config: DictConfig, *, scenario_name: str | None = None) -> Study:
    """Check what a config asks for.

    Args:
        config: Composed by Hydra, with the keys of configs/calibration.yaml.
        scenario_name: What to call a scenario that has no name of its own.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    specs, own = read_study(config, KEYS, scenario_name=scenario_name)
    calibration = Calibration.parse(own["measured"], path="measured")
    check_whole("folds", own["folds"], minimum=2)
    check_whole("seed", own["seed"], minimum=0, maximum=MOST_SEED)
    if not isinstance(own["intervals"], bool):
        raise SpecError(f"intervals: got {own['intervals']!r}: must be true or false")
    parts = own["parts"] if isinstance(own["parts"], list) else [own["parts"]]
    for part in parts:
        if part not in PARTS:
            raise SpecError(f"parts: got {part!r}: {nearest(str(part), PARTS)}")
    paths = {key: _path(key, own[key]) for key in ("data", "rl", "test", "predict")}
    if paths["data"] is None:
        raise SpecError("data: must be the path of a table")
    if paths["predict"] is not None and "rl" not in parts:
        raise SpecError("predict: needs parts to have rl, which tells what training does")
    if "rl" in parts and paths["rl"] is None:
        raise SpecError("rl: must be the path of a table, or parts must not have rl")
    question = Question(
        specs=specs,
        calibration=calibration,
        data=read_measurements(paths["data"]),
        stages=_read(paths["rl"], OF_STAGES) if "rl" in parts else None,
        test=_read(paths["test"], OF_PROMPTS),
        predict=None if paths["predict"] is None else read_prompts(paths["predict"]),
        folds=own["folds"],
        seed=own["seed"],
        parts=tuple(part for part in PARTS if part in parts),
        intervals=own["intervals"],
    )
    terms, _ = terms_of(question)
    stages = question.stages
    if stages is not None and set(stages.frame["setting"]) <= set(question.data.frame["setting"]):
        rough = SmoothRates(specs, calibration, cells=2)  # only the table is checked
        read_stages(stages, terms=terms, rates=rough, shared={})
    sources = {
        key: {"path": str(own[key]), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for key, path in paths.items()
        if path is not None
    }
    return Study(question, sources)


def _path(key: str, given: object) -> Path | None:
    """Return the path of a table: from here, or from where this project's own data are."""
    if given is None:
        return None
    if not isinstance(given, str) or not given:
        raise SpecError(f"{key}: got {given!r}: must be the path of a table")
    here, own = Path(given).expanduser(), config_root().parent / given
    return own if not here.exists() and own.is_file() else here


def _read(path: Path | None, of: tuple[str, ...]) -> Measurements | None:
    return None if path is None else read_measurements(path, of=of)


def write(directory: Path, study: Study, found: Calibrated) -> list[Path]:
    """Write the tables, the page, the agent and the figures; returns the figures' paths."""
    summary = summarise(study, found)
    text = page(summary)
    figures = _figures(found)
    facts = found.facts if found.answers else pd.DataFrame()
    reinforced = found.reinforced
    tables = {
        "parameters": found.parameters,
        "residuals": found.residuals,
        "mixture": found.mixture,
        "mechanisms": found.mechanisms,
        "cross_validation": found.predicted,
        "errors": found.errors,
        "test": found.tested,
        "test_errors": found.test_errors,
        "variants": pd.DataFrame() if reinforced is None else reinforced.variants,
        "predictions": pd.DataFrame() if reinforced is None else reinforced.predictions,
        "courses": pd.DataFrame() if reinforced is None else reinforced.courses,
        "facts": facts.drop(columns="numbers") if len(facts) else facts,
    }
    for name, table in tables.items():
        if len(table):
            write_frame(directory / f"{name}.csv", table)
    if found.agent is not None:
        with atomic_write(directory / "calibrated.yaml") as part:
            part.write_text(agent_file(study, found), encoding="utf-8")
    with atomic_write(directory / "validation.md") as part:
        part.write_text(text, encoding="utf-8")
    paths = [write_figure(directory / name, figure)[0] for name, figure in figures.items()]
    specs = study.question.specs
    write_json(
        directory / "provenance.json",
        describe(Specs(specs.scenario, specs.agent, specs.training), study=_described(study)),
    )
    write_json(directory / "summary.json", summary)
    return paths


def _figures(found: Calibrated) -> dict[str, Figure]:
    figures = {}
    if len(found.residuals):
        figures["calibration"] = predicted_figure(found)
    if len(found.mechanisms):
        figures["mechanisms"] = mechanisms_figure(found.mechanisms)
    if len(found.errors):
        figures["cross_validation"] = errors_figure(found.errors)
    if found.reinforced is not None:
        figures["reinforced"] = reinforced_figure(found.reinforced)
    if found.answers:
        figures["facts"] = facts_figure(found.answers, name="the calibrated agent")
    return figures


def _described(study: Study) -> dict[str, Any]:
    question = study.question
    return {
        "sources": {key: dict(source) for key, source in study.sources.items()},
        "measured": question.calibration.model_dump(mode="json"),
        "folds": question.folds,
        "seed": question.seed,
        "parts": list(question.parts),
        "intervals": question.intervals,
    }


def summarise(study: Study, found: Calibrated) -> dict[str, Any]:
    """Return all that the page tells, as JSON has it."""
    question = study.question
    counts = question.data.frame["setting"].value_counts().sort_index()
    worst = found.residuals
    if len(worst):
        order = worst["residual"].abs().sort_values(ascending=False, kind="stable").index
        worst = worst.loc[order]
    reinforced = found.reinforced
    return {
        "sources": {key: dict(source) for key, source in study.sources.items()},
        "rows": {str(name): int(n) for name, n in counts.items()},
        "kinds": question.calibration.kinds,
        "folds": min(question.folds, len(question.data)),
        "fits": {
            name: {
                "chi2": one.chi2,
                "dof": one.dof,
                "per_dof": one.chi2 / one.dof,
                "parameters": len(one.theta),
                "shared": sum(term.row is None for term in one.problem.terms),
                "converged": one.converged,
                "worst": records(worst[worst["fit"] == name].head(_WORST)),
                "by_setting": _by_setting(found.residuals, name),
            }
            for name, one in found.fits.items()
        },
        "scatter": found.scatter if math.isfinite(found.scatter) else None,
        "parameters": records(found.parameters),
        "mixture": records(found.mixture),
        "mechanisms": records(found.mechanisms[["model", "chi2", "dof", "per_dof"]])
        if len(found.mechanisms)
        else [],
        "errors": records(found.errors),
        "test_errors": records(found.test_errors),
        "rl": None
        if reinforced is None
        else {
            "trained": reinforced.stages.trained,
            "setting": reinforced.stages.setting,
            "variants": records(reinforced.variants),
            "predictions": records(reinforced.predictions),
            "said": [variants_paragraph(reinforced), predictions_paragraph(reinforced)],
        },
        "facts": records(found.facts.drop(columns="numbers")) if found.answers else [],
        "agent": found.agent,
        "skipped": dict(found.skipped),
        "told_nothing": list(found.told_nothing),
    }


def _by_setting(residuals: pd.DataFrame, name: str) -> dict[str, float]:
    """Return χ² over the number of rates, by setting and rate."""
    part = residuals[residuals["fit"] == name]
    grouped = (part["residual"] ** 2).groupby([part["setting"], part["rate"]]).mean()
    return {f"{setting}, {rate}": float(x) for (setting, rate), x in grouped.items()}


def agent_file(study: Study, found: Calibrated) -> str:
    """Return the calibrated agent as a config, with where it comes from."""
    assert found.agent is not None
    one, source = found.fits[BY_RATES], study.sources["data"]
    data = agent_data(found.agent, value=study.question.calibration.value)
    return "\n".join(
        [
            "# agent=calibrated scenario=alignment_faking: the default helpful-only prompt, as",
            "# the fit by rates has it (docs/validation.md). Queries differ by the spread of the",
            "# contested value; a population of agents stands for them.",
            "#   command: python experiments/calibration.py (it writes this file, calibrated.yaml)",
            f"#   data: {source['path']}",
            f"#   sha256: {source['sha256']}",
            f"#   chi-square per degree of freedom: {one.chi2:.1f} / {one.dof}",
            f"#   date: {datetime.now(UTC).date().isoformat()}",
            yaml.safe_dump(data, sort_keys=True),
        ]
    )


def closing(found: Calibrated) -> RenderableType:
    """Return what is shown at the end: the fits, the errors, what is found, what was left out."""
    fits = Table(
        "fit",
        Column("parameters", justify="right"),
        Column("chi-square", justify="right"),
        Column("dof", justify="right"),
        Column("per dof", justify="right"),
        title="Fits",
        title_justify="left",
    )
    for name, one in found.fits.items():
        fits.add_row(
            name, str(len(one.theta)), f"{one.chi2:.1f}", str(one.dof), f"{one.chi2 / one.dof:.2f}"
        )
    shown: list[RenderableType] = [fits]
    for title, errors in (
        ("Cross-validated", found.errors),
        ("On rows no fit saw", found.test_errors),
    ):
        if len(errors):
            shown.append(_errors_table(title, errors))
    shown += [f"Left out, {name}: {why}." for name, why in found.skipped.items()]
    return Group(*shown)


def _errors_table(title: str, errors: pd.DataFrame) -> Table:
    table = Table(
        "task",
        "predictor",
        *(Column(name, justify="right") for name in ("faking", "training", "unmonitored", "gap")),
        title=f"{title}: root mean square errors, all rows",
        title_justify="left",
    )
    names = ("rmse_af_reasoning", "rmse_refusal_training", "rmse_refusal_unmonitored", "rmse_gap")
    for _, row in errors[errors["setting"] == "all"].iterrows():
        cells = [
            "–" if name not in row or pd.isna(row[name]) else f"{row[name]:.3f}" for name in names
        ]
        table.add_row(row["task"], row["predictor"], *cells)
    return table
