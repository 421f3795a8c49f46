"""experiments/calibration: what it writes, what it can do with few rows, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import sim
from commands import Call, assert_refused
from experiments.calibration.data import RATES, Calibration, Measurements, read_measurements
from experiments.calibration.fit import Terms, fit
from experiments.calibration.fit_models import agent_data, by_rates
from experiments.calibration.rates import SmoothRates
from experiments.calibration.study import mechanism_rows, parameter_verdict
from sim.cli.outputs import render
from sim.specs.agent import Agent
from sim.specs.overrides import read_specs

ROOT = Path(__file__).parent.parent
DATA, DOCS = ROOT / "data", ROOT / "docs"
PROMPTS = read_measurements(DATA / "alignment_faking_prompts.csv")
#: A quick run.
QUICK = ("parts=[fit]", "intervals=false")


def some(folder: Path, rows: list[int] | np.ndarray, name: str = "some.csv") -> str:
    path = folder / name
    PROMPTS.take(np.asarray(rows)).frame.to_csv(path, index=False)
    return str(path)


def page(summary: dict[str, Any]) -> str:
    return render(ROOT / "experiments" / "calibration" / "report.md.j2", {"summary": summary})


def of_setting(setting: str, count: int) -> np.ndarray:
    return np.flatnonzero((PROMPTS.frame["setting"] == setting).to_numpy())[:count]


@pytest.mark.slow
def test_some_rows_are_fitted_and_others_predicted(call: Call, tmp_path: Path) -> None:
    rows = of_setting("animal_welfare", 17)
    data, test = some(tmp_path, rows[:14]), some(tmp_path, rows[14:], "test.csv")
    left = call(f"data={data}", f"test={test}", *QUICK, "hydra.run.dir=out", name="calibration")
    assert left.status == 0, left.stderr
    summary = left.json("summary.json")
    assert set(summary["fits"]) == {"by condition", "by condition, with scatter", "by rates"}
    assert summary["fits"]["by condition, with scatter"]["per_dof"] == pytest.approx(1.0, abs=0.06)
    residuals = pd.read_csv(left.only("residuals.csv"))
    assert len(residuals) == 3 * 14 * 3
    for name, one in summary["fits"].items():
        squares = residuals.loc[residuals["fit"] == name, "residual"] ** 2
        assert squares.sum() == pytest.approx(one["chi2"], rel=1e-6)
    tested = pd.read_csv(tmp_path / "out" / "test.csv")
    assert set(tested["row"]) == set(PROMPTS.frame["row"].iloc[rows[14:]].astype(int))
    errors = pd.read_csv(left.only("test_errors.csv"))
    assert {"model", "mean gap", "linear regression"} <= set(errors["predictor"])
    assert page(summary) == left.only("report.md").read_text(encoding="utf-8")
    assert left.only("calibration.png").stat().st_size > 10_000
    agent = yaml.safe_load(left.only("calibrated.yaml").read_text(encoding="utf-8"))
    assert Agent.parse(agent, path="agent").rationality > 0.0
    assert left.json("provenance.json")["study"]["test"] == test
    assert set(summary["sources"]) == {"data", "rl", "test"}


def test_few_rows_are_fitted_as_far_as_they_go(call: Call, tmp_path: Path) -> None:
    data = some(tmp_path, of_setting("helpful_only", 5))
    left = call(
        f"data={data}",
        "parts=[fit,mixture,cross_validation,rl,facts]",
        "folds=2",
        "intervals=false",
        "hydra.run.dir=out",
        name="calibration",
    )
    assert left.status == 0, left.stderr
    summary = left.json("summary.json")
    assert "by rates" in summary["skipped"]
    assert summary["skipped"]["by rates"] == "rows: 5, shared parameters: 6"
    assert {"mechanisms", "rl", "facts"} <= set(summary["skipped"])
    assert len(summary["mixture"]) == 1
    assert {row["predictor"] for row in summary["errors"]} >= {"mean gap", "mean of each rate"}
    assert "## Left out" in left.only("report.md").read_text(encoding="utf-8")
    assert not list((tmp_path / "out").glob("calibrated.yaml"))


def broken(column: str, value: object) -> pd.DataFrame:
    frame = PROMPTS.frame.astype({column: object}).copy()
    frame.loc[2, column] = value
    return frame


@pytest.mark.parametrize(
    ("frame", "line"),
    [
        (PROMPTS.frame.drop(columns="refusal_training"), "column 'refusal_training' is missing"),
        (broken("af_reasoning", 1.2), "line 4, af_reasoning"),
        (broken("refusal_training_se", -0.1), "line 4, refusal_training_se"),
        (broken("refusal_unmonitored", "many"), "line 4, refusal_unmonitored"),
        (PROMPTS.frame.iloc[:0], "has no rows"),
    ],
)
def test_a_malformed_table_gets_one_line(
    call: Call, tmp_path_factory: pytest.TempPathFactory, frame: pd.DataFrame, line: str
) -> None:
    path = tmp_path_factory.mktemp("tables") / "table.csv"
    frame.to_csv(path, index=False)
    assert_refused(call(f"data={path}", name="calibration"), line)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["data=nowhere.csv"], "there is no file 'nowhere.csv'"),
        (["test=nowhere.csv"], "there is no file 'nowhere.csv'"),
        (["parts=[fits]"], "parts[0]: got 'fits'"),
        (["folds=1"], "folds"),
        (["intervals=7"], "intervals: got 7"),
        (["predict=x.csv", "parts=[fit]"], "predict: needs parts to have rl"),
        (["rl=null"], "rl: must be the path"),
        (["measured.refusal=refuses"], "measured.refusal"),
        (["measured=alignment_fakin"], "measured"),
        (["dat=x"], "dat: unknown key"),
        (["scenario=copyright"], "measured.context"),
        (["++measured.free={agent.rationalty: {start: 1, low: 0, high: 2}}"], "rationalty"),
    ],
)
def test_bad_input_is_refused_in_one_line(call: Call, arguments: list[str], line: str) -> None:
    assert_refused(call(*arguments, name="calibration"), line)


# ----------------------------------------------------------------------- what stands in the tree


def test_the_page_is_what_the_command_writes() -> None:
    summary = json.loads((DOCS / "validation.json").read_text(encoding="utf-8"))
    text = re.sub(r"\]\((\w+\.png)\)", r"](images/\1)", page(summary))
    assert text == (DOCS / "validation.md").read_text(encoding="utf-8")


def test_verdicts_follow_from_the_numbers() -> None:
    row = {"at_bound": False, "interval": "curvature", "low": 1.0, "high": 6.0,
           "least": 0.0, "greatest": 10.0}  # fmt: skip
    for change, verdict in (
        ({}, "determined"),
        ({"high": 7.5}, "undetermined"),
        ({"interval": "none", "low": None}, "no effect"),
        ({"at_bound": True}, "at a bound"),
    ):
        assert parameter_verdict({**row, **change}) == verdict
    models = pd.DataFrame({"model": ["none", "all but x", "all"], "chi2": [60.0, 13.0, 10.0]})
    rows = mechanism_rows(models.assign(dof=3, per_dof=models["chi2"] / 3))
    assert [row["verdict"] for row in rows] == ["worse", "alike", "alike"]


def calibrated() -> dict[str, Any]:
    path = ROOT / "configs" / "agent" / "calibrated.yaml"
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(data, dict)
    return data


fitted_by_version_1 = pytest.mark.xfail(
    strict=True, reason="configs/agent/calibrated.yaml was fitted by version 1 of the model"
)


def test_the_calibrated_agent_is_the_one_of_the_page() -> None:
    summary = json.loads((DOCS / "validation.json").read_text(encoding="utf-8"))
    assert agent_data(summary["agent"], value="harmlessness") == calibrated()
    head = (ROOT / "configs" / "agent" / "calibrated.yaml").read_text(encoding="utf-8")
    assert summary["sources"]["data"]["sha256"] in head


@fitted_by_version_1
def test_the_calibrated_agent_has_the_published_rates() -> None:
    """By a population of 4,000, within 3 published standard errors and 3 of the sample."""
    default: Measurements = PROMPTS.take(
        ((PROMPTS.frame["setting"] == "helpful_only") & (PROMPTS.frame["condition"] == "default"))
        .to_numpy()
    )  # fmt: skip
    result = sim.simulate(
        "alignment_faking",
        agent=calibrated(),
        training={"steps": 1},
        agents=4000,
        seed=5,
        record_every=1,
    )
    start = result.data.isel(step=0)
    trained, unmonitored = "free_tier_scratchpad", "paid_tier_scratchpad"
    shown = start["gaming_rate"].sel(context=trained) * (1 - start["capabilities"][:, 0])
    refused = [start["policy"].sel(context=c)[:, 0] for c in (trained, unmonitored)]
    for i, (name, found) in enumerate(zip(RATES, (shown, *refused), strict=True)):
        error = np.hypot(default.errors[0, i], float(found.std()) / np.sqrt(4000))
        assert abs(float(found.mean()) - default.rates[0, i]) < 3.0 * error, name


@pytest.mark.slow
@fitted_by_version_1
def test_the_calibrated_agent_is_that_of_a_fresh_fit() -> None:
    """By χ² and by the rates that follow: single numbers are hardly told by the data."""
    summary = json.loads((DOCS / "validation.json").read_text(encoding="utf-8"))
    text = (ROOT / "configs" / "measured" / "alignment_faking.yaml").read_text(encoding="utf-8")
    calibration = Calibration.parse(yaml.safe_load(text), path="measured")
    rates = SmoothRates(read_specs("alignment_faking"), calibration)
    terms = Terms(calibration, rates, settings=sorted(set(PROMPTS.frame["setting"])))
    fresh = fit(by_rates(terms, rates, PROMPTS), thorough=True)
    assert fresh.chi2 == pytest.approx(summary["fits"]["by rates"]["chi2"], rel=0.02)
    stored = {key: np.array([number]) for key, number in summary["agent"].items()}
    first = (PROMPTS.frame["setting"] == "helpful_only").to_numpy().argmax()
    assert PROMPTS.frame["condition"].iloc[first] == "default"
    np.testing.assert_allclose(rates(stored)[0], fresh.rates[first], atol=0.01)
