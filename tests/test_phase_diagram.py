"""Phase diagrams: refined against full, runs that failed, what is kept, and what is refused."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import sim
from refusals import assert_all_refused
from sim.analysis import phase_diagram as module
from sim.analysis.phase_diagram import FAILED, Axis, PhaseDiagram, phase_diagram, prepare
from sim.analysis.regimes import REGIMES, Rules, regimes
from sim.specs.overrides import read_specs

AWARE, HORIZON = "agent.initial.awareness", "agent.initial.log_horizon"
RATE = "training.learning_rate.values"
X, Y = {"key": AWARE, "low": -10, "high": -2}, {"key": HORIZON, "low": 0, "high": 3}
SPREAD = {"spread": {"initial": {"values": 0.1, "habit": 0.5, "awareness": 0.5}}}
QUICK = {"steps": 300, "learning_rate": {"habit": 0.4, "values": 0.02, "awareness": 0.02}}


def small(points: int = 33, **changes: Any) -> PhaseDiagram:
    axes = {"x": {**X, "points": points}, "y": {**Y, "points": points}}
    options = {"seeds": 2, "agent": SPREAD, "training": QUICK, "engine": "numpy"}
    return phase_diagram("copyright", **{**axes, **options, **changes})


@cache
def refined() -> PhaseDiagram:
    return small(stride=8)


@cache
def full() -> PhaseDiagram:
    return small(refine=False)


@cache
def partly_failed() -> PhaseDiagram:
    x = {"key": RATE, "low": 1e-3, "high": 1e200, "scale": "log", "points": 9}
    return small(9, x=x, stride=4, training={"steps": 60})


def test_a_refined_map_is_the_full_one_for_a_part_of_the_runs() -> None:
    part, whole = refined(), full()
    assert whole.evaluated.all()
    assert (len(whole.levels), whole.saved) == (1, 0)
    assert whole.runs == whole.full_runs == part.full_runs == 33 * 33 * 2
    assert sum(share > 0.02 for share in whole.shares.values()) >= 3, "there is something to find"
    assert (part.regime != whole.regime).mean() < 0.01
    assert part.runs < 0.35 * part.full_runs  # a boundary is long in so small a map
    assert part.saved == part.full_runs - part.runs
    assert part.runs == 2 * part.evaluated.sum()
    for name in ("regime", "agreement", "settled", "failed", "number"):
        numbers, expected = (getattr(d, name)[part.evaluated] for d in (part, whole))
        np.testing.assert_array_equal(numbers, expected)
    assert np.abs(part.number - whole.number).mean() < 0.02
    assert f"{part.runs} of 2,178 runs: none=" in repr(part)
    assert part.plot().axes


def test_a_point_is_the_most_frequent_regime_of_its_seeds() -> None:
    """As `simulate` and the rules give them, one by one; ties go to more gaming."""
    whole = full()
    places = np.argwhere((whole.agreement < 1.0) | (whole.regime == REGIMES.index("partial")))
    assert len(places) > 10
    for row, column in places[:: len(places) // 2]:
        start = {"awareness": whole.x.numbers[column], "log_horizon": whole.y.numbers[row]}
        names, reach = [], []
        for seed in range(2):
            run = sim.simulate(
                "copyright",
                agent={**SPREAD, "initial": start},
                training=QUICK,
                seed=seed,
                record_every=3,
                engine="numpy",
            )
            names.append(REGIMES.index(regimes(run)["regime"].item()))
            reach.append(run.reach.isel(step=-1).item())
        assert whole.regime[row, column] == max(names)
        assert whole.agreement[row, column] == (1.0 if names[0] == names[1] else 0.5)
        assert whole.number[row, column] == pytest.approx(np.mean(reach))


def test_contours_rules_axes_and_records_are_as_they_are_said_to_be() -> None:
    maps = [small(4, refine=False, contour=name) for name in ("alignment", "values.copyright")]
    assert not np.array_equal(maps[0].number, maps[1].number)
    np.testing.assert_array_equal(maps[0].regime, maps[1].regime)
    usual, strict = (small(9, refine=False, rules=Rules(gamed=g)) for g in (0.5, 0.999))
    assert strict.shares["local"] < usual.shares["local"]
    log = Axis(key="training.anchor", low=1e-4, high=1e-1, points=4, scale="log")
    np.testing.assert_allclose(log.numbers, [1e-4, 1e-3, 1e-2, 1e-1])
    assert log.numbers[[0, -1]].tolist() == [1e-4, 1e-1]
    assert Axis(key=AWARE, low=-1, high=1, points=5).numbers.tolist() == [-1, -0.5, 0, 0.5, 1]
    for steps, every in ((2000, 20), (1999, 19), (300, 3), (40, 1), (1, 1)):
        specs = read_specs("copyright", training={"steps": steps})
        assert prepare(specs, x=X, y=Y).corners.parts[0].record_every == every


def test_where_every_run_failed_there_is_no_regime() -> None:
    diagram = partly_failed()
    failed = diagram.regime == -1
    assert 0 < failed.sum() < failed.size
    assert ((diagram.failed == 1.0) == failed)[diagram.evaluated].all()
    np.testing.assert_array_equal(np.isnan(diagram.number), failed)
    assert diagram.shares[FAILED] == failed.mean()
    assert sum(diagram.shares.values()) == pytest.approx(1.0)
    assert (diagram.to_xarray()["regime"].values[failed] == "failed").all()


def test_a_map_that_was_broken_off_goes_on_and_is_not_computed_twice(
    tmp_path: Path, monkeypatch: Any
) -> None:
    sweep, calls = module.sweep, []

    def breaks(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return sweep(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(module, "sweep", breaks)
        with pytest.raises(KeyboardInterrupt):
            small(9, stride=4, store=tmp_path)
    first = small(9, stride=4, store=tmp_path)
    assert first.resumed == sum(first.levels[:2]) < first.runs
    assert len(list(tmp_path.iterdir())) == len(first.levels)
    monkeypatch.setattr("sim.sweeps.record.compute", None)  # nothing is to be computed
    again = small(9, stride=4, store=tmp_path)
    assert again.resumed == again.runs == first.runs
    np.testing.assert_array_equal(again.regime, first.regime)
    np.testing.assert_array_equal(again.number, first.number)


def test_the_id_is_of_all_that_runs_depend_on() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"contour": "alignment"},  # which is read from the runs
        {"stride": 4},
        {"seeds": 3},
        {"seeds": 1},
        {"refine": False},
        {"x": {**X, "high": -1}},
        {"rules": Rules(idle=0.2)},
    ]
    specs = read_specs("copyright")
    ids = [prepare(specs, **{"x": X, "y": Y, **change}).id for change in changes]
    assert ids[0] == ids[1]
    assert len(set(ids)) == len(ids) - 1


def test_progress_rises_to_the_end() -> None:
    for refine in (True, False):
        shares: list[float] = []
        small(9, stride=4, refine=refine, progress=shares.append)
        assert (shares[0], shares[-1]) == (0.0, 1.0)
        assert all(0.0 <= share <= 1.0 for share in shares)
        assert refine or shares == sorted(shares)
    shares = []  # a map of one regime ends long before the share of the grid that was expected
    flat = {**X, "high": -9, "points": 33}
    small(33, x=flat, stride=32, training={"steps": 1}, progress=shares.append)
    assert shares[-2] < 0.1 < shares[-1] == 1.0


def test_the_labelled_map_can_be_written_and_read(tmp_path: Path) -> None:
    data = refined().to_xarray()
    data.to_netcdf(tmp_path / "map.nc", engine="h5netcdf")
    xr.testing.assert_identical(xr.load_dataset(tmp_path / "map.nc", engine="h5netcdf"), data)
    assert data["regime"].dims == (HORIZON, AWARE)
    assert data["reach"].sel({AWARE: -2, HORIZON: 3}).item() == refined().number[-1, -1]
    assert set(np.unique(data["regime"])) <= set(REGIMES)
    assert data.attrs["runs"] == refined().runs


_RANGE = {"low": 0, "high": 1}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"x": {**X, "key": "agent.initial.awarenes"}}, "did you mean 'awareness'?"),
    ({"x": {"key": "training.steps", "low": 10, "high": 20}}, "x.key: got 'training.steps': must"),
    ({"x": {**X, "key": "training.update_rule"}}, "training.update_rule: "),
    ({"y": {**Y, "key": "seed"}}, "seed: "),
    ({"y": {**Y, "key": "agent.awareness"}}, "y.key: got 'agent.awareness': must be another"),
    ({"x": {**X, "key": 3}}, "key: got 3: must be a key"),
    ({"x": _RANGE}, "x.key: is missing"),
    ({"x": 3}, "x: got 3: must be an axis"),
    ({"x": {**X, "colour": 1}}, "x.colour: unknown key; allowed: high, key, low, points, scale"),
    ({"x": {**X, "points": 1}}, f"points of {AWARE}: got 1: must be a whole number of 2 or more"),
    ({"x": {**X, "points": 1e9}}, f"points of {AWARE}: got 1000000000.0: must be a whole number"),
    ({"x": {**X, "points": 100000}}, f"points of {AWARE}: got 100000: must be 2000 or less"),
    ({"x": {**X, "low": 5}}, f"{AWARE}: got (5, -2, 'linear'): must be a range (low, high)"),
    ({"x": {**X, "low": "many"}}, f"{AWARE}: got ('many', -2, 'linear'): must be a range"),
    ({"x": {**X, "scale": "log"}}, f"{AWARE}: got (-10, -2, 'log'): must be a range (low, high)"),
    ({"x": {**X, "scale": "lin"}}, f"scale of {AWARE}: got 'lin': did you mean 'linear'?"),
    ({"y": {"key": "training.leak", "low": 0, "high": 2}}, "training.leak: "),
    ({"seeds": 0}, "seeds: got 0: must be a whole number of 1 or more"),
    ({"contour": "reech"}, "contour: got 'reech': did you mean 'reach'?"),
    ({"contour": "values.copright"}, "got 'values.copright': did you mean 'values.copyright'?"),
    ({"contour": None}, "contour: got None: "),
    ({"refine": "maybe"}, "refine: got 'maybe': must be true or false"),
    ({"stride": 0}, "stride: got 0: must be a whole number of 1 or more"),
    ({"engine": "fortran"}, "engine: "),
    ({"rules": Rules(window=10)}, "rules: a sweep keeps the last 20 records"),
]


def test_what_is_no_map_is_refused_in_one_line() -> None:
    check = partial(prepare, read_specs("copyright"))
    for changes, message in REFUSED:
        assert_all_refused([(partial(check, **{"x": X, "y": Y, **changes}), message)])
