"""Findings of the documents: the verdicts beneath their sentences (findings.yaml) still hold."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from commands import Call

ROOT = Path(__file__).parent.parent
FINDINGS: list[dict[str, Any]] = yaml.safe_load(
    (ROOT / "tests" / "findings.yaml").read_text(encoding="utf-8")
)
RUNS = [
    (study, overrides, list(findings))
    for (study, overrides), findings in itertools.groupby(
        FINDINGS, key=lambda finding: (finding["study"], tuple(finding["overrides"]))
    )
]


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding["sentence"][:40])
def test_the_sentence_of_a_finding_is_in_its_document(finding: dict[str, Any]) -> None:
    assert finding["sentence"] in (ROOT / finding["doc"]).read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("study", "overrides", "findings"), RUNS, ids=[f"{run[0]}-{i}" for i, run in enumerate(RUNS)]
)
def test_the_verdict_beneath_a_sentence_holds(
    call: Call, study: str, overrides: tuple[str, ...], findings: list[dict[str, Any]]
) -> None:
    left = call(*overrides, name=study)
    assert left.status == 0, left.stderr
    for finding in findings:
        table = pd.read_csv(left.only(f"{finding['table']}.csv"))
        for column, level in finding["where"].items():
            table = table[table[column] == level]
        assert set(table[finding["column"]]) == {finding["verdict"]}, finding["sentence"]
