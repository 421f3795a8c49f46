"""Continuation: planted folds and crossings are found, each branch with the right stability."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import toys
from sim.stability.continuation import Branch, branches


def follow(flow: toys.Flow, *seeds: tuple[float, float]) -> tuple[Branch, ...]:
    """Follow the branches of x' = f(x; p) from some positions and x."""
    at = toys.ToyFamily(flow).at
    return branches(at, [(position, np.array([x, 0.0])) for position, x in seeds])


def curve(branch: Branch) -> tuple[np.ndarray, np.ndarray]:
    """Return parameter and x along a branch."""
    p = np.array([toys.ToyFamily.parameter(point.position) for point in branch.points])
    return p, np.array([point.point.at[0] for point in branch.points])


def parameters(branch: Branch, event: str) -> list[float]:
    """Return the parameters at which something happens, increasing."""
    return sorted(toys.ToyFamily.parameter(p.position) for p in branch.points if p.event == event)


def kinds(branch: Branch) -> list[str]:
    """Return the classes along a branch, each stretch once, without folds and crossings."""
    plain = [p.point.kind for p in branch.points if p.event in (None, "change")]
    return [kind for kind, _ in itertools.groupby(plain)]


def test_a_planted_fold_is_found_and_passed() -> None:
    (branch,) = follow(lambda x, p: p + x**2, (0.2, -0.7))
    assert branch.ends == ("axis", "axis")
    assert parameters(branch, "fold") == [pytest.approx(0.0, abs=1e-6)]
    fold = next(point for point in branch.points if point.event == "fold")
    assert fold.point.eigenvalues[0] == pytest.approx(1.0, abs=1e-3)
    # Around the fold, both halves are there: x = -√-p attracts, x = +√-p does not.
    p, x = curve(branch)
    np.testing.assert_allclose(x**2, -p, atol=1e-8)
    for point in branch.points:
        if point.event is None:
            assert (point.point.kind == "stable") == (point.point.at[0] < 0.0)


def test_hysteresis_has_two_folds_and_seeds_on_one_branch_give_it_once() -> None:
    (branch,) = follow(lambda x, p: p + x - x**3, (0.1, -1.3), (0.5, 0.1), (0.5, 1.0))
    edge = 2.0 / (3.0 * np.sqrt(3.0))
    np.testing.assert_allclose(parameters(branch, "fold"), [-edge, edge], atol=1e-6)
    assert kinds(branch) == ["stable", "saddle", "stable"]
    z = np.array([point.z for point in branch.points])
    assert np.linalg.norm(np.diff(z, axis=0), axis=1).max() < 0.26  # however straight it is


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_planted_pitchfork_is_found_with_the_right_stability(sign: float) -> None:
    """x' = p' x ∓ x³ with p' = p − 0.1: what branches off attracts only if the sign is minus."""
    straight, fork = follow(lambda x, p: (p - 0.1) * x - sign * x**3, (0.1, 0.0))
    assert kinds(straight) == ["stable", "saddle"]
    np.testing.assert_allclose(curve(straight)[1], 0.0, atol=1e-9)
    for branch in (straight, fork):
        assert parameters(branch, "crossing") == [pytest.approx(0.1, abs=1e-5)]
    assert parameters(fork, "fold") == []  # it turns back at the crossing, which is no fold
    p, x = curve(fork)
    np.testing.assert_allclose(x**2, sign * (p - 0.1), atol=1e-6)
    assert set(kinds(fork)) == {"stable" if sign > 0 else "saddle"}
    assert x[0] == pytest.approx(-x[-1], abs=1e-6)


def test_branches_that_cross_exchange_stability() -> None:
    straight, other = follow(lambda x, p: (p - 0.1) * x - x**2, (0.1, 0.0))
    assert kinds(straight) == ["stable", "saddle"]
    assert sorted(kinds(other)) == ["saddle", "stable"]
    for branch in (straight, other):
        assert parameters(branch, "crossing") == [pytest.approx(0.1, abs=1e-5)]


def test_an_island_is_closed() -> None:
    (branch,) = follow(lambda x, p: 4.0 * p**2 + x**2 - 1.0, (0.5, 1.0))
    assert branch.ends == ("closed", "closed")
    np.testing.assert_allclose(parameters(branch, "fold"), [-0.5, 0.5], atol=1e-6)
    p, x = curve(branch)
    np.testing.assert_allclose(4.0 * p**2 + x**2, 1.0)


def test_a_branch_ends_at_the_ends_of_the_axis_and_a_seed_near_none_is_left_out() -> None:
    (branch,) = follow(lambda x, p: p - x, (0.3, -0.4))
    p, x = curve(branch)
    np.testing.assert_allclose([p[0], p[-1], x[0], x[-1]], [-1.0, 1.0, -1.0, 1.0])
    assert follow(lambda x, p: 2.0 + p + x**2, (0.5, 0.0)) == ()
