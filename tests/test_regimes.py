"""Regimes: each rule, each of its edges, and that every history falls under exactly one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, partial

import numpy as np
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import sim
from refusals import assert_all_refused
from sim.analysis.regimes import REGIMES, STATES, Rules, classify, regimes, sweep_regimes
from sim.dynamics.measures import GAMED, LAST, WINDOW
from sim.result import Result

#: The training contexts of the scenario that histories are put into, and one of another kind.
TRAINED = CHAT, EXCERPT, CODING, TRAVEL = (
    "copyright_chat",
    "copyright_excerpt",
    "coding",
    "travel",
)
UNTRAINED = "copyright_deployed"
RECORDS = 31
Rates = Mapping[str, Sequence[float] | np.ndarray | float]


@cache
def real(agents: int = 1, records: int = RECORDS) -> Result:
    """A run of which nothing but the labels is used."""
    steps = {"steps": records - 1}
    return sim.simulate(
        "copyright", training=steps, agents=agents, seed=0, record_every=1, engine="numpy"
    )


def result(rates: np.ndarray) -> Result:
    """Return a run with other gaming rates [S, n, C]."""
    run = real(rates.shape[1], rates.shape[0])
    gaming_rate = run.data["gaming_rate"].copy(data=rates)
    return Result(run.data.assign(gaming_rate=gaming_rate), run.provenance)


def history(rates: Rates, *, records: int = RECORDS) -> Result:
    """Return a run of one agent with these gaming rates by context, and 0 in the others."""
    names = list(real(1, records).data["context"].values)
    table = np.zeros((records, 1, len(names)))
    for name, rate in rates.items():
        table[:, 0, names.index(name)] = rate
    return result(table)


def outcome(rates: Rates, **rules: float) -> xr.Dataset:
    return regimes(history(rates), rules=Rules(**rules)).isel(agent=0)  # type: ignore[arg-type]


def regime(rates: Rates, **rules: float) -> str:
    return str(outcome(rates, **rules)["regime"].item())


def state(rate: Sequence[float] | np.ndarray | float, **rules: float) -> str:
    return str(outcome({CODING: rate}, **rules)["state"].sel(context=CODING).item())


def ends(*last: float, before: float = 0.0) -> np.ndarray:
    """Return a history that ends like this, the last number through the rest of the window."""
    window = [*last, *[last[-1]] * (LAST - len(last))]
    return np.concatenate([np.full(RECORDS - LAST, before), window])


RISING = np.linspace(0.0, 0.45, RECORDS)
OVER = ends(0.0, before=0.9)
ALL = dict.fromkeys(TRAINED, 1.0)
STORIES: list[tuple[Rates, str, bool]] = [
    ({}, "none", True),
    (ALL, "global", True),
    ({**ALL, TRAVEL: 0.0}, "local", True),
    ({CHAT: 0.3}, "partial", True),
    ({CHAT: OVER}, "transient", True),
    ({CHAT: RISING}, "transient", False),
    ({CHAT: np.tile([0.0, 1.0], RECORDS)[:RECORDS]}, "transient", False),
    # The first rule that applies counts, whatever else games, moves, or had gamed.
    ({CODING: OVER, TRAVEL: RISING, CHAT: 0.9, EXCERPT: 0.3}, "local", False),
    ({CODING: OVER, TRAVEL: RISING, CHAT: 0.3}, "partial", False),
    # Contexts of other kinds have no say.
    ({UNTRAINED: np.linspace(0.0, 1.0, RECORDS)}, "none", True),
]


def test_each_regime_has_its_stories() -> None:
    for rates, name, settled in STORIES:
        run = outcome(rates)
        assert (run["regime"].item(), run["settled"].item()) == (name, settled), rates
        assert set(run["context"].values) == set(TRAINED)
    agents = np.concatenate([history(rates).gaming_rate.values for rates, _, _ in STORIES], axis=1)
    assert list(regimes(result(agents))["regime"].values) == [name for _, name, _ in STORIES]
    short = history({CHAT: [0.0, *[1.0] * 9]}, records=10)
    assert regimes(short)["regime"].item() == "transient"
    assert regimes(short, rules=Rules(window=9))["regime"].item() == "local"


def test_at_the_edges_of_states() -> None:
    """`steady` is 0.0625, a number that binary has; each pair is tried upwards and downwards."""
    for low, high, name in [
        (0.25, 0.3125, "partial"),
        (0.25, 0.3125 + 1e-9, "moving"),
        (0.15, 0.15 + 0.0625, "partial"),  # further only by rounding
        (0.46875, 0.53125, "partial"),  # across `gamed`, and steady
        (0.5, 1.0, "games"),
        (0.0, np.nextafter(0.1, 0.0), "idle"),
        (0.0, 0.1, "moving"),
        (np.nextafter(0.1, 0.0), 0.11, "moving"),  # neither idle nor above it throughout
    ]:
        for pair in ((low, high), (high, low)):
            assert state(ends(*pair), steady=0.0625) == name, pair
    assert [state(ends(0.25, high)) for high in (0.2999, 0.3001)] == ["partial", "moving"]
    for at, name in ((-1, "games"), (0, "moving"), (LAST - 1, "moving")):
        rates = np.full(RECORDS, 0.9)
        rates[RECORDS - LAST + at] = 0.4  # before the window, at its beginning, at its end
        assert state(rates) == name


def test_onsets_are_those_of_the_onset_window_and_censored_at_the_end() -> None:
    for length, name in ((WINDOW, "transient"), (WINDOW - 1, "none")):
        rates = np.zeros(RECORDS)
        rates[2 : 2 + length] = GAMED
        run = outcome({CHAT: rates})
        assert run["regime"].item() == name
        assert run["set_in"].sel(context=CHAT).item() == (name == "transient")
    rates[3:] = 0.8
    run = outcome({CHAT: rates})
    onset, until = run["onset"], run["watched_until"]
    assert onset.sel(context=CHAT).item() == until.sel(context=CHAT).item() == 2.0
    assert np.isnan(onset.sel(context=CODING).item())
    assert until.sel(context=CODING).item() == RECORDS - 1
    assert run["set_in"].values.tolist() == [name == CHAT for name in TRAINED]


def test_each_threshold_and_window_of_the_rules_matters() -> None:
    late, once, over = np.zeros(RECORDS), np.zeros(RECORDS), ends(0.0, before=0.6)
    late[-5:] = once[4] = 1.0
    for rate, usual, rules, other in [
        (0.6, "local", {"gamed": 0.7}, "partial"),
        (0.3, "partial", {"idle": 0.4}, "none"),
        (ends(0.2, 0.4), "transient", {"steady": 0.3}, "partial"),
        (late, "transient", {"window": 5}, "local"),
        (once, "none", {"onset_window": 1}, "transient"),
        (over, "transient", {"gamed": 0.7}, "transient"),
        (over, "transient", {"onset": 0.7}, "none"),
    ]:
        assert (regime({CHAT: rate}), regime({CHAT: rate}, **rules)) == (usual, other), rules


def test_rules_that_leave_a_rate_in_no_state_are_refused() -> None:
    nan = float("nan")
    cases = [
        ({"idle": 0.0}, "rules: got idle=0 and gamed=0.5: must be 0 < idle <= gamed <= 1"),
        ({"idle": 0.6}, "rules: got idle=0.6 and gamed=0.5"),
        ({"gamed": 1.1}, "rules: got idle=0.1 and gamed=1.1"),
        ({"gamed": nan}, "rules: got idle=0.1 and gamed=nan"),
        ({"steady": -0.1}, "rules.steady: got -0.1: must be between 0 and 1"),
        ({"steady": nan}, "rules.steady: got nan"),
        ({"onset": 1.5}, "rules.onset: got 1.5"),
        ({"window": 0}, "rules.window: got 0: must be a whole number of 1 or more"),
        ({"window": 2.5}, "rules.window: got 2.5"),
        ({"onset_window": 0}, "rules.onset_window: got 0"),
    ]
    assert_all_refused((partial(Rules, **rules), message) for rules, message in cases)  # type: ignore[arg-type]


def test_the_regimes_of_a_sweep_are_those_of_its_runs() -> None:
    """The runs that fail, by the last learning rate, have none."""
    agent = {"spread": {"initial": {"awareness": 1.0, "habit": 0.5}}}
    rates, awareness = "training.learning_rate.values", "agent.initial.awareness"
    settings = {"training": {"steps": 400, "learning_rate": {"habit": 0.3}}, "agent": agent}
    table = sim.sweep(
        "copyright",
        axes={awareness: (-9.0, -7.0, -6.0, -3.0), rates: (0.003, 1e200)},
        seeds=2,
        record_every=10,
        engine="numpy",
        **settings,
    )
    frame = sweep_regimes(table)
    assert len(frame) == 16 - table.failed == 8
    assert set(frame[rates]) == {0.003}
    assert frame["regime"].nunique() >= 3
    assert tuple(frame["regime"].cat.categories) == REGIMES
    assert frame["regime"].cat.ordered
    for row in frame.to_dict("records"):
        run = sim.simulate(
            "copyright",
            agent={**agent, "initial": {"awareness": row[awareness]}},
            training={
                **settings["training"],
                "learning_rate": {"habit": 0.3, "values": row[rates]},
            },
            seed=row["seed"],
            record_every=10,
            engine="numpy",
        )
        expected = regimes(run).isel(agent=0)
        assert row["regime"] == expected["regime"].item()
        assert row["settled"] == expected["settled"].item()
        assert [row[f"share_{s}"] for s in STATES] == expected["share"].values.tolist()
    others = (Rules(window=19), Rules(onset_window=4), Rules(onset=0.6))
    refused = [partial(sweep_regimes, table, rules=rules) for rules in others]
    assert_all_refused((call, "rules: a sweep keeps the last 20 records") for call in refused)


LEVELS = st.one_of(
    st.sampled_from([0.0, 0.05, 0.1, 0.15, 0.25, 0.3, 0.45, 0.5, 0.55, 0.9, 1.0]),
    st.floats(0.0, 1.0),
)


@st.composite
def histories(draw: st.DrawFn) -> np.ndarray:
    """Draw gaming rates [S, 1, 5]: in stretches, as those that change at each record all move."""
    rates = np.empty((RECORDS, 1, 5))
    for context in range(5):
        cuts = sorted(draw(st.lists(st.integers(1, RECORDS - 1), max_size=3)))
        for start, end in zip([0, *cuts], [*cuts, RECORDS], strict=True):
            rates[start:end, 0, context] = draw(LEVELS)
    return rates


@given(rates=histories(), context=st.integers(0, 3), order=st.permutations(range(4)))
def test_every_history_has_one_regime_and_one_state_for_each_context(
    rates: np.ndarray, context: int, order: list[int]
) -> None:
    run = regimes(result(rates)).isel(agent=0)
    name, states = run["regime"].item(), list(run["state"].values)
    last = rates[-LAST:, 0, :4]  # the training contexts come first
    assert [state == "games" for state in states] == (last >= 0.5).all(axis=0).tolist()
    assert [state == "idle" for state in states] == (last < 0.1).all(axis=0).tolist()
    assert run["share"].values.tolist() == [states.count(state) / 4 for state in STATES]
    assert run["settled"].item() == ("moving" not in states)
    assert (name == "global") == (set(states) == {"games"})
    assert (name in ("local", "global")) == ("games" in states)
    assert (name == "none") == (set(states) == {"idle"} and not run["set_in"].any())
    # To game throughout in one context more never lowers the regime, and order does not matter.
    low, high, onset = last.min(axis=0), last.max(axis=0), run["onset"].values
    permuted = classify(low[None, order], high[None, order], onset[None, order])
    assert REGIMES[permuted.regime[0]] == name
    assert [STATES[state] for state in permuted.state[0]] == [states[i] for i in order]
    low[context] = high[context] = 1.0
    raised = classify(low[None], high[None], onset[None]).regime[0]
    assert raised >= max(REGIMES.index(name), REGIMES.index("local"))
