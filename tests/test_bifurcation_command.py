"""experiments/bifurcation.py: the diagram and its numbers; what it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from commands import Call, assert_refused
from sim.plots.bifurcation import bifurcation
from sim.stability.bifurcation import Bifurcations, bifurcations, bistable
from test_plots import texts

KEY, RATE = "agent.initial.awareness", "gaming_rate.copyright_chat"
SMALL = ("places=1", "starts=8", "low=-7", "high=-6")
FREE = ("values.copyright", "habit.copyright_chat", "habit.copyright_excerpt")


@pytest.fixture(scope="module")
def found() -> Bifurcations:
    return bifurcations(
        "copyright",
        KEY,
        (-7, -6),
        training={"anchor": 0.001},
        free=[*FREE, "awareness"],
        places=1,
        starts=12,
    )


def test_it_writes_the_diagram_and_its_numbers(call: Call) -> None:
    left = call(*SMALL, name="bifurcation")
    assert left.status == 0, left.stderr
    files = {path.name for path in left.files() if ".hydra" not in path.parts}
    assert files == {
        "bifurcation.json",
        "bifurcation.png",
        "bifurcation.svg",
        "branches.csv",
        "provenance.json",
    }
    told, frame = left.json("bifurcation.json"), pd.read_csv(left.only("branches.csv"))
    assert told["variable"] == RATE
    assert told["free"] == [*FREE, "awareness", "log_horizon", "log_competence"]
    assert {"values.helpfulness", "habit.coding"} <= set(told["held"])
    assert told["branches"] == frame["branch"].nunique() == 2
    assert len(told["folds"]) == (frame["event"] == "fold").sum() == 3
    (interval,) = told["bistable"]
    lowest = min(fold[KEY] for fold in told["folds"])
    assert interval["low"] == pytest.approx(lowest, abs=1e-6)
    assert interval["high"] == -6
    said = " ".join(left.stdout.split())
    assert "With awareness from −6.88 to −6, the gaming rate in copyright chat" in said
    assert "depends on where it began" in said
    assert left.json("provenance.json")["key"] == KEY


def test_where_it_says_two_outcomes_training_has_them_and_elsewhere_one(
    found: Bifurcations,
) -> None:
    (interval,) = bistable(found, RATE)
    assert interval.outcomes == 2
    assert interval.high == -6

    def ends(awareness: float) -> np.ndarray:
        of = found.family.at(awareness + 7)
        starts = np.repeat(of.start[:, None], 2, axis=1)
        starts[of.names.index("values.copyright")] = (1.0, -0.5)
        starts[[name.startswith("habit.") for name in of.names]] = (-3.0, -5.0)
        rates = of.observe(of.iterate(starts, 30_000), ("gaming_rate",))["gaming_rate"]
        return np.asarray(rates[:, of.program.layout.contexts.index("copyright_chat")])

    assert np.ptp(ends(interval.low + 0.05)) > 0.05
    assert np.ptp(ends(interval.low - 0.05)) < 0.01


def test_what_differs_in_no_variable_shown_is_one_outcome(found: Bifurcations) -> None:
    assert bistable(found, "values.helpfulness") == []
    assert len(bistable(found, "values.copyright")) == 1


def test_the_figure_tells_folds_and_how_many_outcomes(found: Bifurcations) -> None:
    figure = bifurcation(found, RATE, below="values.copyright", note="what is held")
    told = " | ".join(texts(figure))
    (interval,) = bistable(found, RATE)
    assert f"at {interval.low:.3g}".replace("-", "−") in told
    assert "Two stable outcomes here" in told
    assert "Gaming rate in copyright chat" in told
    assert "Strength of copyright" in told
    assert "what is held" in told
    lines = [line for ax in figure.axes for line in ax.get_lines() if len(line.get_xdata()) > 2]
    dashed = {line.is_dashed() for line in lines}
    assert dashed == {True, False}
    for ax in figure.axes:
        for line in ax.get_lines():
            if line.is_dashed():
                assert line.get_linewidth() < 2 < max(one.get_linewidth() for one in lines)


def test_with_nothing_at_rest_there_is_no_figure_and_it_says_so(call: Call) -> None:
    left = call(*SMALL, "training.anchor=0", name="bifurcation")
    assert left.status == 0, left.stderr
    assert "No fixed point was found at any of 1 places" in " ".join(left.stdout.split())
    assert not list(left.folder.rglob("*.png"))
    assert left.json("bifurcation.json")["branches"] == 0


REFUSED = [
    (["low=3"], "low: got 3: must be below high, which is -6"),
    (["low=a"], "low: got 'a': must be a number"),
    (["scale=log"], "low: got -7: must be a number above 0, as the scale is log"),
    (["scale=lin"], "scale: got 'lin': did you mean 'linear'?"),
    (
        ["key=agent.initial.awarness"],
        "agent.initial.awarness: unknown key; did you mean 'awareness",
    ),
    (["key=training.update_rule"], "training.update_rule: "),
    (["key=training.steps", "low=5", "high=9"], "key: training.steps: got 5.0: must be a whole"),
    (["key=training.selection.keep", "low=0.1", "high=1"], "key: got 'training.selection.keep'"),
    (["key=3"], "key: got 3: must be a number's name"),
    (["key=training.leak"], "key: training.leak: "),
    (["variable=gaming_rate.copyrigh_chat"], "did you mean 'gaming_rate.copyright_chat'?"),
    (["variable=reach"], "variable: got 'reach': "),
    (["free=[value.copyright]"], "there is no free 'value.copyright'; did you mean 'values.copyr"),
    (["training.estimator=sampled"], "training.estimator: got 'sampled'"),
    (["places=0"], "places: got 0: must be a whole number of 1 or more"),
    (["starts=1.5"], "starts: got 1.5: must be a whole number of 1 or more"),
    (["phase=1"], "phase: got 1: training has 1, from 0"),
    (["plaices=3"], "plaices: unknown key; did you mean 'places'?"),
]


@pytest.mark.parametrize(("settings", "says"), REFUSED, ids=[" ".join(s) for s, _ in REFUSED])
def test_what_cannot_be_used_is_refused_in_one_line_before_anything_is_written(
    call: Call, settings: list[str], says: str
) -> None:
    left = call(*SMALL, *settings, name="bifurcation")
    assert_refused(left, says)


def test_the_help_tells_every_key(call: Call) -> None:
    shown = call("--help", name="bifurcation").stdout
    assert shown.startswith("experiments/bifurcation.py: where training can come to rest")
    for key in ("key", "low", "high", "scale", "variable", "free", "phase", "places", "starts"):
        assert f"\n  {key}=" in shown
