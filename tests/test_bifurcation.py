"""Bifurcation diagrams of scenarios: branches, hysteresis, and how many outcomes there are."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import sim
from sim.specs.overrides import read_specs
from sim.stability.bifurcation import (
    Bifurcations,
    Interval,
    ScenarioFamily,
    bifurcations,
    bistable,
    most_moved,
    outcomes_at,
    pieces_of,
)
from sim.sweeps.design import Range
from test_equilibria import PROPENSITIES, demonstrated
from test_plots import texts

KEY, RATE = "agent.initial.awareness", "gaming_rate.copyright_chat"
#: Awareness around the fold, below which gaming is no outcome.
LOW, HIGH = -8.4, -7.2
#: The gates and the value of one contest, in which gaming locks in or the value is overwritten.
FREE = ("values.copyright", "habit.copyright_chat", "habit.copyright_excerpt", "awareness")


@pytest.fixture(scope="module")
def progress() -> list[float]:
    return []


@pytest.fixture(scope="module")
def diagram(progress: list[float]) -> Bifurcations:
    return bifurcations(
        "copyright",
        KEY,
        (LOW, HIGH),
        training={"anchor": 0.001},
        free=FREE,
        places=1,
        starts=12,
        progress=progress.append,
    )


def test_every_point_is_a_fixed_point_and_folds_have_an_eigenvalue_of_1(
    diagram: Bifurcations, progress: list[float]
) -> None:
    assert progress == sorted(progress)
    assert progress[-1] == 1.0
    points = [point for branch in diagram.branches for point in branch.points]
    folds = [point for point in points if point.event == "fold"]
    assert len(folds) == 1
    for point in points[::7] + folds:
        f = diagram.family.at(point.position)
        assert np.abs(f.step(point.point.at[:, None])[:, 0] - point.point.at).max() < 1e-10
    for fold in folds:
        assert np.abs(fold.point.eigenvalues - 1.0).min() < 1e-4


def test_frame_and_repr_have_every_point(diagram: Bifurcations) -> None:
    frame = diagram.frame
    assert len(frame) == sum(len(branch.points) for branch in diagram.branches)
    np.testing.assert_allclose(frame[KEY], LOW + frame["position"] * (HIGH - LOW))
    assert frame[RATE].between(0.0, 1.0).all()
    assert set(frame["event"]) <= {"", "fold", "crossing", "change"}
    assert (frame.loc[frame["kind"] == "stable", "largest_eigenvalue"] < 1.0).all()
    rates = pd.DataFrame({"gaming_rate.a": [0.0, 0.2], "gaming_rate.b": [0.5, 0.9], "x": [0, 9]})
    assert most_moved(rates) == "gaming_rate.b"
    assert repr(diagram) == (
        "<Bifurcations along agent.initial.awareness from -8.4 to -7.2: branches=2, folds=1, "
        "crossings=0>"
    )


def test_past_a_fold_training_jumps_and_does_not_come_back(diagram: Bifurcations) -> None:
    """Hysteresis: lowered past the fold, gaming is lost; raised again, it does not return."""
    branch = next(b for b in diagram.branches if any(p.event == "fold" for p in b.points))
    fold = min((p for p in branch.points if p.event == "fold"), key=lambda p: p.position)
    near = [p for p in branch.points if p.position < fold.position + 0.05]
    state = next(p for p in near if p.point.kind == "stable").point.at[:, None]
    rates = []
    for shift in (0.05, -0.1, 0.05):
        f = diagram.family.at(fold.position + shift)
        state = f.iterate(state, 60_000)
        rates.append(float(f.observe(state, ("gaming_rate",))["gaming_rate"][0, 0]))
    assert rates[0] > 0.05
    assert max(rates[1:]) < 0.001


def test_two_outcomes_are_where_training_has_two(diagram: Bifurcations) -> None:
    (interval,) = bistable(diagram, RATE)
    assert (interval.outcomes, interval.high) == (2, HIGH)
    for awareness, differs in ((interval.low + 0.05, True), (interval.low - 0.05, False)):
        f = diagram.family.at((awareness - LOW) / (HIGH - LOW))
        starts = np.repeat(f.start[:, None], 2, axis=1)
        starts[f.names.index("values.copyright")] = (1.0, -0.5)
        starts[f.names.index("awareness")] += 3.0  # near the fold, few starts lead to gaming
        rates = f.observe(f.iterate(starts, 30_000), ("gaming_rate",))["gaming_rate"]
        ends = rates[:, f.program.layout.contexts.index("copyright_chat")]
        assert np.ptp(ends) > 0.05 if differs else np.ptp(ends) < 0.01
    # Branches that coincide in a variable are one outcome in it.
    assert bistable(diagram, "values.helpfulness") == []
    assert len(bistable(diagram, "values.copyright")) == 1


def ends_of(steps: int, **initial: float) -> tuple[float, float]:
    """Return gaming rate and value of an agent at the end of training on copyright."""
    alike = {"initial": dict.fromkeys(("values", "habit", "awareness"), 0.0)}
    result = sim.simulate(
        "copyright",
        agent={"initial": initial, "spread": alike},
        training={"steps": steps},
        record_every=steps,
    )
    rate = result.gaming_rate.sel(context="copyright_chat", agent=0)
    value = result.values.sel(value="copyright", agent=0)
    return float(rate[-1]), float(value[-1])


def test_a_firm_habit_of_gaming_loses_it_where_a_weak_one_keeps_it() -> None:
    """Credit for the motive goes as d (1 − d): a gate that habit has shut passes none on."""
    rate, value = ends_of(8000, awareness=-7.5, habit=-5.0)
    assert rate > 0.9
    assert value > 0.1
    rate, value = ends_of(8000, awareness=-7.5, habit=1.0)
    assert rate < 0.1
    assert value < -1.0


def test_of_a_value_is_kept_what_is_needed_for_gaming() -> None:
    """The more the future counts, the surer the decision, and the later its motive gets credit."""
    ends = [ends_of(20_000, awareness=-5.0, log_horizon=horizon) for horizon in (0, 1, 2, 3)]
    assert all(rate > 0.98 for rate, _ in ends)
    values = [value for _, value in ends]
    np.testing.assert_allclose(values, [0.94, 0.35, 0.17, 0.08], atol=0.01)


def test_outcomes_are_counted_where_a_range_begins_as_well() -> None:
    """Of three branches at 0, one ends there: before it there is one outcome, beyond it are two."""
    family = ScenarioFamily(read_specs("copyright"), KEY, Range(-1.0, 1.0))
    ends = {"falls": (0.0, 0.5, 0.1), "middle": (0.5, 1.0, 0.5), "high": (0.5, 1.0, 0.9)}
    rows = [
        {"branch": i, "position": p, KEY: family.number(p), RATE: rate, "kind": "stable"}
        for i, (low, high, rate) in enumerate(ends.values())
        for p in (low, high)
    ]
    frame = pd.DataFrame(rows).assign(event="")
    diagram = SimpleNamespace(frame=frame, family=family)
    assert bistable(diagram, RATE) == [Interval(0.0, 1.0, 3)]  # type: ignore[arg-type]
    # Two branches that have one number in common differ there.
    touching = SimpleNamespace(frame=frame[frame["branch"] != 2], family=family)
    assert bistable(touching, RATE) == [Interval(0.0, 0.0, 2)]  # type: ignore[arg-type]


def test_the_figure_labels_folds_and_the_number_of_outcomes(diagram: Bifurcations) -> None:
    figure = diagram.plot(RATE, below="values.copyright")
    words = " | ".join(texts(figure))
    (interval,) = bistable(diagram, RATE)
    for text in (
        f"at {interval.low:.3g}".replace("-", "−"),
        "Two stable outcomes here",
        "Gaming rate in copyright chat",
        "Strength of copyright",
        *(f"{level:.2f}" for level in outcomes_at(pieces_of(diagram.frame, KEY, RATE), 1.0)),
    ):
        assert text in words
    lines = [line for ax in figure.axes for line in ax.get_lines() if len(line.get_xdata()) > 2]
    widths = {line.is_dashed(): line.get_linewidth() for line in lines}
    assert widths[True] < widths[False]
    with pytest.raises(sim.SpecError, match=r"did you mean 'gaming_rate\.copyright_chat'"):
        diagram.plot("gaming_rate.copyright_cha")


def test_without_an_anchor_there_is_no_branch_and_what_is_uncoupled_is_held() -> None:
    diagram = bifurcations("copyright", "training.leak", (0.01, 0.04, "log"), places=1, starts=1)
    assert diagram.branches == ()
    assert diagram.family.number(0.5) == pytest.approx(0.02)
    assert "habit.copyright_deployed" in diagram.family.aside
    assert {n for n in diagram.family.at(0.5).names if n.startswith("capability.")} == set()
    with pytest.raises(sim.SpecError, match="nothing to draw"):
        diagram.plot()


def test_every_position_has_the_same_coordinates_where_propensities_begin_to_learn() -> None:
    """At a rate of 0 they would have no rows of θ at all; along the branch answers are shown."""
    rates = {**PROPENSITIES["learning_rate"], "propensity": 0.0}
    training = {"learning_rate": rates, "anchor": 0.01}
    agent = {"awareness": -40.0, "decisiveness": 1.5}
    diagram = bifurcations(
        demonstrated(0.8, 0.2),
        "training.learning_rate.propensity",
        (0, 0.5),
        agent=agent,
        training=training,
        free=["propensity.chat"],
        places=1,
        starts=2,
    )
    (branch,) = diagram.branches
    assert branch.ends == ("axis", "axis")
    assert {p.point.names for p in branch.points} == {("propensity.chat.harm",)}
    assert {p.point.kind for p in branch.points} == {"stable"}
    for p in branch.points:
        (x,), rate = p.point.at, diagram.family.number(p.position)
        harm = 1.0 / (1.0 + np.exp(2.0 * 1.5 - x))
        assert 2.0 * rate * (0.2 - harm) == pytest.approx(0.01 * x, abs=1e-9)
    assert diagram.branches[0].points[0].point.at == pytest.approx(0.0, abs=1e-9)


REFUSED = [
    ("training.anchr", (0.1, 1.0), "anchor"),
    ("training.anchor", (1.0, 0.1), "along"),
    ("training.anchor", (-1.0, 0.1), "training.anchor"),
    ("training.anchor", (0.0, 0.1, "log"), "along"),
    ("training.steps", (10, 20), "training.steps"),
]


def test_unusable_axes_are_refused() -> None:
    for key, along, message in REFUSED:
        with pytest.raises(sim.SpecError, match=message):
            bifurcations("copyright", key, along, places=1, starts=1)
