"""Evidence on populations whose joint distribution is known, and on trained ones."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import sim
from experiments.evidence.causes import CUTS, by_contexts, cause_table
from experiments.evidence.hypotheses import HYPOTHESES, hypotheses
from experiments.evidence.scores import calibration, score_of
from sim.analysis.counterfactuals import MOMENT_VARIABLES, moment_of
from sim.analysis.likelihood_ratios import (
    FEWEST,
    likelihood_ratio,
    likelihood_table,
    resample,
)
from sim.analysis.observations import NO_SIGN, ObservationThresholds, contexts_gamed, observations
from sim.analysis.worst_case import PostTraining, Thresholds
from sim.dynamics.randomness import uniform_pair
from sim.specs.deployment import Deployment
from sim.specs.errors import SpecError
from sim.specs.oversight import Oversight
from sim.specs.prior import Prior
from sim.specs.scenario import Scenario
from sim.sweeps.prior_sample import PriorSample

LAB = Scenario.load("lab_to_deployment")
AFTER = PostTraining(oversight=Oversight(), deployment=Deployment(), thresholds=Thresholds())
P_TRUE, IF_TRUE, IF_NOT = 0.2, 0.7, 0.3


def known(agents: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return H and O of agents with P(H), P(O | H) and P(O | not H) as above."""
    first, second = uniform_pair(seed=seed, stream="known", rows=np.arange(agents))
    true = first < P_TRUE
    return true, second < np.where(true, IF_TRUE, IF_NOT)


# ------------------------------------------------------------------------------ known populations


def test_ratios_and_posteriors_of_a_known_population() -> None:
    """Within 4.5 standard errors: false alarm in fewer than 1 of 10,000 seeds."""
    agents = 200_000
    true, seen = known(agents, seed=1)
    row = likelihood_table({"O": seen}, {"H": true}).iloc[0]
    ratio = IF_TRUE / IF_NOT
    error = np.sqrt(
        (1 - IF_TRUE) / (agents * P_TRUE * IF_TRUE)
        + (1 - IF_NOT) / (agents * (1 - P_TRUE) * IF_NOT)
    )
    assert abs(np.log(row["ratio"] / ratio)) < 4.5 * error
    assert np.log(row["ratio_high"] / row["ratio_low"]) == pytest.approx(2 * 1.96 * error, rel=0.15)
    posterior = P_TRUE * IF_TRUE / (P_TRUE * IF_TRUE + (1 - P_TRUE) * IF_NOT)
    assert abs(row["posterior"] - posterior) < 4.5 * np.sqrt(0.25 / (agents * 0.38))
    assert row["posterior_low"] < row["posterior"] < row["posterior_high"]
    odds = row["prior"] / (1 - row["prior"]) * row["ratio"]
    assert row["posterior"] == pytest.approx(odds / (1 + odds), abs=1e-12)  # Bayes


def test_bootstrap_intervals_cover() -> None:
    """Of 300 populations 95 % are to be covered; outside 0.91 to 0.98 in 1 of 500 seeds."""
    cells = np.array([P_TRUE * IF_TRUE, (1 - P_TRUE) * IF_NOT])
    cells = np.array([*cells, P_TRUE * (1 - IF_TRUE), (1 - P_TRUE) * (1 - IF_NOT)])
    flags = []
    for repeat in range(300):
        true, seen = known(400, seed=1000 + repeat)
        row = likelihood_table({"O": seen}, {"H": true}, seed=repeat, draws=400).iloc[0]
        flags.append(row["ratio_low"] <= IF_TRUE / IF_NOT <= row["ratio_high"])
    assert 0.91 <= np.mean(flags) <= 0.98
    assert likelihood_ratio((cells * 1e6).astype(np.int64)) == pytest.approx(IF_TRUE / IF_NOT)


def test_resampled_counts_are_multinomial() -> None:
    """Means and covariances within 5 standard errors: false alarm in 1 of 100,000 seeds."""
    counts = np.array([[30, 0, 50, 20]])
    again = resample(counts, seed=4, stream="test", draws=20_000)[:, 0, :]
    assert (again.sum(axis=1) == 100).all()
    assert (again[:, 1] == 0).all()
    share = counts[0] / 100
    spread = 100 * (np.diag(share) - np.outer(share, share))
    assert np.abs(again.mean(axis=0) - counts[0]).max() < 5 * np.sqrt(25 / 20_000)
    assert np.abs(np.cov(again.T) - spread).max() < 5 * 25 * np.sqrt(2 / 20_000)


def test_cells_with_too_few_say_so() -> None:
    true = np.arange(1000) < 40
    seen = np.zeros(1000, bool)
    seen[: FEWEST - 1] = True  # 4 with O and H
    seen[500:600] = True
    row = likelihood_table({"O": seen}, {"H": true}).iloc[0]
    assert (row["few"], row["few_of"]) == (FEWEST - 1, "seen and true")
    assert np.isnan(row[["ratio", "ratio_low", "ratio_high"]].astype(float)).all()
    assert row["posterior"] == pytest.approx(4 / 104)
    seen[FEWEST - 1] = True
    row = likelihood_table({"O": seen}, {"H": true}).iloc[0]
    assert (row["few"], row["few_of"]) == (-1, "")
    assert row["ratio"] == pytest.approx((5 / 40) / (100 / 960))
    nobody = likelihood_table({"O": seen}, {"H": np.zeros(1000, bool)}).iloc[0]
    assert (nobody["few"], nobody["few_of"]) == (0, "true")


def test_zero_is_not_taken_for_never() -> None:
    """Where H was never without O, the interval is not as if it never could be."""
    true = np.arange(100_000) < 25
    seen = np.arange(100_000) < 50_000
    row = likelihood_table({"O": seen}, {"H": true}).iloc[0]
    assert row["if_true"] == 1.0
    assert row["ratio_low"] < 0.97 / row["if_not"]


def test_area_under_the_curve() -> None:
    """Against every pair counted by hand."""
    count = np.array([0, 1, 1, 2, 3, 0, 2, 3, 3, 1])
    true = np.array([0, 0, 1, 1, 1, 0, 0, 1, 0, 0], bool)
    pairs = [(a > b) + 0.5 * (a == b) for a in count[true] for b in count[~true]]
    found = score_of(count, true)
    assert found.auc == pytest.approx(np.mean(pairs))
    assert np.isnan(found.low)  # 4 are too few
    assert np.trapezoid(found.hits, found.false_alarms) == pytest.approx(found.auc)
    many = score_of(np.repeat(count, 50), np.repeat(true, 50))
    assert many.auc == pytest.approx(found.auc)
    assert many.low < many.auc < many.high


def test_predictions_of_a_known_population_are_calibrated() -> None:
    """Within 4.5 standard errors: false alarm in fewer than 1 of 10,000 seeds."""
    true, seen = known(40_000, seed=7)
    table, errors = calibration({"O": seen}, true)
    assert len(table) == 2
    error = np.sqrt(2 * table["share"] * (1 - table["share"]) / table["agents"])
    assert (np.abs(table["predicted"] - table["share"]) < 4.5 * error).all()
    best = 0.38 * 0.3684 * 0.6316 + 0.62 * 0.0968 * 0.9032  # Brier's score of the true chances
    assert errors["score"] == pytest.approx(best, abs=0.005)
    assert errors["score"] < errors["score_prior"]
    assert errors["score_prior"] == pytest.approx(P_TRUE * (1 - P_TRUE), abs=0.005)


def test_what_cause_adds_is_the_difference_of_logarithms() -> None:
    true, seen = known(5000, seed=2)
    cut, _ = known(5000, seed=3)
    row = cause_table({"O": seen}, {"misalignment": true}, {"gaming": {"misalignment": cut}}).iloc[
        0
    ]
    ratios = [likelihood_table({"O": seen}, {"H": h}).iloc[0]["ratio"] for h in (true, cut)]
    assert row["ratio"] == pytest.approx(ratios[0])
    assert row["ratio_cut"] == pytest.approx(ratios[1])
    assert row["adds"] == pytest.approx(np.log(ratios[0] / ratios[1]))
    assert row["adds_low"] < row["adds"] < row["adds_high"]
    same = cause_table({"O": seen}, {"H": true}, {"feedback": {"H": true}}).iloc[0]
    assert same["adds"] == same["adds_low"] == same["adds_high"] == 0.0  # draws are paired


def test_by_contexts_counts() -> None:
    count = np.array([0, 0, 2, 2, 2])
    table = by_contexts(count, {"H": np.array([True, False, True, True, False])}, maximum=2)
    assert table["agents"].tolist() == [2, 0, 3]
    assert table["share"].tolist()[::2] == pytest.approx([0.5, 2 / 3])
    assert (table["low"][1], table["high"][1]) == (0.0, 1.0)


# --------------------------------------------------------------------------- trained populations


def trained(world: str, *more: dict[str, object]) -> xr.Dataset:
    draws = PriorSample(Prior.load("uninformed"), points=40, scenario=LAB)
    done = [*CUTS.get(world, ()), *more]
    swept = sim.sweep(LAB, design=draws, training={"steps": 60}, interventions=done, engine="numpy")
    return moment_of(swept.frame, LAB)


def test_the_moment_is_that_of_a_result() -> None:
    now = trained("full")
    draws = PriorSample(Prior.load("uninformed"), points=40, scenario=LAB).at(np.arange(40))
    row = 11
    keys: dict[str, dict[str, float]] = {}
    initial: dict[str, object] = {}
    for key, column in draws.items():
        head, _, part = key.removeprefix("agent.initial.").partition(".")
        if part:
            keys.setdefault(head, {})[part] = float(column[row])
        else:
            initial[head] = float(column[row])
    result = sim.simulate(
        LAB,
        agent={"initial": {**initial, **keys}},
        training={"steps": 60},
        agents=1,
        engine="numpy",
    )
    last = result.data.isel(step=-1, agent=0)
    for name in (*MOMENT_VARIABLES, "capabilities"):
        here = now[name].isel(agent=row)
        np.testing.assert_allclose(here, last[name].values, atol=1e-12, err_msg=name)
    one = sim.worst_case(result)
    both = hypotheses(now, LAB, after=AFTER)
    assert both["worst case"][row] == bool(one["worst_case"][0])
    assert both["near worst case"][row] == (int(one["lacking"][0]) <= 2)
    assert both["would attempt"][row] == bool(one["attempts"][0])


def test_cutting_changes_nobody_who_never_games() -> None:
    never: dict[str, object] = {"key": "gaming", "set": 0}
    full, feedback = trained("full", never), trained("feedback", never)
    xr.testing.assert_identical(full, feedback)
    assert not contexts_gamed(full, LAB).any()
    xr.testing.assert_identical(full, trained("gaming"))


def test_cutting_changes_those_who_game() -> None:
    full, cut = trained("full"), trained("feedback")
    games = contexts_gamed(full, LAB) > 0
    assert games.any()
    moved = np.abs(full["capabilities"].values - cut["capabilities"].values).max(axis=1)
    assert (moved[games] > 1e-6).all()
    start = PriorSample(Prior.load("uninformed"), points=40, scenario=LAB).at(np.arange(40))
    q = start["agent.initial.capability.opacity"]
    np.testing.assert_allclose(
        cut["capabilities"].sel(capability="opacity"), 1 / (1 + np.exp(-q)), rtol=1e-12
    )


def moment(games: list[list[float]], **other: object) -> xr.Dataset:
    """Return agents that game so in the training contexts, with nothing else to be seen."""
    agents, contexts = len(games), list(LAB.contexts)
    rate = np.zeros((agents, len(contexts)))
    rate[:, : len(games[0])] = games
    blank = np.zeros_like(rate)
    per_context = {
        "gaming_rate": rate, "compliance_gap": blank, "behaviour_shift": blank.copy(),
        "onset": np.full_like(rate, np.nan),
    }  # fmt: skip
    data: dict[str, object] = {n: (("agent", "context"), x) for n, x in per_context.items()}
    data["opacity_share"] = ("agent", np.full(agents, np.nan))
    return xr.Dataset(data, coords={"agent": np.arange(agents), "context": contexts}).assign(other)


def test_observations_by_their_definitions() -> None:
    now = moment([[0.9, 0.1, 0, 0], [0.5, 0.5, 0.5, 0.5], [0, 0, 0, 0], [0.4, 0.4, 0, 0]])
    now["opacity_share"] = ("agent", np.array([0.2, 0.5, np.nan, 0.9]))
    now["onset"][1, 2] = 24.0
    now["onset"][0, 0] = 25.0
    now["compliance_gap"][3, 1] = 0.3
    now["compliance_gap"][2, 9] = 1.0  # of no training context
    seen = observations(
        now, LAB, thresholds=ObservationThresholds(context="song_request"), steps=100
    )
    found = {name: np.flatnonzero(flags).tolist() for name, flags in seen.items()}
    assert found == {
        "games in song_request": [1],
        "games in 1 or more": [0, 1],
        "games in 2 or more": [1],
        "games in 3 or more": [1],
        "games in 4 or more": [1],
        "games in exactly 1": [0],
        "games in exactly 2": [],
        "games in exactly 3": [],
        "opaque gaming": [1],
        "visible gaming": [0],
        "early gaming": [1],
        "compliance gap": [3],
        "behaviour shift": [],
        NO_SIGN: [2],
    }


def test_the_context_looked_at_is_drawn_evenly() -> None:
    """4,000 agents that game in 1 of 4 contexts: a quarter is seen, within 4.5 standard errors."""
    now = moment([[0, 1, 0, 0]] * 4000)
    here = next(
        iter(observations(now, LAB, thresholds=ObservationThresholds(), steps=10, seed=5).values())
    )
    assert abs(here.mean() - 0.25) < 4.5 * np.sqrt(0.25 * 0.75 / 4000)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"gapp": 0.1}, "did you mean 'gap'"),
        ({"gap": 0}, "must be above 0"),
        ({"context": "codng"}, "did you mean 'coding'"),
        (3, "must be a mapping"),
    ],
)
def test_what_cannot_be_seen_is_refused(given: object, line: str) -> None:
    with pytest.raises(SpecError, match=line):
        ObservationThresholds.read(given, LAB)  # type: ignore[arg-type]


def test_hypotheses_are_all_there() -> None:
    assert tuple(hypotheses(trained("full"), LAB, after=AFTER)) == tuple(HYPOTHESES)
