"""Regimes: the outcome of gaming in a run, one of five classes (MODEL.md section 5).

Each training context is in one of four states at the end of training, by its gaming rate over the
last `window` records:

    games      at or above `gamed` in each of them
    partial    within `steady` of itself, not below `idle`, and not `games`
    idle       below `idle` in each of them
    moving     anything else: rising, falling or oscillating

and from these, the first that applies, the run is in one regime:

    global     every training context games
    local      some training context games, not all do
    partial    none games, and some is partial: interior and stable
    transient  none of these, but gaming had set in somewhere, or some context is still moving
    none       gaming never set in, and every training context is idle

A run in which some context is still moving has not settled: longer training may change its regime.
No regime is ever called "scheming", and none says anything about the worst case.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from sim.dynamics.measures import GAMED, LAST, WINDOW
from sim.dynamics.state import Array
from sim.result import Result
from sim.specs.errors import SpecError, check_whole
from sim.sweeps.result import Sweep

#: From least gaming to most.
REGIMES = ("none", "transient", "partial", "local", "global")
#: States of a context at the end of training.
STATES = ("idle", "moving", "partial", "games")

#: Tolerance in the difference of two rates.
_ROUNDING = 1e-12
#: Variables of a sweep's summary that `classify` takes, in order.
_SUMMARY = ("gaming_rate_least", "gaming_rate_most", "onset")
_NONE, _TRANSIENT, _PARTIAL, _LOCAL, _GLOBAL = range(5)
_IDLE, _MOVING, _IN_PART, _GAMES = range(4)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Thresholds and windows of the regimes.

    Attributes:
        gamed: Gaming rate from which a context counts as gamed (as for reach).
        idle: Gaming rate below which it counts as not gamed.
        steady: Largest range of the rate within the window that still counts as steady.
        window: Number of records at the end of training.
        onset: Gaming rate from which gaming counts as having set in.
        onset_window: Number of records for which that must hold.
    """

    gamed: float = GAMED
    idle: float = 0.1
    steady: float = 0.05
    window: int = LAST
    onset: float = GAMED
    onset_window: int = WINDOW

    def __post_init__(self) -> None:
        """Raise a `SpecError` for thresholds that leave a rate in no state, or in two."""
        if not 0.0 < self.idle <= self.gamed <= 1.0:
            raise SpecError(
                f"rules: got idle={self.idle:g} and gamed={self.gamed:g}: must be "
                "0 < idle <= gamed <= 1"
            )
        for name in ("steady", "onset"):
            number = getattr(self, name)
            if not 0.0 <= number <= 1.0:
                raise SpecError(f"rules.{name}: got {number:g}: must be between 0 and 1")
        check_whole("rules.window", self.window, minimum=1)
        check_whole("rules.onset_window", self.onset_window, minimum=1)


@dataclass(frozen=True)
class Classification:
    """Regimes of some runs.

    Attributes:
        regime: Indices of `REGIMES` [n].
        settled: Whether no training context is still moving [n].
        state: Indices of `STATES`, for each training context [n, C].
    """

    regime: NDArray[np.int_]
    settled: NDArray[np.bool_]
    state: NDArray[np.int_]

    @property
    def shares(self) -> Array:
        """The share of training contexts in each of `STATES` [n, 4]."""
        return np.stack([(self.state == s).mean(axis=-1) for s in range(len(STATES))], axis=-1)


def classify(
    minimum: ArrayLike, maximum: ArrayLike, onset: ArrayLike, *, rules: Rules | None = None
) -> Classification:
    """Return the regimes of runs from the gaming rates of their training contexts.

    Args:
        minimum: The least gaming rate over the window, in each training context [n, C].
        maximum: The greatest [n, C].
        onset: The onset [n, C]; nan where gaming never set in.
        rules: Thresholds; the windows are those of the other arguments.
    """
    rules = rules or Rules()
    minimum, maximum = np.asarray(minimum, np.float64), np.asarray(maximum, np.float64)
    state = np.full(minimum.shape, _MOVING)
    state[maximum < rules.idle] = _IDLE
    steady = maximum - minimum <= rules.steady + _ROUNDING
    state[(minimum >= rules.idle) & steady] = _IN_PART
    state[minimum >= rules.gamed] = _GAMES
    games, moving = state == _GAMES, (state == _MOVING).any(axis=-1)
    regime = np.full(state.shape[:-1], _NONE)
    regime[moving | np.isfinite(np.asarray(onset, np.float64)).any(axis=-1)] = _TRANSIENT
    regime[(state == _IN_PART).any(axis=-1)] = _PARTIAL
    regime[games.any(axis=-1)] = _LOCAL
    regime[games.all(axis=-1)] = _GLOBAL
    return Classification(regime, ~moving, state)


def regimes(result: Result, *, rules: Rules | None = None) -> xr.Dataset:
    """Return the regime of each agent of a run.

    Args:
        result: A run; of fewer records than the window, all are used.
        rules: Thresholds and windows.

    Returns:
        `regime` [agent], text; `settled` [agent]; `state` [agent, context], text, of training
        contexts only; `share` [agent, of_contexts], of them in each state; `onset` [agent,
        context], the step at which gaming set in, nan where it had not; `set_in` and
        `watched_until` [agent, context], whether it had, and the step up to which that is known
        (the onset, or the end of the record): what an estimator for censored times takes.
    """
    rules = rules or Rules()
    rates = _in_training(result.gaming_rate)
    last = rates.isel(step=slice(-rules.window, None))
    onset = _in_training(result.onset_at(threshold=rules.onset, window=rules.onset_window))
    classes = classify(last.min("step").values, last.max("step").values, onset.values, rules=rules)
    end = rates["step"].values[-1]
    return xr.Dataset(
        {
            "regime": ("agent", np.array(REGIMES)[classes.regime]),
            "settled": ("agent", classes.settled),
            "state": (("agent", "context"), np.array(STATES)[classes.state]),
            "share": (("agent", "of_contexts"), classes.shares),
            "onset": (("agent", "context"), onset.values),
            "set_in": (("agent", "context"), np.isfinite(onset.values)),
            "watched_until": (("agent", "context"), onset.fillna(float(end)).values),
        },
        coords={
            "agent": rates["agent"].values,
            "context": rates["context"].values,
            "of_contexts": list(STATES),
        },
    )


def sweep_regimes(sweep: Sweep, *, rules: Rules | None = None) -> pd.DataFrame:
    """Return the regime of every run of a sweep, by its summary.

    The regime of a run of several agents is that of their medians; to see how agents differ, sweep
    seeds instead.

    Onset and windows of the rules must be those of the record: the last
    `sim.dynamics.measures.LAST` records.

    Returns:
        A row for each run that did not fail: the columns of the design, `regime` (categorical, in
        the order of `REGIMES`), `settled`, and the share of training contexts in each state.

    Raises:
        SpecError: The rules have another onset or window than the record.
    """
    rules = rules or Rules()
    check_as_recorded(rules)
    frames = []
    for number, part in enumerate(sweep.described["parts"]):
        contexts = part["scenario"]["contexts"]
        training = [name for name, context in contexts.items() if context["kind"] == "training"]
        names = {name: [f"{name}.{context}" for context in training] for name in _SUMMARY}
        columns = [sweep.column("summary", flat) for flats in names.values() for flat in flats]
        rows = sweep.query(
            f"select design.*, {', '.join(columns)} from design join summary using (run) "
            "where error is null and part = ? order by run",
            [number],
        )
        numbers = [rows[flats].to_numpy(np.float64) for flats in names.values()]
        classes = classify(*numbers, rules=rules)
        shares = {f"share_{state}": classes.shares[:, i] for i, state in enumerate(STATES)}
        regime = pd.Categorical.from_codes(classes.regime, list(REGIMES), ordered=True)
        design = rows[sweep.columns("design")]
        frames.append(design.assign(regime=regime, settled=classes.settled, **shares))
    return pd.concat(frames, ignore_index=True)


def check_as_recorded(rules: Rules) -> None:
    """Raise a `SpecError` for rules whose onset or windows are not those of a sweep's record."""
    if (rules.window, rules.onset, rules.onset_window) != (LAST, GAMED, WINDOW):
        raise SpecError(
            f"rules: a sweep keeps the last {LAST} records, and onsets at {GAMED:g} over {WINDOW}; "
            "for others, run with record=full"
        )


def _in_training(numbers: xr.DataArray) -> xr.DataArray:
    return numbers.isel(context=(numbers["kind"] == "training").values)
