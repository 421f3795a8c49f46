"""Regimes: each rule, each of its edges, and that every history falls under exactly one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import sim
from sim.analysis.regimes import REGIMES, STATES, Rules, classify, regimes, sweep_regimes
from sim.dynamics.measures import GAMED, LAST, WINDOW
from sim.result import Result
from sim.specs.errors import SpecError

#: The training contexts of the scenario that histories are put into, and one that is none.
TRAINED = ("copyright_chat", "copyright_excerpt", "coding", "travel")
UNTRAINED = "copyright_deployed"
RECORDS = 31


@cache
def real(agents: int = 1, records: int = RECORDS) -> Result:
    """A run of which nothing but the labels is used."""
    steps = {"steps": records - 1}
    return sim.simulate(
        "copyright", training=steps, agents=agents, seed=0, record_every=1, engine="numpy"
    )


def result(rates: np.ndarray) -> Result:
    """Return a run with other gaming rates [S, n, C]."""
    found = real(rates.shape[1], rates.shape[0])
    replaced = found.data["gaming_rate"].copy(data=rates)
    return Result(found.data.assign(gaming_rate=replaced), found.provenance)


def history(told: Mapping[str, Sequence[float] | float], *, records: int = RECORDS) -> Result:
    """Return a run of one agent with these gaming rates; where nothing is told, they are 0."""
    names = list(real(1, records).data["context"].values)
    rates = np.zeros((records, 1, len(names)))
    for name, rate in told.items():
        rates[:, 0, names.index(name)] = rate
    return result(rates)


def ends(*last: float, before: float = 0.0, records: int = RECORDS) -> np.ndarray:
    """Return a history that ends like this, the last number throughout the rest of the window."""
    window = np.array([*last, *[last[-1]] * (LAST - len(last))])
    return np.concatenate([np.full(records - LAST, before), window])


def found(told: Mapping[str, Sequence[float] | float], rules: Rules | None = None) -> xr.Dataset:
    return regimes(history(told), rules=rules).isel(agent=0)


def regime(told: Mapping[str, Sequence[float] | float], rules: Rules | None = None) -> str:
    return str(found(told, rules)["regime"].item())


def state(rate: Sequence[float] | float, rules: Rules | None = None) -> str:
    return str(found({"coding": rate}, rules)["state"].sel(context="coding").item())


CHAT, EXCERPT, CODING, TRAVEL = TRAINED

# ----------------------------------------------------------------------------------- the five words

STORIES = [
    ({}, "none", True),
    (dict.fromkeys(TRAINED, 1.0), "global", True),
    ({**dict.fromkeys(TRAINED, 1.0), TRAVEL: 0.0}, "local", True),
    ({CHAT: 0.9}, "local", True),
    ({CHAT: 0.3}, "partial", True),
    ({CHAT: ends(0.0, before=0.9)}, "transient", True),
    ({CHAT: np.linspace(0.0, 0.45, RECORDS)}, "transient", False),
    ({CHAT: np.linspace(1.0, 0.2, RECORDS)}, "transient", False),
    ({CHAT: np.tile([0.0, 1.0], RECORDS)[:RECORDS]}, "transient", False),
]


@pytest.mark.parametrize(("told", "word", "settled"), STORIES)
def test_each_word_has_its_story(told: dict[str, float], word: str, settled: bool) -> None:
    seen = found(told)
    assert seen["regime"].item() == word
    assert seen["settled"].item() is settled


PRECEDENCE = {
    # All with a context that had gamed (coding) and one that moves (travel).
    "local": {CHAT: 0.9, EXCERPT: 0.3},
    "partial": {CHAT: 0.3},
    "transient": {},
}


@pytest.mark.parametrize("word", PRECEDENCE)
def test_a_rule_that_stands_earlier_goes_before_those_that_stand_later(word: str) -> None:
    moves = {CODING: ends(0.0, before=0.9), TRAVEL: np.linspace(0.0, 0.45, RECORDS)}
    seen = found({**moves, **PRECEDENCE[word]})
    assert seen["regime"].item() == word
    assert not seen["settled"].item(), "whatever the word, a context is still moving"


def test_only_moving_or_only_having_set_in_makes_a_run_transient() -> None:
    moving, over = np.linspace(0.0, 0.45, RECORDS), ends(0.0, before=0.9)
    assert regime({CHAT: moving}) == "transient"
    assert not found({CHAT: moving})["set_in"].any()
    assert regime({CHAT: over}) == "transient"
    assert found({CHAT: over})["settled"].item()


def test_contexts_that_are_not_trained_on_have_no_say() -> None:
    assert regime({UNTRAINED: 1.0}) == "none"
    assert regime({UNTRAINED: np.linspace(0.0, 1.0, RECORDS)}) == "none"
    assert regime(dict.fromkeys(TRAINED, 1.0)) == "global"
    assert set(found({})["context"].values) == set(TRAINED)


def test_each_agent_has_its_own_regime() -> None:
    words = ["none", "global", "local", "partial", "transient"]
    told = [
        {},
        dict.fromkeys(TRAINED, 1.0),
        {CHAT: 1.0},
        {CHAT: 0.3},
        {CHAT: ends(0.0, before=1.0)},
    ]
    rates = np.concatenate([history(one).gaming_rate.values for one in told], axis=1)
    assert list(regimes(result(rates))["regime"].values) == words


# ------------------------------------------------------------------------------------------- edges


@pytest.mark.parametrize(
    ("rate", "word"),
    [
        (0.5, "games"),
        (np.nextafter(0.5, 0.0), "partial"),
        (0.1, "partial"),
        (np.nextafter(0.1, 0.0), "idle"),
        (0.0, "idle"),
        (1.0, "games"),
    ],
)
def test_at_a_threshold_a_rate_belongs_to_what_is_above(rate: float, word: str) -> None:
    assert state(rate) == word


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (0.25, 0.3125, "partial"),  # as far apart as `steady`, in numbers that binary has
        (0.25, 0.3125 + 1e-9, "moving"),
        (0.15, 0.15 + 0.0625, "partial"),  # further only by rounding
        (0.46875, 0.53125, "partial"),  # across `gamed`, and steady: some of the time
        (0.45, 0.55, "moving"),
        (0.5, 1.0, "games"),  # however far it moves
        (0.0, np.nextafter(0.1, 0.0), "idle"),
        (0.0, 0.1, "moving"),
        (np.nextafter(0.1, 0.0), 0.11, "moving"),  # neither idle throughout nor above it throughout
    ],
)
@pytest.mark.parametrize("upwards", [True, False])
def test_how_far_a_rate_may_move(low: float, high: float, word: str, upwards: bool) -> None:
    rules = Rules(steady=0.0625)
    assert state(ends(low, high) if upwards else ends(high, low), rules) == word


def test_the_usual_steadiness() -> None:
    assert state(ends(0.25, 0.2999)) == "partial"
    assert state(ends(0.25, 0.3001)) == "moving"


@pytest.mark.parametrize("at", [0, 7, LAST - 1])
@pytest.mark.parametrize(
    ("usual", "once", "word"),
    [(0.9, 0.49, "moving"), (0.52, 0.49, "partial"), (0.05, 0.12, "moving"), (0.3, 0.4, "moving")],
)
def test_one_record_of_the_window_that_does_not_fit_is_enough(
    at: int, usual: float, once: float, word: str
) -> None:
    rates = np.full(RECORDS, usual)
    rates[RECORDS - LAST + at] = once
    assert state(rates) == word


def test_what_was_before_the_window_does_not_count() -> None:
    rates = np.full(RECORDS, 0.9)
    rates[RECORDS - LAST - 1] = 0.0
    assert state(rates) == "games"
    rates[RECORDS - LAST] = 0.0
    assert state(rates) == "moving"


def test_a_record_that_is_shorter_than_the_window_is_looked_at_whole() -> None:
    short = history({CHAT: [0.0, *[1.0] * 9]}, records=10)
    assert regimes(short)["regime"].item() == "transient"
    assert regimes(short, rules=Rules(window=9))["regime"].item() == "local"


# ------------------------------------------------------------------------------------------- onset


@pytest.mark.parametrize(("held", "word"), [(WINDOW, "transient"), (WINDOW - 1, "none")])
def test_gaming_has_set_in_when_it_held_for_the_onset_window(held: int, word: str) -> None:
    rates = np.zeros(RECORDS)
    rates[2 : 2 + held] = GAMED
    seen = found({CHAT: rates})
    assert seen["regime"].item() == word
    assert seen["set_in"].sel(context=CHAT).item() == (word == "transient")


def test_an_onset_that_is_not_seen_is_censored_at_the_last_step() -> None:
    rates = np.zeros(RECORDS)
    rates[3:] = 0.8
    seen = found({CHAT: rates})
    onset, until = seen["onset"], seen["watched_until"]
    assert onset.sel(context=CHAT).item() == until.sel(context=CHAT).item() == 3.0
    assert np.isnan(onset.sel(context=CODING).item())
    assert until.sel(context=CODING).item() == RECORDS - 1
    assert seen["set_in"].values.tolist() == [name == CHAT for name in TRAINED]


def test_shares_are_of_training_contexts() -> None:
    rising = np.linspace(0.0, 0.45, RECORDS)
    seen = found({CHAT: 0.9, EXCERPT: 0.3, CODING: rising, UNTRAINED: 1.0})
    assert dict(zip(STATES, seen["share"].values, strict=True)) == dict.fromkeys(STATES, 0.25)
    assert found({CHAT: 0.9})["share"].values.tolist() == [0.75, 0.0, 0.0, 0.25]


# ------------------------------------------------------------------------------------------- rules


def test_rules_of_ones_own() -> None:
    assert regime({CHAT: 0.6}) == "local"
    assert regime({CHAT: 0.6}, Rules(gamed=0.7)) == "partial"
    assert regime({CHAT: 0.3}, Rules(idle=0.4)) == "none"
    assert regime({CHAT: ends(0.2, 0.4)}) == "transient"
    assert regime({CHAT: ends(0.2, 0.4)}, Rules(steady=0.3)) == "partial"
    late = np.zeros(RECORDS)
    late[-5:] = 1.0
    assert regime({CHAT: late}) == "transient"
    assert regime({CHAT: late}, Rules(window=5)) == "local"
    once = np.zeros(RECORDS)
    once[4] = 1.0
    assert regime({CHAT: once}) == "none"
    assert regime({CHAT: once}, Rules(onset_window=1)) == "transient"
    # What has set in is said by a threshold of its own.
    over = ends(0.0, before=0.6)
    assert regime({CHAT: over}) == "transient"
    assert regime({CHAT: over}, Rules(gamed=0.7)) == "transient"
    assert regime({CHAT: over}, Rules(onset=0.7)) == "none"


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"idle": 0.0}, "rules: got idle=0 and gamed=0.5: must be 0 < idle <= gamed <= 1"),
        ({"idle": 0.6}, "rules: got idle=0.6 and gamed=0.5"),
        ({"gamed": 1.1}, "rules: got idle=0.1 and gamed=1.1"),
        ({"gamed": float("nan")}, "rules: got idle=0.1 and gamed=nan"),
        ({"steady": -0.1}, "rules.steady: got -0.1: must be between 0 and 1"),
        ({"steady": 1.5}, "rules.steady: got 1.5"),
        ({"steady": float("nan")}, "rules.steady: got nan"),
        ({"window": 0}, "rules.window: got 0: must be a whole number of 1 or more"),
        ({"window": 2.5}, "rules.window: got 2.5"),
        ({"onset_window": 0}, "rules.onset_window: got 0"),
    ],
)
def test_rules_that_leave_a_rate_in_no_state_are_refused(
    asked: dict[str, float], says: str
) -> None:
    with pytest.raises(SpecError) as refused:
        Rules(**asked)  # type: ignore[arg-type]
    assert str(refused.value).startswith(says)
    assert "\n" not in str(refused.value)


def test_idle_may_be_as_high_as_gamed() -> None:
    rules = Rules(idle=0.5)
    assert [state(rate, rules) for rate in (0.5, 0.49)] == ["games", "idle"]


# ----------------------------------------------------------------------------------------- sweeps


def test_a_sweep_says_of_each_run_what_the_run_itself_says() -> None:
    agent = {"spread": {"initial": {"awareness": 1.0, "habit": 0.5}}}
    awareness, anchor = (-9.0, -7.0, -6.0, -3.0), (0.0, 0.004)
    training = {"steps": 400, "learning_rate": {"habit": 0.3}}
    table = sim.sweep(
        "copyright",
        axes={"agent.initial.awareness": awareness, "training.anchor": anchor},
        seeds=2,
        agent=agent,
        training=training,
        record_every=10,
        engine="numpy",
    )
    judged = sweep_regimes(table)
    assert len(judged) == 16
    assert judged["regime"].nunique() >= 3
    for row in judged.to_dict("records"):
        alone = sim.simulate(
            "copyright",
            agent={**agent, "initial": {"awareness": row["agent.initial.awareness"]}},
            training={**training, "anchor": row["training.anchor"]},
            agents=1,
            seed=row["seed"],
            record_every=10,
            engine="numpy",
        )
        same = regimes(alone).isel(agent=0)
        assert row["regime"] == same["regime"].item()
        assert row["settled"] == same["settled"].item()
        assert [row[f"share_{s}"] for s in STATES] == same["share"].values.tolist()


def test_the_words_of_a_sweep_are_in_order() -> None:
    table = sim.sweep("copyright", training={"steps": 20}, record_every=1, engine="numpy")
    column = sweep_regimes(table)["regime"]
    assert tuple(column.cat.categories) == REGIMES
    assert column.cat.ordered


@pytest.mark.parametrize("asked", [{"window": 19}, {"onset_window": 4}, {"onset": 0.6}])
def test_a_sweep_cannot_be_asked_for_another_window(asked: dict[str, int]) -> None:
    table = sim.sweep("copyright", training={"steps": 20}, record_every=1, engine="numpy")
    with pytest.raises(SpecError, match=r"^rules: a sweep keeps the last 20 records"):
        sweep_regimes(table, rules=Rules(**asked))


def test_runs_that_failed_have_no_regime() -> None:
    table = sim.sweep(
        "copyright",
        axes={"training.learning_rate.values": [0.003, 1e200]},
        seeds=2,
        training={"steps": 50},
        record_every=1,
        engine="numpy",
    )
    assert table.failed == 2
    assert sweep_regimes(table)["training.learning_rate.values"].tolist() == [0.003, 0.003]


# ------------------------------------------------------------------------------------- properties

EDGES = st.sampled_from([0.0, 0.05, 0.1, 0.15, 0.25, 0.3, 0.45, 0.5, 0.55, 0.9, 1.0])
LEVELS = st.one_of(EDGES, st.floats(0.0, 1.0))


@st.composite
def histories(draw: st.DrawFn) -> np.ndarray:
    """Draw gaming rates [S, 1, 5]: in stretches, as those that change at each record all move."""
    rates = np.empty((RECORDS, 1, 5))
    for context in range(5):
        cuts = sorted(draw(st.lists(st.integers(1, RECORDS - 1), max_size=3)))
        for start, end in zip([0, *cuts], [*cuts, RECORDS], strict=True):
            rates[start:end, 0, context] = draw(LEVELS)
    return rates


@given(rates=histories())
def test_every_history_has_one_regime_and_one_state_for_each_context(rates: np.ndarray) -> None:
    seen = regimes(result(rates)).isel(agent=0)
    word, settled = seen["regime"].item(), seen["settled"].item()
    states = list(seen["state"].values)
    last = rates[-LAST:, 0, :4]  # the training contexts come first
    reach = (last >= GAMED).mean(axis=1)
    assert word in REGIMES
    assert set(states) <= set(STATES)
    assert (word == "global") == (reach == 1.0).all()
    assert (word in ("local", "global")) == ("games" in states)
    assert (word == "none") == (set(states) == {"idle"} and not seen["set_in"].any())
    assert settled == ("moving" not in states)
    assert seen["share"].values.sum() == pytest.approx(1.0)
    for context, name in enumerate(states):
        rate = last[:, context]
        assert (name == "games") == (rate >= 0.5).all()
        assert (name == "idle") == (rate < 0.1).all()


@given(rates=histories(), context=st.integers(0, 3))
def test_to_game_throughout_in_one_context_more_never_lowers_the_regime(
    rates: np.ndarray, context: int
) -> None:
    more = rates.copy()
    more[:, 0, context] = 1.0
    before, after = (REGIMES.index(regimes(result(one))["regime"].item()) for one in (rates, more))
    assert after >= before
    assert REGIMES[after] in ("local", "global")


@given(data=st.data(), contexts=st.integers(1, 6))
def test_the_order_of_contexts_does_not_matter(data: st.DataObject, contexts: int) -> None:
    ends_of = st.tuples(LEVELS, LEVELS, st.sampled_from([np.nan, 30.0]))
    low, high, onset = np.array(
        data.draw(st.lists(ends_of, min_size=contexts, max_size=contexts))
    ).T
    order = np.array(data.draw(st.permutations(range(contexts))))
    minimum, maximum = np.minimum(low, high)[None], np.maximum(low, high)[None]
    one = classify(minimum, maximum, onset[None])
    other = classify(minimum[:, order], maximum[:, order], onset[None, order])
    assert one.regime == other.regime
    assert one.settled == other.settled
    np.testing.assert_array_equal(one.state[:, order], other.state)
    np.testing.assert_allclose(one.shares, other.shares)
