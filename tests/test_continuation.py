"""Continuation: planted folds and crossings are found where they are, with the right stability."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import sim
import toys
from sim.stability.bifurcation import Bifurcations, bifurcations
from sim.stability.continuation import Branch, branches


def parameters(branch: Branch, event: str) -> list[float]:
    return [toys.ToyFamily.parameter(p.position) for p in branch.points if p.event == event]


def kinds(branch: Branch) -> list[str]:
    """The classes along a branch, each stretch once, without the points of change themselves."""
    plain = [p.point.kind for p in branch.points if p.event is None or p.event == "change"]
    return [kind for kind, _ in itertools.groupby(plain)]


def test_a_planted_fold_is_found_and_passed() -> None:
    family = toys.ToyFamily(lambda x, p: p + x**2)
    (branch,) = branches(family, [(0.2, np.array([-0.7, 0.0]))])
    assert branch.ends == ("axis", "axis")
    (fold,) = parameters(branch, "fold")
    assert fold == pytest.approx(0.0, abs=1e-6)
    assert branch.folds[0].point.eigenvalues[0] == pytest.approx(1.0, abs=1e-3)
    assert kinds(branch) in (["stable", "saddle"], ["saddle", "stable"])
    # Around the fold, both halves are there: x = -√-p attracts, x = +√-p does not.
    for one in branch.points:
        p, x = toys.ToyFamily.parameter(one.position), one.point.at[0]
        assert x**2 == pytest.approx(-p, abs=1e-8)
        if one.event is None:
            assert (one.point.kind == "stable") == (x < 0.0)


def test_hysteresis_has_two_folds_with_the_closed_form() -> None:
    family = toys.ToyFamily(lambda x, p: p + x - x**3)
    (branch,) = branches(family, [(0.1, np.array([-1.3, 0.0]))])
    edge = 2.0 / (3.0 * np.sqrt(3.0))
    np.testing.assert_allclose(sorted(parameters(branch, "fold")), [-edge, edge], atol=1e-6)
    assert kinds(branch) == ["stable", "saddle", "stable"]


def test_seeds_on_one_branch_give_it_once() -> None:
    family = toys.ToyFamily(lambda x, p: p + x - x**3)
    seeds = [(0.1, np.array([-1.3, 0.0])), (0.5, np.array([0.1, 0.0])), (0.5, np.array([1.0, 0.0]))]
    assert len(branches(family, seeds)) == 1


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_planted_pitchfork_is_found_with_the_right_stability(sign: float) -> None:
    """x' = p' x ∓ x³ with p' = p − 0.1: what branches off attracts only if the sign is minus."""
    family = toys.ToyFamily(lambda x, p: (p - 0.1) * x - sign * x**3)
    straight, fork = branches(family, [(0.1, np.array([0.0, 0.0]))])
    assert parameters(straight, "crossing") == [pytest.approx(0.1, abs=1e-5)]
    assert kinds(straight) == ["stable", "saddle"]
    assert all(one.point.at[0] == pytest.approx(0.0, abs=1e-9) for one in straight.points)
    assert parameters(fork, "crossing") == [pytest.approx(0.1, abs=1e-5)]
    assert not fork.folds  # it turns back at the crossing, which is no fold
    for one in fork.points:
        p, x = toys.ToyFamily.parameter(one.position), one.point.at[0]
        assert x**2 == pytest.approx(sign * (p - 0.1), abs=1e-6)
    assert set(kinds(fork)) == {"stable" if sign > 0 else "saddle"}
    ends = sorted(one.point.at[0] for one in (fork.points[0], fork.points[-1]))
    assert ends[0] == pytest.approx(-ends[1], abs=1e-6)


def test_branches_that_exchange_stability() -> None:
    family = toys.ToyFamily(lambda x, p: (p - 0.1) * x - x**2)
    straight, other = branches(family, [(0.1, np.array([0.0, 0.0]))])
    assert kinds(straight) == ["stable", "saddle"]
    assert kinds(other) in (["stable", "saddle"], ["saddle", "stable"])
    for branch in (straight, other):
        assert parameters(branch, "crossing") == [pytest.approx(0.1, abs=1e-5)]


def test_an_island_is_closed() -> None:
    family = toys.ToyFamily(lambda x, p: 4.0 * p**2 + x**2 - 1.0)
    (branch,) = branches(family, [(0.5, np.array([1.0, 0.0]))])
    assert branch.closed
    np.testing.assert_allclose(sorted(parameters(branch, "fold")), [-0.5, 0.5], atol=1e-6)
    assert all(
        4.0 * toys.ToyFamily.parameter(p.position) ** 2 + p.point.at[0] ** 2 == pytest.approx(1.0)
        for p in branch.points
    )


def test_a_branch_ends_exactly_at_the_ends_of_the_axis() -> None:
    family = toys.ToyFamily(lambda x, p: p - x)
    (branch,) = branches(family, [(0.3, np.array([-0.4, 0.0]))])
    first, last = branch.points[0], branch.points[-1]
    assert [first.position, last.position] == pytest.approx([0.0, 1.0], abs=1e-12)
    assert [first.point.at[0], last.point.at[0]] == pytest.approx([-1.0, 1.0])


def test_a_seed_near_no_fixed_point_is_left_out() -> None:
    family = toys.ToyFamily(lambda x, p: 2.0 + p + x**2)
    assert branches(family, [(0.5, np.array([0.0, 0.0]))]) == ()


# -------------------------------------------------------------------------------------- scenarios

#: The gate and the value of one context, in which gaming locks in or the value is overwritten.
GATE = ("values.copyright", "habit.copyright_chat", "habit.copyright_excerpt")


@pytest.fixture(scope="module")
def found() -> Bifurcations:
    return bifurcations(
        "copyright",
        "agent.initial.awareness",
        (-10.0, 2.0),
        training={"anchor": 0.001},
        free=[*GATE, "awareness", "log_horizon", "log_competence"],
        places=2,
        starts=12,
    )


def test_every_point_of_a_scenario_is_a_fixed_point(found: Bifurcations) -> None:
    assert len(found.branches) >= 2
    for branch in found.branches:
        for one in branch.points:
            of = found.family.at(one.position)
            gap = of.step(one.point.at[:, None])[:, 0] - one.point.at
            assert np.abs(gap).max() < 1e-10


def test_folds_of_a_scenario_have_an_eigenvalue_of_1(found: Bifurcations) -> None:
    folds = [fold for branch in found.branches for fold in branch.folds]
    assert folds
    for fold in folds:
        assert np.abs(fold.point.eigenvalues - 1.0).min() < 1e-4


def test_frame_names_everything(found: Bifurcations) -> None:
    frame = found.frame
    assert frame["agent.initial.awareness"].between(-10.0, 2.0).all()
    assert frame["gaming_rate.copyright_chat"].between(0.0, 1.0).all()
    assert set(frame["event"]) <= {"", "fold", "crossing", "change"}
    assert (frame.loc[frame["kind"] == "stable", "largest_eigenvalue"] < 1.0).all()


def test_past_a_fold_training_jumps_and_does_not_come_back(found: Bifurcations) -> None:
    """Hysteresis: lowered past the fold, gaming is lost; raised again, it does not return."""
    branch = next(b for b in found.branches if b.folds)
    fold = min(branch.folds, key=lambda one: one.position)
    near = [one for one in branch.points if one.position < fold.position + 0.004]
    state = next(one for one in near if one.point.kind == "stable").point.at[:, None]
    rates = []
    for shift in (0.004, -0.03, 0.004):
        of = found.family.at(fold.position + shift)
        state = of.iterate(state, 60_000)
        rates.append(float(of.observe(state, ("gaming_rate",))["gaming_rate"][0, 0]))
    assert rates[0] > 0.05
    assert rates[1] < 0.001
    assert rates[2] < 0.001


@pytest.mark.parametrize(
    ("key", "along", "wrong"),
    [
        ("training.anchr", (0.1, 1.0), "anchor"),
        ("training.anchor", (1.0, 0.1), "along"),
        ("training.anchor", (-1.0, 0.1), "training.anchor"),
        ("training.anchor", (0.0, 0.1, "log"), "along"),
        ("training.steps", (10, 20), "training.steps"),
    ],
)
def test_bad_axes_are_refused(key: str, along: tuple[object, ...], wrong: str) -> None:
    with pytest.raises(sim.SpecError, match=wrong):
        bifurcations("copyright", key, along, places=1, starts=1)
