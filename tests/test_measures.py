"""Each measure on histories and policies made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sim.dynamics import measures
from sim.dynamics.columns import Numbers
from sim.dynamics.compile import compile_world
from sim.dynamics.program import World
from sim.specs.scenario import Scenario

NAN = float("nan")


@pytest.mark.parametrize(
    ("rates", "window", "expected"),
    [
        ([0, 0, 1, 1, 1, 1], 3, 20),
        ([0, 0.5, 0.5, 0.5, 0, 0], 3, 10),  # 0.5 is enough, and so are three records
        ([0, 0.499, 0.499, 0.499, 0, 0], 3, NAN),
        ([1, 1, 0, 1, 1, 1], 3, 30),  # an interruption starts the count again
        ([1, 1, 0, 1, 1, 0], 3, NAN),
        ([0, 0, 0, 0, 1, 1], 3, NAN),  # the record ends before three are seen
        ([1, 1, 1, 1, 1, 1], 6, 0),
        ([1, 1, 1, 1, 1, 1], 7, NAN),
        ([0, 1, 0, 0, 0, 0], 1, 10),
    ],
)
def test_onset(rates: list[float], window: int, expected: float) -> None:
    history = np.array(rates, float)[:, None, None]
    found = measures.onset(history, np.arange(0, 60, 10), window=window)
    assert found.item() == pytest.approx(expected, nan_ok=True)


def test_the_ends_of_gaming_are_over_the_last_records() -> None:
    steps = list(range(0, 300, 10))
    watch = measures.EndWatch(steps)
    for step in steps:
        watch.see(step, np.array([step, -step, 5.0]) if step != 100 else np.array([7.0, 8.0, 9.0]))
    assert watch.minimum.tolist() == [7.0, -290.0, 5.0]
    assert watch.maximum.tolist() == [290.0, 8.0, 9.0]


def world(**contexts: dict) -> World:
    responses = {"yes": {"v": 1}, "no": {"v": -1}}
    full = {name: {"responses": responses} | context for name, context in contexts.items()}
    return compile_world(Scenario.load({"values": ["v"], "contexts": full}), Numbers(agents=1))


def test_reach_counts_training_contexts_plainly_and_by_weight() -> None:
    here = world(a={"weight": 3}, b={}, c={"weight": 0}, d={"kind": "deployment"})
    rates = np.array([[0.6, 0.4, 0.9, 1.0], [0.5, 0.5, 0.1, 0.0]])
    assert measures.reach(rates, here).tolist() == pytest.approx([2 / 3, 2 / 3])
    assert measures.reach_weighted(rates, here).tolist() == pytest.approx([0.75, 1.0])


def test_consistency_is_the_worst_chance_before_deployment() -> None:
    good = {"reward": {"yes": 1}}
    here = world(
        a=good,
        b=good | {"kind": "evaluation"},
        c={"kind": "red_team"},  # both responses look equally good
        d=good | {"kind": "deployment"},
    )
    policy = np.array([[[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.0, 1.0]]])
    slip = measures.slip(policy, here)
    assert slip[0] == pytest.approx([0.1, 0.3, 0.0, 1.0])
    assert measures.consistency(slip, here) == pytest.approx([0.7])


def test_temptation_is_the_best_subversive_response_over_what_looks_best() -> None:
    good = {"reward": {"yes": 1}}
    bad = {"kind": "deployment", "subversive": ["no"]}
    here = world(
        a=good | {"subversive": ["no"]},  # where training looks on, nothing is gained
        b=good | {"kind": "deployment"},
        c=good | bad,
        d=bad,  # both responses look equally good
        e=good | bad | {"subversive": ["no", "yes"]},
    )
    utility = np.array([[[0.0, 3.0]] * 5, [[0.0, -3.0]] * 5])
    expected = [[NAN, NAN, 3.0, 1.5, 3.0], [NAN, NAN, -3.0, -1.5, 0.0]]
    np.testing.assert_array_equal(measures.temptation(utility, here), expected)


def test_gap_and_shift_compare_the_same_response_in_the_twin() -> None:
    turned = {"responses": {"no": {"v": -1}, "yes": {"v": 1}}, "kind": "deployment"}
    here = world(a={"reward": {"yes": 1}, "twin": "t"}, b={}, t=turned)
    policy = np.array([[[0.9, 0.1], [0.5, 0.5], [0.8, 0.2]]])  # in t, "yes" stands second
    assert measures.compliance_gap(policy, here)[0] == pytest.approx([0.7, NAN, NAN], nan_ok=True)
    assert measures.behaviour_shift(policy, here)[0] == pytest.approx([0.7, NAN, NAN], nan_ok=True)


def test_opacity_share_weighs_gaming_by_what_a_scratchpad_shows() -> None:
    here = world(a={"scratchpad": 1}, b={"scratchpad": 0}, c={"scratchpad": 0.5, "weight": 0})
    rates = np.array([[0.6, 0.2, 0.9], [0.6, 0.0, 0.9], [0.0, 0.0, 0.9]])
    found = measures.opacity_share(rates, np.array([0.0, 0.5, 0.5]), here)
    assert found == pytest.approx([0.25, 0.5, NAN], nan_ok=True)


def test_motive_gives_signed_shares() -> None:
    parts = np.array([[[3.0, -1.0], [0.0, 0.0]]])
    found = measures.motive(parts)[0]
    assert found[0] == pytest.approx([0.75, -0.25])
    assert np.isnan(found[1]).all()


def test_drift_and_cosine() -> None:
    values, start = np.array([[3.0, 4.0], [0.0, 0.0]]), np.array([[0.0, 4.0], [1.0, 0.0]])
    assert measures.drift(values, start).tolist() == [3.0, 1.0]
    assert measures.cosine(values, start) == pytest.approx([0.8, NAN], nan_ok=True)


# ------------------------------------------------------------------ quantiles and the onset watch


def with_holes(shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape)
    x[rng.random(shape) < 0.3] = NAN
    x[0, :, ...] = NAN
    x[1, 1:, ...] = NAN
    return x


@pytest.mark.filterwarnings("ignore:All-NaN slice")
def test_quantiles_are_those_of_numpy() -> None:
    levels = [0.0, 0.1, 1 / 3, 0.5, 0.9, 1.0]
    for agents in (1, 2, 9, 50):
        x = with_holes((12, agents, 3))
        found = measures.quantiles(x, levels)
        assert found.shape == (6, 12, 3)
        np.testing.assert_allclose(found, np.nanquantile(x, levels, axis=1), rtol=1e-13, atol=1e-15)
        # What everything is, and the least and the greatest, are had to the bit.
        assert (measures.quantiles(np.full((2, agents), 0.1), levels) == 0.1).all()
        np.testing.assert_array_equal(found[0], np.nanmin(x, axis=1))
        np.testing.assert_array_equal(found[-1], np.nanmax(x, axis=1))


def test_representatives_are_the_middles_of_shares_of_what_is_defined() -> None:
    """At no number is a rank off by more than half a share; few agents represent themselves."""
    for agents in (1, 2, 5, 9):
        x = np.random.default_rng(1).normal(size=(7, agents, 2))
        ordered = np.moveaxis(np.sort(x, axis=1), 1, 0)
        np.testing.assert_array_equal(measures.representatives(x, agents), ordered)
    for agents, count in ((10, 1), (10, 9), (37, 4), (1000, 9)):
        x = np.random.default_rng(2).exponential(size=(200, agents))
        x **= np.linspace(1, 5, 200)[:, None]
        found = measures.representatives(x, count)
        assert found.shape == (count, 200)
        for place, values in enumerate(found):
            rank = (x <= values[:, None]).mean(axis=1)
            assert (np.abs(rank - (place + 0.5) / count) <= 1.0 / agents).all()
        for number in np.quantile(x, np.linspace(0, 1, 30)):
            share, guess = (x <= number).mean(axis=1), np.less_equal(found.T, number).mean(axis=1)
            assert (np.abs(share - guess) <= 0.5 / count + 1.0 / agents).all()
        for level in (0.1, 0.5, 0.9):  # so a quantile over many runs is off, in rank, by no more
            rank = (x <= np.quantile(found, level)).mean()
            assert abs(rank - level) <= 0.5 / count + 1.0 / agents
    x = with_holes((6, 20))
    found = measures.representatives(x, 9)
    assert np.isnan(found[:, 0]).all()
    assert (found[:, 1] == x[1, 0]).all() or np.isnan(x[1, 0])
    for run in range(2, 6):
        defined = x[run][np.isfinite(x[run])]
        alone = measures.representatives(defined[None], 9)[:, 0]
        np.testing.assert_array_equal(found[:, run], alone)


def test_a_watch_finds_the_onset_of_a_history() -> None:
    """As the words have it: the first step from which it holds for `window` records."""
    rates = np.random.default_rng(3).random((30, 20, 4))
    rates[:, 0] = 1.0
    steps = np.array([*range(0, 87, 3), 88])
    for window, threshold in ((1, 0.0), (2, 0.3), (5, 0.3), (5, 1.0), (30, 0.0), (31, 0.3)):
        watch = measures.OnsetWatch(rates.shape[1:], threshold=threshold, window=window)
        for index, (step, now) in enumerate(zip(steps, rates, strict=True)):
            watch.see(int(step), now)
            first = np.full(rates.shape[1:], NAN)
            for start in reversed(range(index + 2 - window)):
                holds = (rates[start : start + window] >= threshold).all(axis=0)
                first[holds] = steps[start]
            np.testing.assert_array_equal(watch.onset, first)
        whole = measures.onset(rates, steps, threshold=threshold, window=window)
        np.testing.assert_array_equal(watch.onset, whole)
