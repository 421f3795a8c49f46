"""Phase diagrams: refined against full, what is kept, what is drawn, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import sim
from sim.analysis import phase_diagram as module
from sim.analysis.phase_diagram import FAILED, Axis, PhaseDiagram, phase_diagram, prepare
from sim.analysis.regimes import REGIMES, Rules, regimes
from sim.plots.phase_diagram import (
    MEANINGS,
    REGIME_COLOURS,
    axis_label,
    number_label,
    roomiest,
)
from sim.plots.phase_diagram import phase_diagram as draw
from sim.specs.errors import SpecError
from sim.specs.overrides import read_specs

AWARE, HORIZON = "agent.initial.awareness", "agent.initial.log_horizon"
X, Y = {"key": AWARE, "low": -10, "high": -2}, {"key": HORIZON, "low": 0, "high": 3}
SPREAD = {"spread": {"initial": {"values": 0.1, "habit": 0.5, "awareness": 0.5}}}
QUICK = {"steps": 300, "learning_rate": {"habit": 0.4, "values": 0.02, "awareness": 0.02}}


def small(points: int = 33, **changed: Any) -> PhaseDiagram:
    asked = {
        "x": {**X, "points": points},
        "y": {**Y, "points": points},
        "seeds": 2,
        "agent": SPREAD,
        "training": QUICK,
        "engine": "numpy",
    }
    return phase_diagram("copyright", **{**asked, **changed})


@pytest.fixture(scope="module")
def refined() -> PhaseDiagram:
    return small(stride=8)


@pytest.fixture(scope="module")
def full() -> PhaseDiagram:
    return small(refine=False)


# ----------------------------------------------------------------------------- refined against full


def test_a_refined_map_is_the_full_one_for_a_part_of_the_runs(
    refined: PhaseDiagram, full: PhaseDiagram
) -> None:
    assert full.evaluated.all()
    assert full.runs == full.full_runs == refined.full_runs == 33 * 33 * 2
    assert full.saved == 0
    assert len(full.levels) == 1
    assert sum(share > 0.02 for share in full.shares.values()) >= 3, "there is something to find"
    assert (refined.regime != full.regime).mean() < 0.01
    assert refined.runs < 0.35 * refined.full_runs  # a boundary is long in so small a map
    assert refined.saved == refined.full_runs - refined.runs
    assert refined.runs == 2 * refined.evaluated.sum()


def test_where_runs_were_made_all_numbers_are_those_of_the_full_map(
    refined: PhaseDiagram, full: PhaseDiagram
) -> None:
    here = refined.evaluated
    for name in ("regime", "agreement", "settled", "failed", "number"):
        np.testing.assert_array_equal(getattr(refined, name)[here], getattr(full, name)[here])
    assert np.abs(refined.number - full.number).mean() < 0.02


def test_a_finer_map_needs_a_smaller_share_of_its_runs(refined: PhaseDiagram) -> None:
    finer = small(65)
    assert finer.runs / finer.full_runs < 0.75 * refined.runs / refined.full_runs


def test_a_point_is_the_most_frequent_regime_of_its_seeds(full: PhaseDiagram) -> None:
    """As `simulate` and the rules give them, one by one; ties go to more gaming."""
    places = np.argwhere((full.agreement < 1.0) | (full.regime == REGIMES.index("partial")))
    assert len(places) > 10
    for row, column in places[:: len(places) // 2]:
        words, reach = [], []
        for seed in range(2):
            start = {"awareness": full.x.numbers[column], "log_horizon": full.y.numbers[row]}
            run = sim.simulate(
                "copyright",
                agent={**SPREAD, "initial": start},
                training=QUICK,
                agents=1,
                seed=seed,
                record_every=3,
                engine="numpy",
            )
            words.append(REGIMES.index(regimes(run)["regime"].item()))
            reach.append(run.reach.isel(step=-1).item())
        assert full.regime[row, column] == max(words)
        assert full.agreement[row, column] == (1.0 if words[0] == words[1] else 0.5)
        assert full.number[row, column] == pytest.approx(np.mean(reach))


def test_a_run_has_a_hundred_records_whatever_its_length() -> None:
    def every(steps: int) -> int:
        specs = read_specs("copyright", training={"steps": steps})
        return prepare(specs, x=X, y=Y).record_every

    assert [every(steps) for steps in (2000, 1999, 300, 40, 1)] == [20, 19, 3, 1, 1]


def test_the_contour_is_any_number_of_the_summary() -> None:
    maps = [small(4, refine=False, contour=name) for name in ("alignment", "values.copyright")]
    assert not np.array_equal(maps[0].number, maps[1].number)
    np.testing.assert_array_equal(maps[0].regime, maps[1].regime)


def test_other_rules_give_another_map(full: PhaseDiagram) -> None:
    strict = small(refine=False, rules=Rules(gamed=0.999))
    assert strict.shares["local"] < full.shares["local"]


def test_axes_are_spread_as_they_say() -> None:
    log = Axis(key="training.anchor", low=1e-4, high=1e-1, points=4, scale="log")
    np.testing.assert_allclose(log.numbers, [1e-4, 1e-3, 1e-2, 1e-1])
    assert log.numbers[[0, -1]].tolist() == [1e-4, 1e-1]
    assert Axis(key=AWARE, low=-1, high=1, points=5).numbers.tolist() == [-1, -0.5, 0, 0.5, 1]


# --------------------------------------------------------------------------------- runs that failed


@pytest.fixture(scope="module")
def partly_failed() -> PhaseDiagram:
    rates = {"key": "training.learning_rate.values", "low": 1e-3, "high": 1e200, "scale": "log"}
    return small(9, x={**rates, "points": 9}, stride=4, training={"steps": 60})


def test_where_every_run_failed_there_is_no_regime(partly_failed: PhaseDiagram) -> None:
    failed = partly_failed.regime == -1
    assert failed.any()
    assert not failed.all()
    assert (partly_failed.failed[failed & partly_failed.evaluated] == 1.0).all()
    assert (partly_failed.failed[~failed & partly_failed.evaluated] < 1.0).all()
    assert np.isnan(partly_failed.number[failed]).all()
    assert np.isfinite(partly_failed.number[~failed]).all()
    assert partly_failed.shares[FAILED] == failed.mean()
    assert sum(partly_failed.shares.values()) == pytest.approx(1.0)
    assert (partly_failed.to_xarray()["regime"].values[failed] == "failed").all()


def test_a_map_on_which_every_run_failed() -> None:
    rates = {"key": "training.learning_rate.values", "low": 1e190, "high": 1e200, "scale": "log"}
    diagram = small(4, x={**rates, "points": 4}, training={"steps": 60})
    assert diagram.shares[FAILED] == 1.0
    assert any(text.startswith("all runs failed: 100 %") for text in texts(draw(diagram)))


# ----------------------------------------------------------------------------- kept, told, labelled


def test_the_same_map_again_computes_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    first = small(9, stride=4, store=tmp_path / "kept")
    assert first.resumed == 0
    assert len(list((tmp_path / "kept").iterdir())) == len(first.levels)

    def refuse(*_: object, **__: object) -> Iterator[None]:
        raise AssertionError("nothing is to be computed")

    monkeypatch.setattr("sim.sweeps.record.compute", refuse)
    again = small(9, stride=4, store=tmp_path / "kept")
    assert again.resumed == again.runs == first.runs
    np.testing.assert_array_equal(again.regime, first.regime)
    np.testing.assert_array_equal(again.number, first.number)


def test_a_map_that_was_broken_off_goes_on(tmp_path: Path, monkeypatch: Any) -> None:
    real, calls = module.sweep, []

    def breaks(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(module, "sweep", breaks)
        with pytest.raises(KeyboardInterrupt):
            small(9, stride=4, store=tmp_path)
    rest = small(9, stride=4, store=tmp_path)
    assert rest.resumed == sum(rest.levels[:2]) < rest.runs


def test_the_contour_is_no_part_of_what_is_kept() -> None:
    specs = read_specs("copyright")
    ids = [
        prepare(specs, x=X, y=Y, **changed).id
        for changed in (
            {},
            {"contour": "alignment"},
            {"stride": 4},
            {"seeds": 3},
            {"refine": False},
        )
    ]
    ids += [
        prepare(specs, x={**X, "high": -1}, y=Y).id,
        prepare(specs, x=X, y=Y, rules=Rules(idle=0.2)).id,
    ]
    assert ids[0] == ids[1]
    assert len(set(ids)) == len(ids) - 1


@pytest.mark.parametrize("refine", [True, False])
def test_progress_rises_to_the_end(refine: bool) -> None:
    shares: list[float] = []
    small(9, stride=4, refine=refine, progress=shares.append)
    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    assert all(0.0 <= share <= 1.0 for share in shares)
    if not refine:
        assert shares == sorted(shares)


def test_the_labelled_map_can_be_written_and_read(refined: PhaseDiagram, tmp_path: Path) -> None:
    data = refined.to_xarray()
    data.to_netcdf(tmp_path / "map.nc", engine="h5netcdf")
    read = xr.load_dataset(tmp_path / "map.nc", engine="h5netcdf")
    xr.testing.assert_identical(read, data)
    assert data["regime"].dims == (HORIZON, AWARE)
    assert data["reach"].sel({AWARE: -2, HORIZON: 3}).item() == refined.number[-1, -1]
    assert set(np.unique(data["regime"])) <= set(REGIMES)
    assert data.attrs["runs"] == refined.runs


# ------------------------------------------------------------------------------------------- figure


def texts(figure: Any) -> list[str]:
    (ax,) = figure.axes
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    return [text.get_text() for text in (*ax.texts, *figure.texts, figure._suptitle)] + legend


def test_the_figure_names_every_regime_and_the_large_ones_where_they_are(
    refined: PhaseDiagram,
) -> None:
    figure = draw(refined)
    (ax,) = figure.axes
    inside = {text.get_text(): text.get_position() for text in ax.texts}
    assert {"none", "local"} <= set(inside)
    for name in set(inside) & set(REGIMES):
        column = np.abs(refined.x.numbers - inside[name][0]).argmin()
        row = np.abs(refined.y.numbers - inside[name][1]).argmin()
        assert refined.regime[row, column] == REGIMES.index(name)
    legend = "\n".join(text.get_text() for text in figure.legends[0].get_texts())
    for name in REGIMES:
        assert re.search(rf"^{name}: \d+ % of the map\n{MEANINGS[name]}$", legend, re.MULTILINE)
    assert "share of training contexts that are gamed" in legend.replace("\n", " ")
    everything = "\n".join(texts(figure))
    assert f"{refined.runs:,} of 2,178 runs computed" in everything
    assert "copyright: what becomes of training-gaming" in everything
    assert "scheming" not in everything.lower()
    assert ax.get_xlabel() == "awareness\n(situational awareness, a logit)"
    assert (ax.get_xlim(), ax.get_ylim()) == ((-10.0, -2.0), (0.0, 3.0))


def test_axes_are_logarithmic_where_they_are_said_to_be(partly_failed: PhaseDiagram) -> None:
    figure = draw(partly_failed)
    (ax,) = figure.axes
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "linear")
    assert ax.get_xlim() == pytest.approx((1e-3, 1e200))
    assert any(text.startswith("all runs failed: ") for text in texts(figure))


def test_dots_are_where_runs_were_made(refined: PhaseDiagram, full: PhaseDiagram) -> None:
    (ax,) = draw(refined).axes
    (dots,) = ax.lines
    assert len(dots.get_xdata()) == refined.evaluated.sum()
    (ax,) = draw(full).axes
    assert not ax.lines
    (ax,) = draw(refined, points=False).axes
    assert not ax.lines


def test_what_seeds_disagree_on_is_hatched(full: PhaseDiagram) -> None:
    assert any("unsure" in text for text in texts(draw(full)))
    sure = replace(full, agreement=np.ones((33, 33)), settled=np.ones((33, 33)))
    assert not any("unsure" in text for text in texts(draw(sure)))


def test_a_number_that_is_the_same_everywhere_has_no_lines(full: PhaseDiagram) -> None:
    flat = replace(full, number=np.full((33, 33), 0.5))
    assert not any("mean over seeds" in text for text in texts(draw(flat)))


def test_colours_go_from_light_to_dark_in_clear_steps() -> None:
    """So they are in order for every eye, and in grey."""
    weights = np.array([0.299, 0.587, 0.114])
    light = [
        float(weights @ [int(colour[i : i + 2], 16) for i in (1, 3, 5)])
        for colour in REGIME_COLOURS
    ]
    assert (np.diff(light) < -20).all()


@pytest.mark.parametrize(
    ("key", "label"),
    [
        ("agent.log_horizon", "log horizon\n(it cares about its future values by λ = exp ℓ)"),
        ("training.leak", "leak\n(gamed responses also train the values)"),
        ("training.learning_rate.values", "learning rate.values\n(η of v)"),
        ("agent.initial.values.copyright", "values.copyright\n"),
        ("scenario.contexts.coding.info", "coding.info"),
    ],
)
def test_an_axis_says_what_it_is(key: str, label: str) -> None:
    assert axis_label(Axis(key=key, low=0, high=1)).startswith(label)


def test_lines_say_what_they_are() -> None:
    assert number_label("gaming_rate.coding") == (
        "gaming rate (coding), mean over seeds\nchance of gaming"
    )
    assert number_label("alignment").endswith("cosine of v with human values")


def test_the_roomiest_place_for_a_name() -> None:
    region = np.zeros((20, 30), bool)
    region[2:5, 2:9] = True
    region[8:18, 10:26] = True
    row, column = roomiest(region, height=2, width=3) or (0, 0)
    assert 11 <= row <= 15
    assert 15 <= column <= 21
    assert roomiest(region, height=2, width=17) is None
    assert roomiest(np.ones((3, 3), bool), height=4, width=1) is None
    assert roomiest(np.ones((3, 3), bool), height=3, width=3) == (1, 1)


def test_windows_other_than_those_of_sweeps_are_refused() -> None:
    with pytest.raises(SpecError, match=r"^rules: a sweep keeps the last 20 records"):
        small(rules=Rules(window=10))
