"""Published tables: what is read from them, and what is refused, in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.calibration.data import OF_STAGES, RATES, check_measurements, read_measurements
from sim.specs.errors import SpecError

DATA = Path(__file__).parent.parent / "data"
Frame = pd.DataFrame


def table(**changes: object) -> Frame:
    """A table of two rows, with columns changed."""
    columns: dict[str, object] = {
        "row": ["1", "2"],
        "setting": ["helpful_only", "helpful_only"],
        "condition": ["default", "another, with a comma"],
        "af_reasoning": [0.25, 0.5],
        "af_reasoning_se": [0.05, 0.05],
        "refusal_training": [0.5, 0.25],
        "refusal_training_se": [0.05, 0.05],
        "refusal_unmonitored": [0.75, 0.5],
        "refusal_unmonitored_se": [0.05, 0.05],
    }
    return Frame(columns | changes)


# ------------------------------------------------------------------------------------ what is read


def test_rates_and_errors_by_hand(tmp_path: Path) -> None:
    table().to_csv(tmp_path / "t.csv", index=False)
    read = read_measurements(tmp_path / "t.csv")
    np.testing.assert_array_equal(read.rates, [[0.25, 0.5, 0.75], [0.5, 0.25, 0.5]])
    np.testing.assert_array_equal(read.errors, np.full((2, 3), 0.05))
    assert list(read.frame["condition"]) == ["default", "another, with a comma"]
    assert len(read) == 2


def test_a_zero_error_becomes_that_of_laplace() -> None:
    # The row's other rates say n = p (1 - p) / se^2 = 0.25 / 0.05^2 = 100 answers.
    read = check_measurements(
        table(
            af_reasoning=[0.0, 0.5],
            af_reasoning_se=[0.0, 0.05],
            refusal_training=[0.5, 0.5],
            refusal_unmonitored=[0.5, 0.5],
        )
    )
    likely = 1.0 / 102.0
    assert read.errors[0, 0] == pytest.approx(np.sqrt(likely * (1.0 - likely) / 100.0), rel=1e-12)
    np.testing.assert_array_equal(read.errors[0, 1:], 0.05)
    assert read.published[0, 0] == 0.0


def test_all_refuse_is_as_uncertain_as_none_refuses() -> None:
    changes = {"af_reasoning": [0.0, 0.5], "af_reasoning_se": [0.0, 0.05]}
    none = check_measurements(table(**changes)).errors[0, 0]
    every = check_measurements(table(**(changes | {"af_reasoning": [1.0, 0.5]}))).errors[0, 0]
    assert every == pytest.approx(none, rel=1e-12)


def test_a_row_that_does_not_tell_its_answers_has_those_of_the_table() -> None:
    zero = {f"{rate}_se": [0.0, 0.05] for rate in RATES}
    certain = {rate: [0.0, 0.5] for rate in RATES}
    read = check_measurements(table(**certain, **zero))
    likely = 1.0 / 102.0
    expected = np.sqrt(likely * (1.0 - likely) / 100.0)
    np.testing.assert_allclose(read.errors[0], expected, rtol=1e-12)


def test_errors_can_be_divided_by_even_if_no_row_tells() -> None:
    changes = {rate: [0.0, 1.0] for rate in RATES} | {f"{rate}_se": [0.0, 0.0] for rate in RATES}
    errors = check_measurements(table(**changes)).errors
    assert np.isfinite(errors).all()
    assert (errors > 0.0).all()


def test_take_by_place_and_by_mask() -> None:
    read = check_measurements(table())
    assert list(read.take([1]).frame["row"]) == ["2"]
    assert list(read.take(np.array([True, False])).frame["row"]) == ["1"]
    assert read.take([1, 0]).rates[0, 0] == 0.5
    assert list(read.take([1]).frame.index) == [0]


def test_columns_that_nobody_asked_for_are_left_out() -> None:
    assert "note" not in check_measurements(table(note=["a", "b"])).frame


def test_the_published_tables_are_read() -> None:
    prompts = read_measurements(DATA / "alignment_faking_prompts.csv")
    stages = read_measurements(DATA / "alignment_faking_rl.csv", columns=OF_STAGES)
    for one in (prompts, stages):
        assert (one.errors > 0.0).all()
        assert len(one) == len(one.frame) > 0


# ---------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.drop(columns="af_reasoning"), ["'af_reasoning' is missing"]),
        (lambda t: t.drop(columns="refusal_training_se"), ["'refusal_training_se' is missing"]),
        (lambda t: t.drop(columns="condition"), ["'condition' is missing"]),
        (
            lambda t: t.rename(columns={"af_reasoning": "af_reasonin"}),
            ["'af_reasoning' is missing", "af_reasonin"],
        ),
        (
            lambda t: t.assign(refusal_training=[0.5, 1.01]),
            ["line 3", "refusal_training", "1.01", "from 0 to 1"],
        ),
        (lambda t: t.assign(af_reasoning=[-0.1, 0.5]), ["line 2", "-0.1", "from 0 to 1"]),
        (
            lambda t: t.assign(refusal_unmonitored_se=[0.1, -0.02]),
            ["line 3", "refusal_unmonitored_se", "-0.02", "0 or more"],
        ),
        (lambda t: t.assign(af_reasoning_se=[0.6, 0.1]), ["line 2", "at most 0.5"]),
        (lambda t: t.assign(af_reasoning=["0,2", "0.5"]), ["line 2", "'0,2'", "decimal comma"]),
        (lambda t: t.assign(af_reasoning=["much", "0.5"]), ["line 2", "'much'", "a number"]),
        (lambda t: t.assign(af_reasoning=["", "0.5"]), ["line 2", "af_reasoning", "a number"]),
        (lambda t: t.assign(af_reasoning=[np.nan, 0.5]), ["line 2", "a number"]),
        (lambda t: t.assign(af_reasoning=[np.inf, 0.5]), ["line 2", "a number"]),
        (lambda t: t.iloc[:0], ["has no rows"]),
        (lambda t: t.iloc[[0, 0]], ["line 3", "row and setting and condition", "the same"]),
    ],
)
@pytest.mark.parametrize("from_file", [False, True])
def test_malformed_tables_get_one_line(
    change: Callable[[Frame], Frame], words: list[str], from_file: bool, tmp_path: Path
) -> None:
    bad, place = change(table()), tmp_path / "bad.csv"
    bad.to_csv(place, index=False)
    with pytest.raises(SpecError) as caught:
        _ = read_measurements(place) if from_file else check_measurements(bad)
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith("data '")
    for word in words:
        assert word in said, said


def test_rows_that_differ_in_their_blanks_alone_are_the_same() -> None:
    twice = table(row=["1", " 1 "], condition=["default", "default "])
    with pytest.raises(SpecError, match="the same as in a row before"):
        check_measurements(twice)


@pytest.mark.parametrize(
    "content",
    [None, b"", b"\xff\xfe\x00bad\x9d", b'a,b\n"open,1\n2,3,4,5\n', b"a,b\n1,2,3\n4,5,6,7\n"],
)
def test_what_is_no_table_gets_one_line(content: bytes | None, tmp_path: Path) -> None:
    place = tmp_path / "t.csv"
    if content is not None:
        place.write_bytes(content)
    with pytest.raises(SpecError) as caught:
        read_measurements(place)
    said = str(caught.value)
    assert "\n" not in said
    assert "t.csv" in said
    if content is None:
        assert "there is no file" in said


def test_a_directory_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="is no table"):
        read_measurements(tmp_path)


@pytest.mark.parametrize(("text", "found"), [("a;b\n1;0,5\n", "semicolons"), ("a\tb\n", "tabs")])
def test_a_table_of_another_kind_is_refused_by_what_it_has(
    tmp_path: Path, text: str, found: str
) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match=f"with {found}: must have commas between columns"):
        read_measurements(path)
