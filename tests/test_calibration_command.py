"""The command of calibration: what it writes, what it refuses, and what stands in the tree."""

from __future__ import annotations

import hashlib
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
from experiments.calibration.data import RATES
from experiments.calibration.study import DECLARED
from sim.cli.outputs import render
from sim.specs.agent import Agent
from test_calibration import PROMPTS, ROOT

DOCS = ROOT / "docs"
#: A quick run.
QUICK = ("parts=[fit]", "walk=20", "workers=1")


def some(folder: Path, rows: np.ndarray, name: str = "some.csv") -> str:
    path = folder / name
    PROMPTS.take(rows).frame.to_csv(path, index=False)
    return str(path)


def page(summary: dict[str, Any]) -> str:
    return render(ROOT / "experiments" / "calibration" / "report.md.j2", {"summary": summary})


@pytest.mark.slow
def test_some_rows_are_fitted_and_others_predicted(call: Call, tmp_path: Path) -> None:
    rows = np.flatnonzero((PROMPTS.frame["setting"] == "animal_welfare").to_numpy())[:17]
    data, test = some(tmp_path, rows[:14]), some(tmp_path, rows[14:], "test.csv")
    left = call(f"data={data}", f"test={test}", *QUICK, "hydra.run.dir=out", name="calibration")
    assert left.status == 0, left.stderr
    summary = left.json("summary.json")
    assert {fit["model"] for fit in summary["fits"]} == {"foresight", "local"}
    tested = pd.read_csv(tmp_path / "out" / "test.csv")
    assert set(tested["row"]) == set(PROMPTS.frame["row"].iloc[rows[14:]].astype(int))
    assert {"model", "linear regression"} <= set(tested["predictor"])
    assert page(summary) == left.only("report.md").read_text(encoding="utf-8")
    assert left.only("validation.png").stat().st_size > 10_000
    agent = yaml.safe_load(left.only("calibrated.yaml").read_text(encoding="utf-8"))
    assert Agent.parse(agent, path="agent").rationality > 0.0


def test_further_prompts_are_predicted_after_training(call: Call, tmp_path: Path) -> None:
    helpful = np.flatnonzero((PROMPTS.frame["setting"] == "helpful_only").to_numpy())
    data, predict = some(tmp_path, helpful[:6]), some(tmp_path, helpful[3:5], "more.csv")
    left = call(
        *(f"data={data}", f"predict={predict}", *QUICK[1:], "draws=20", "parts=[fit,rl]"),
        "hydra.run.dir=out",
        name="calibration",
    )
    assert left.status == 0, left.stderr
    table = pd.read_csv(left.only("predictions.csv"))
    prompts = list(dict.fromkeys(table["prompt"]))
    assert prompts[0] == "default"
    assert set(PROMPTS.frame["condition"].iloc[helpful[3:5]]) <= set(prompts)


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
        (broken("refusal_unmonitored", "0,5"), "has a decimal comma; numbers must have points"),
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
        (["predict=x.csv", "parts=[fit]"], "predict: needs parts to have rl"),
        (["rl=null"], "rl: must be the path"),
        (["measured.refusal=refuses"], "measured.refusal"),
        (["measured=alignment_fakin"], "measured"),
        (["dat=x"], "dat: unknown key"),
        (["scenario=copyright"], "measured.context"),
        (["++measured.free={agent.rationalty: {start: 1, width: 2}}"], "rationalty"),
    ],
)
def test_bad_input_is_refused_in_one_line(call: Call, arguments: list[str], line: str) -> None:
    assert_refused(call(*arguments, name="calibration"), line)


# ----------------------------------------------------------------------- what stands in the tree


def written() -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((DOCS / "validation.json").read_text(encoding="utf-8"))
    return summary


def test_the_page_is_what_the_command_writes() -> None:
    text = re.sub(r"\]\((\w+\.png)\)", r"](images/\1)", page(written()))
    assert text == (DOCS / "validation.md").read_text(encoding="utf-8")


def test_declared_predictions_have_not_been_touched() -> None:
    digest = hashlib.sha256(DECLARED.read_bytes()).hexdigest()
    assert digest == "e297d2bdb4109d3d62611b9a4bda577c96a79ca8692df76ca2769bd88d135653"
    assert digest in (DOCS / "validation.md").read_text(encoding="utf-8")


def calibrated() -> dict[str, Any]:
    text = (ROOT / "configs" / "agent" / "calibrated.yaml").read_text(encoding="utf-8")
    assert written()["sources"]["data"]["sha256"] in text
    data: dict[str, Any] = yaml.safe_load(text)
    return data


def test_the_calibrated_agent_is_the_one_of_the_page() -> None:
    assert written()["agent"] == calibrated()


def test_the_calibrated_agent_has_the_published_rates() -> None:
    """By a population of 4,000, within 3 published standard errors and 3 of the sample."""
    frame = PROMPTS.frame
    default = PROMPTS.take(
        ((frame["setting"] == "helpful_only") & (frame["condition"] == "default")).to_numpy()
    )
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
    visible = start["gaming_rate"].sel(context=trained) * (1 - start["capabilities"][:, 0])
    refused = [start["policy"].sel(context=c)[:, 0] for c in (trained, unmonitored)]
    for i, (name, rate) in enumerate(zip(RATES, (visible, *refused), strict=True)):
        error = np.hypot(default.errors[0, i], float(rate.std()) / np.sqrt(4000))
        assert abs(float(rate.mean()) - default.rates[0, i]) < 3.0 * error, name
