"""The five lessons: they run, ask before they tell, and compute whatever they say."""

import ast
import html
import importlib
import re
import runpy
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest

import sim

mo = pytest.importorskip("marimo", reason="the lessons need the extra `lessons`")

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
LESSONS = sorted(path.stem for path in NOTEBOOKS.glob("lesson_*.py"))
ALLOWED = {"marimo", "numpy", "matplotlib", "_shared", "sim"}
ALLOWED |= {f"matplotlib.{name}" for name in ("axes", "figure", "text")}
STANDARD = {"base64", "html", "io", "collections.abc"}

#: For each lesson: answers to its questions; two positions of its sliders; what they move.
PLAYED = {
    "lesson_1_training_gaming": (
        {"guess_stake": "hardly", "guess_change": "horizon", "guess_trained": "two"},
        {
            "sliders": (
                {"value": 1.0, "foresight": 10.0, "awareness": -4.0, "log_horizon": -1.0},
                {"value": 1.0, "foresight": 10.0, "awareness": -4.0, "log_horizon": 1.0},
            )
        },
        lambda seen: seen["agent"]["gaming_rate"],
    ),
    "lesson_2_three_examples": (
        {"guess_1": "all", "guess_2": "both", "guess_3": "spreads", "guess_variation": "more"},
        {"sliders": ({"example": "scratchpad", "left": 1}, {"example": "scratchpad", "left": 0})},
        lambda seen: seen["example_rates"]["rate"],
    ),
    "lesson_3_does_it_last": (
        {"guess_lasts": "few", "guess_transient": "few", "guess_plane": "2"},
        {
            "sliders": ({"anchor": 0, "credit": 1}, {"anchor": 30, "credit": 1}),
            "plane_slider": (3, 30),
        },
        lambda seen: (seen["undecided"], seen["places"]),
    ),
    "lesson_4_gap": (
        {"guess_all": "none", "guess_consistent": "nowhere"},
        {
            "sliders": (
                {"capability": 0, "misaligned": 0, "consistency": 0.9},
                {"capability": 4, "misaligned": 2, "consistency": 0.1},
            )
        },
        lambda seen: tuple(seen["remaining"].values()),
    ),
    "lesson_5_causes_and_evidence": (
        {"guess_cause": "both", "guess_conduct": "same", "guess_sign": "access_request"},
        {
            "sliders": (
                {"along": 0, "credit": 1, "anchor": 0},
                {"along": -1, "credit": 1, "anchor": 0},
            )
        },
        lambda seen: seen["share_misaligned"],
    ),
}
lessons = pytest.mark.parametrize("lesson", LESSONS)


@pytest.fixture(autouse=True)
def _beside_the_lessons(monkeypatch):
    monkeypatch.syspath_prepend(str(NOTEBOOKS))


def run(lesson, **given):
    """Return what every cell shows, as text, and what all cells define."""
    outputs, defs = importlib.import_module(lesson).app.run(defs=given)
    shown = "\n".join(
        html.unescape(getattr(output, "text", "")) for output in outputs if output is not None
    )
    return shown, defs


@cache
def played(lesson, position):
    """Return a run in which every question has an answer, at a position of the sliders."""
    answers, sliders, _ = PLAYED[lesson]
    given = answers | {name: at[position] for name, at in sliders.items()}
    return run(lesson, **{name: SimpleNamespace(value=value) for name, value in given.items()})


def cells(lesson):
    tree = ast.parse((NOTEBOOKS / f"{lesson}.py").read_text())
    return tree, [node for node in tree.body if isinstance(node, ast.FunctionDef)]


def calls(node, name):
    """Return where a helper of `_shared`, which lessons call `page`, is called."""
    return [
        one
        for one in ast.walk(node)
        if isinstance(one, ast.Call) and ast.unparse(one.func) == f"page.{name}"
    ]


def test_there_are_five():
    assert sorted(PLAYED) == LESSONS
    assert len(LESSONS) == 5


def test_it_runs_as_a_script():
    runpy.run_path(str(NOTEBOOKS / f"{LESSONS[0]}.py"), run_name="__main__")
    last = {ast.dump(cells(lesson)[0].body[-1]) for lesson in LESSONS}
    assert len(last) == 1


# That every cell waits is read from the code of all of them, below.
@pytest.mark.parametrize("lesson", [LESSONS[0], LESSONS[3]])
def test_nothing_is_told_before_an_answer(lesson):
    shown, defs = run(lesson)
    answers, sliders, _ = PLAYED[lesson]
    assert set(answers) == {name for name in defs if name.startswith("guess_")}
    assert all(defs[name].value is None for name in answers)
    assert not set(sliders) & set(defs)
    assert 'class="lesson"' not in shown
    assert "Answer to exercise" not in shown
    assert shown.count("appears here once you have answered") == len(answers)


@lessons
def test_it_tells_after_all_answers(lesson):
    shown, defs = played(lesson, 0)
    answers, _, moved = PLAYED[lesson]
    assert shown.count("As you predicted") + shown.count("Not what the model") == len(answers)
    assert len(set(re.findall(r"Answer to exercise \d", shown))) == 3
    assert moved(defs) is not None
    assert "nan" not in re.sub(r"base64,[\w+/=]+", "", shown)


SLOW = ("lesson_2_three_examples", "lesson_3_does_it_last")


@pytest.mark.parametrize(
    "lesson", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in LESSONS]
)
def test_sliders_move_the_numbers(lesson):
    *_, numbers = PLAYED[lesson]
    before, after = (numbers(played(lesson, position)[1]) for position in (0, 1))
    assert before != after
    if lesson.startswith("lesson_3"):
        assert all(first != second for first, second in zip(before, after, strict=True))


def test_what_is_right_is_computed():
    """With a single place to rest, "two" stops being the answer; sliders move the others."""
    answers, sliders, _ = PLAYED["lesson_3_does_it_last"]
    settings = answers | {"sliders": sliders["sliders"][1]}
    given = {name: SimpleNamespace(value=value) for name, value in settings.items()}
    shown, before = played("lesson_3_does_it_last", 0)
    assert shown.count("As you predicted") == 3
    assert before["still_gaming"]["without credit"] < 0.1
    assert before["still_gaming"]["with credit"] == 1
    shown, after = run("lesson_3_does_it_last", **given, plane=lambda anchor: (1, mo.md("")))
    assert shown.count("As you predicted") == 2
    assert before["undecided"] != after["undecided"]


def test_gaming_begins_at_once_or_is_learnt_and_credit_keeps_its_value():
    _, defs = played("lesson_1_training_gaming", 0)
    often, seldom, hardly = defs["onsets"].values()
    assert often == 0 < seldom < hardly == float("inf")
    kept, partly, lost = defs["trained_values"].values()
    assert kept >= 1 > partly > 0 > lost
    assert 0 < defs["without_credit"]["games until"] < 4000
    assert defs["without_credit"]["value"] < 0


def test_a_cosine_rises_while_conduct_stays():
    _, defs = played("lesson_5_causes_and_evidence", 0)
    assert defs["seeker"]["alignment"][0] < 0 < defs["seeker"]["alignment"][1]
    assert max(defs["seeker"]["conduct"]) < -0.9
    assert (
        0
        < defs["misaligned_by"]["both"]
        < min(defs["misaligned_by"]["conduct"], defs["misaligned_by"]["cosine"])
    )


def test_gaming_is_where_the_post_puts_it():
    _, defs = played("lesson_2_three_examples", 0)
    found = [
        {name for name, when in defs[onset].items() if when < float("inf")}
        for onset in ("onset_1", "onset_2", "onset_3")
    ]
    assert found == [
        {"copyright_chat", "copyright_excerpt"},
        {"review_with_documents"},
        {"dossier_with_scratchpad"},
    ]


@lessons
def test_figures_have_words(lesson):
    shown, _ = played(lesson, 0)
    figures = re.findall(r'<figure class="lesson">.*?</figure>', shown, flags=re.DOTALL)
    assert len(figures) >= 3
    for figure in figures:
        alt = re.search(r'alt="(.*?)" src', figure, flags=re.DOTALL)[1]
        caption = re.search(r"<figcaption>(.*?)</figcaption>", figure, flags=re.DOTALL)[1]
        assert alt == caption
        assert len(alt) > 40
        assert re.search(r"\d", alt)


@lessons
def test_nothing_is_fetched(lesson):
    shown, _ = played(lesson, 0)
    assert not re.search(r"(src|href)=.?(https?:)?//", shown)
    written = "".join(
        (NOTEBOOKS / name).read_text() for name in (f"{lesson}.py", "_shared.py", "lessons.css")
    )
    assert "://" not in written
    assert "@import" not in written


@lessons
def test_every_cell_that_knows_a_question_waits_for_its_answer(lesson):
    _, functions = cells(lesson)
    asked = {
        target.id
        for cell in functions
        for node in ast.walk(cell)
        if isinstance(node, ast.Assign) and calls(node.value, "predict")
        for target in node.targets
    }
    assert len(asked) >= 2
    for cell in functions:
        known = {arg.arg for arg in cell.args.args} & asked
        if known:
            (first,) = calls(cell.body[0], "wait_for")
            assert {arg.id for arg in first.args} == known
        if calls(cell, "exercise"):
            assert known


@lessons
def test_answers_are_computed(lesson):
    tree, _ = cells(lesson)
    exercises = calls(tree, "exercise")
    assert [call.args[0].value for call in exercises] == [1, 2, 3]
    for call in exercises:
        assert any(isinstance(node, ast.FormattedValue) for node in ast.walk(call.args[2]))


@pytest.mark.parametrize("name", [*LESSONS, "_shared"])
def test_only_the_public_interface(name):
    tree = ast.parse((NOTEBOOKS / f"{name}.py").read_text())
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
        elif isinstance(node, ast.Attribute):
            assert not node.attr.startswith("_")
            if isinstance(node.value, ast.Name) and node.value.id == "sim":
                assert node.attr in sim.__all__
    assert imported <= ALLOWED | STANDARD


@lessons
def test_words(lesson):
    written = (NOTEBOOKS / f"{lesson}.py").read_text()
    assert "schem" not in written.lower()
    for part in ("At the end you will know", "## The passage", "## What the model cannot say"):
        assert part in written


def test_shared_is_found_beside_the_lessons():
    assert Path(importlib.import_module("_shared").__file__).parent == NOTEBOOKS
    assert sys.path[0] == str(NOTEBOOKS)
