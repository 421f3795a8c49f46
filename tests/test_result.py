"""The result: its labels, its file, and a provenance from which it can be made again."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from dataclasses import fields
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

import sim
from sim.dynamics.measures import onset
from sim.dynamics.observe import ONSET, VARIABLES
from sim.dynamics.population import Traits
from sim.result import FORMAT
from sim.specs.agent import CAPABILITIES

DIFFERENT = {
    "rationality": [6.0, 8.0, 10.0],
    "spread": {
        "decisiveness": 0.2,
        "initial": {"values": 0.1, "habit": 0.5, "awareness": 0.5, "capability": 0.3},
    },
}
KNOWN = {**VARIABLES, "onset": ONSET}
#: Measured against where a run started, so that a run in two halves starts anew.
FROM_START = {"value_drift", "value_cosine"}


def run(scenario: str = "copyright", **changes: Any) -> sim.Result:
    settings: dict[str, Any] = {"agent": DIFFERENT, "training": {"steps": 20}, "agents": 3}
    return sim.simulate(scenario, **{**settings, "seed": 5, "record_every": 5, **changes})


def close(one: xr.DataArray, other: xr.DataArray) -> None:
    np.testing.assert_allclose(one.values, other.values, rtol=1e-12, atol=1e-12)


@pytest.fixture(scope="module")
def result() -> sim.Result:
    return run()


# ---------------------------------------------------------------------------------------- labels


def test_variables_have_their_dimensions_meaning_and_unit(result: sim.Result) -> None:
    assert set(result.data.data_vars) == set(KNOWN)
    for name, known in KNOWN.items():
        variable = getattr(result, name)
        assert isinstance(variable, xr.DataArray)
        assert variable.dims == known.dims
        assert variable.dtype == np.float64
        assert variable.attrs == {"long_name": known.meaning, "units": known.unit}
        assert known.meaning
        assert known.unit
        assert set(variable.dims) <= set(variable.coords)


def test_the_coordinates_name_everything_and_a_run_can_be_made_again_or_continued() -> None:
    for scenario in sim.scenarios():
        spec, made = sim.Scenario.load(scenario), run(scenario)
        data, contexts = made.data, spec.contexts.values()
        most = max(len(context.responses) for context in contexts)
        for name, expected in (
            ("step", [0, 5, 10, 15, 20]),
            ("agent", [0, 1, 2]),
            ("context", list(spec.contexts)),
            ("value", list(spec.values)),
            ("capability", list(CAPABILITIES)),
            ("response", list(range(most))),
            ("kind", [context.kind for context in contexts]),
            ("human_value", [spec.human_values.get(v, 0) for v in spec.values]),
            (
                "response_name",
                [[*c.responses, *[""] * (most - len(c.responses))] for c in contexts],
            ),
        ):
            assert data[name].values.tolist() == expected
        said = json.loads(json.dumps(made.provenance))
        again = sim.simulate(
            **{key: said[key] for key in ("scenario", "agent", "training", "agents", "seed")},
            **{key: said[key] for key in ("record_every", "engine", "precision", "interventions")},
        )
        assert again.data.identical(data)
        assert {**again.provenance, "created": ""} == {**made.provenance, "created": ""}
        if not spec.curriculum:
            first = run(scenario, training={"steps": 10})
            rest = run(scenario, training={"steps": 10}, initial=first.state(10))
            for name in sorted(set(VARIABLES) - FROM_START):
                close(rest.data[name], data[name].sel(step=[10, 15, 20]))


def test_weights_and_phases_are_those_of_the_step() -> None:
    scenario = sim.Scenario.load("copyright").replace(
        curriculum=[
            {"name": "early", "length": 10, "weight": {"coding": 0}},
            {"length": 5, "weight": {"travel": 0}},
        ]
    )
    data = sim.simulate(scenario, training={"steps": 20}, record_every=5).data
    assert data["phase"].values.tolist() == ["early", "early", "phase 2", "phase 2", "phase 2"]
    third = pytest.approx(1 / 3)
    assert data["weight"].sel(context="coding").values == pytest.approx([0, 0, third, third, third])
    assert data["weight"].sel(context="travel").values == pytest.approx([third, third, 0, 0, 0])
    assert data["weight"].sum("context").values == pytest.approx(1.0)
    assert (data["weight"].sel(context="copyright_deployed") == 0).all()


def test_traits_are_coordinates_of_the_agents(result: sim.Result) -> None:
    assert result.data["rationality"].values.tolist() == [6.0, 8.0, 10.0]
    assert len(set(result.data["decisiveness"].values)) == 3
    for field in fields(Traits):
        assert result.data[field.name].dims == ("agent",)


def test_what_is_not_defined_is_nan(result: sim.Result) -> None:
    padded = result.data["response_name"].values == ""
    assert padded.any()
    for name in ("policy", "value_policy", "gaming_policy"):
        chances = result.data[name].values
        assert np.array_equal(np.isnan(chances), np.broadcast_to(padded, chances.shape))
        assert np.nansum(chances, axis=-1) == pytest.approx(1.0)
    for name in ("compliance_gap", "behaviour_shift"):
        for context, spec in sim.Scenario.load("copyright").contexts.items():
            values = result.data[name].sel(context=context)
            assert bool(values.isnull().all()) == (spec.twin is None)


def test_a_result_shows_itself_on_one_screen() -> None:
    shown = repr(run("lab_to_deployment")).splitlines()
    assert shown[0].startswith("<sim.Result of 'lab_to_deployment' (step: 5, agent: 3, context: 11")
    assert len(shown) < 40
    assert max(map(len, shown)) <= 120
    text = "\n".join(shown)
    for name in ("gaming_rate.coding", "values.power", "alignment", "onset"):
        assert name in text
    many = {f"c{i}": {"responses": {"a": {"v": 1}}} for i in range(30)}
    wide = sim.simulate({"values": ["v"], "human_values": {"v": 1}, "contexts": many})
    assert "  ... 18 more" in repr(wide)
    assert repr(sim.AgentState(awareness=1.0, values=np.zeros((3, 2)))) == (
        "AgentState(values=array of shape (3, 2), awareness=1.0)"
    )


def test_a_result_draws_its_emergence(result: sim.Result) -> None:
    figure = result.plot(unaware=run(initial=sim.AgentState(awareness=-40.0)))
    assert "copyright" in figure.axes[0].get_title(loc="left")
    assert len(figure.axes) == 3
    assert len(figure.axes[1].lines) > len(result.plot().axes[1].lines)


def test_an_unknown_name_is_told_the_nearest(result: sim.Result) -> None:
    assert result.gaming_rate.identical(result.data["gaming_rate"])
    assert result.rationality.identical(result.data["rationality"])
    assert {"gaming_rate", "onset", "rationality", "save", "onset_at"} <= set(dir(result))
    for name, says in (
        ("gamingrate", "the result has no 'gamingrate'; did you mean 'gaming_rate'? allowed: "),
        ("onsets", "the result has no 'onsets'; did you mean 'onset'? allowed: "),
        ("zzz", "the result has no 'zzz'; allowed: alignment, "),
    ):
        with pytest.raises(AttributeError) as caught:
            getattr(result, name)
        assert str(caught.value).startswith(says)
        assert not hasattr(result, name)


def test_onset_at_takes_another_threshold_and_window(result: sim.Result) -> None:
    assert result.onset_at().identical(result.onset)
    made = run("monolithic", training={"steps": 60, "learning_rate": 0.5})
    rates, steps = made.gaming_rate.values, made.data["step"].values
    for threshold, window in ((0.2, 1), (0.3, 3), (0.0, 1), (1.0, 2)):
        found = made.onset_at(threshold=threshold, window=window)
        assert found.dims == ("agent", "context")
        assert found.attrs == made.onset.attrs
        above = np.lib.stride_tricks.sliding_window_view(rates >= threshold, window, axis=0)
        starts = above.all(axis=-1)
        wanted = np.where(starts.any(axis=0), steps[starts.argmax(axis=0)], np.nan)
        np.testing.assert_array_equal(found.values, wanted)
        again = onset(rates, steps, threshold=threshold, window=window)
        np.testing.assert_array_equal(found.values, again)


# ------------------------------------------------------------------------------------------ file


def test_a_saved_result_is_the_same_when_loaded(result: sim.Result, tmp_path: Path) -> None:
    """And replaces what was there, whether its run was counted by Python or by NumPy."""
    before, path = copy.deepcopy(result), tmp_path / "result.nc"
    path.write_text("old")
    assert result.save(str(path)) == path
    assert list(tmp_path.iterdir()) == [path]
    for loaded in (sim.Result.load(path), sim.Result.load(str(path)), copy.copy(result)):
        assert loaded.data.identical(before.data)
        assert loaded.provenance == before.provenance == result.provenance
        for name, variable in before.data.variables.items():
            assert loaded.data[name].dtype == variable.dtype
            assert loaded.data[name].dims == variable.dims
    counted = run(agents=np.int64(3), seed=np.int32(5), record_every=np.int64(5))
    assert counted.data.identical(result.data)
    assert sim.Result.load(counted.save(path)).provenance == counted.provenance


def test_a_file_has_the_rights_that_the_umask_leaves(result: sim.Result, tmp_path: Path) -> None:
    for mask in (0o077, 0o022, 0o002):
        before = os.umask(mask)
        try:
            path = result.save(tmp_path / f"{mask}.nc")
        finally:
            os.umask(before)
        assert path.stat().st_mode & 0o777 == 0o666 & ~mask


def test_nothing_half_written_is_left_when_saving_fails(
    result: sim.Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        result.save(tmp_path / "folder")
    assert [path.name for path in tmp_path.rglob("*")] == ["folder"]

    with pytest.raises(FileNotFoundError, match=r"missing/result\.nc'$"):
        result.save(tmp_path / "missing" / "result.nc")
    path, write_bytes = tmp_path / "result.nc", Path.write_bytes

    def fail(target: Path, content: bytes) -> None:
        if target == path:
            write_bytes(target, content)
            return
        assert target.parent == tmp_path, "only within a folder is a file put whole"
        write_bytes(target, b"half of it")
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    for old in (None, b"old"):
        if old is not None:
            path.write_bytes(old)
        with pytest.raises(OSError, match=r"no space left on device: '.*/result.nc'$"):
            result.save(path)
        assert [p.read_bytes() for p in tmp_path.glob("*.*")] == ([] if old is None else [old])


def refusal(path: Path) -> str:
    with pytest.raises(sim.SpecError) as caught:
        sim.Result.load(path)
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    assert line.startswith("result: ")
    assert repr(str(path)) in line
    return line


def test_no_file_takes_the_place_of_a_device_or_a_folder(
    result: sim.Result, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    result.save(tmp_path / "a.nc")
    for place in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(FileExistsError, match=r"is no file that can be written anew: '/"):
            result.save(place)
    assert (tmp_path / "pipe").is_fifo()
    with pytest.raises(sim.SpecError, match=r"is a folder; its results are \['a.nc'\]"):
        sim.Result.load(tmp_path)


def test_foreign_files_are_refused(result: sim.Result, tmp_path: Path) -> None:
    path, provenance = tmp_path / "result.nc", json.dumps(result.provenance)
    assert "there is no file" in refusal(path)
    assert "is a folder; its results are []" in refusal(tmp_path)
    pickled = b"cposix\nsystem\n(S'exit 1'\ntR."
    for content in (b"", b"\x00" * 512, b"values: [a]\n" * 99, b"CDF\x01" + b"\x00" * 99, pickled):
        path.write_bytes(content)
        assert "is no saved result" in refusal(path)
    for attributes in (
        {},
        {"format": FORMAT},
        {"provenance": "{}"},
        {"format": FORMAT, "provenance": "{"},
        {"format": FORMAT, "provenance": 3},
        {"format": FORMAT, "provenance": "[]"},
        {"format": "one", "provenance": "{}"},
        {"format": [1, 2], "provenance": "{}"},
        {"format": FORMAT, "provenance": provenance},
    ):
        foreign = xr.Dataset({"temperature": ("day", [1.0, 2.0])}, attrs=attributes)
        foreign.to_netcdf(path, engine="h5netcdf")
        assert "is no saved result" in refusal(path)
    with h5py.File(path, "w") as file:
        file["a"] = np.arange(3)
    assert "is no saved result" in refusal(path)
    attributes = {"format": FORMAT + 1, "provenance": provenance}
    for data in (result.data, result.data[["values"]]):
        data.assign_attrs(attributes).to_netcdf(path, engine="h5netcdf")
        assert refusal(path).endswith(f"has format {FORMAT + 1}; this version reads {FORMAT}")


def test_a_damaged_result_is_refused(result: sim.Result, tmp_path: Path) -> None:
    """Wherever it is damaged; a file of an earlier version has no seal and is read."""
    path, rng = result.save(tmp_path / "result.nc"), np.random.default_rng(0)
    whole = path.read_bytes()
    damaged = [whole[: int(share * len(whole))] for share in (0.0, 0.1, 0.5, 0.9999)]
    damaged += [whole[: whole.rindex(b"\nsha256")], whole[:-90] + bytes(90)]
    for place in rng.integers(len(whole), size=60):
        damaged.append(whole[:place] + bytes([whole[place] ^ 2]) + whole[place + 1 :])
    for content in damaged:
        path.write_bytes(content)
        assert "is no saved result" in refusal(path)
    about = {"format": FORMAT, "provenance": json.dumps(result.provenance)}
    result.data.assign_attrs(about).to_netcdf(path, engine="h5netcdf")
    assert sim.Result.load(path).data.identical(result.data)


def test_data_in_other_files_is_refused(result: sim.Result, tmp_path: Path) -> None:
    """HDF5 can show what stands in any file as if it were in this one."""
    path, secret = result.save(tmp_path / "result.nc"), tmp_path / "secret"
    secret.write_bytes(np.arange(3.0).tobytes())
    whole = path.read_bytes()
    layout = h5py.VirtualLayout(shape=(3,), dtype="f8")
    layout[:] = h5py.VirtualSource(secret, "x", shape=(3,))
    crafts: list[Callable[[h5py.File], object]] = [
        lambda file: file.create_dataset("x", (3,), "f8", external=[(secret, 0, 24)]),
        lambda file: file.create_virtual_dataset("x", layout),
        lambda file: file.__setitem__("x", h5py.ExternalLink(secret, "/x")),
        lambda file: file.create_group("deep").create_dataset("x", (3,), "f8"),
    ]
    for craft in crafts:
        path.write_bytes(whole[: whole.rindex(b"\nsha256")])
        with h5py.File(path, "a") as file:
            craft(file)
        content = path.read_bytes()
        path.write_bytes(content + b"\nsha256 " + sha256(content).hexdigest().encode())
        assert "is no data in this file" in refusal(path)


# -------------------------------------------------------------------------- provenance and state


def test_the_provenance_says_what_made_the_numbers(result: sim.Result) -> None:
    said = result.provenance
    assert said["scenario"]["name"] == "copyright"
    assert (said["agents"], said["seed"], said["record_every"]) == (3, 5, 5)
    assert said["engine"] in {"numpy", "numba"}
    for package in ("training-gaming-sim", "numpy", "xarray", "pydantic"):
        assert said["versions"][package] == version(package)
    assert said["versions"]["python"].startswith("3.")
    assert set(said["platform"]) == {"system", "machine", "byteorder"}
    assert said["created"].endswith("+00:00")
    assert json.loads(json.dumps(said, allow_nan=False)) == said


def test_a_state_can_be_read_back(result: sim.Result) -> None:
    state = result.state(20)
    shapes = {name: np.shape(array) for name, array in vars(state).items()}
    assert (shapes["values"], shapes["habit"], shapes["capability"]) == ((3, 2), (3, 5), (3, 5))
    assert {shapes[k] for k in ("awareness", "log_horizon", "log_competence")} == {(3,)}
    assert not np.array_equal(state.values, result.state(0).values)
    for step in (3, -1, 21):
        with pytest.raises(KeyError):
            result.state(step)
    made = run(initial=sim.AgentState(awareness=[1.0, 2.0, 3.0]))
    source = json.loads(json.dumps(made.provenance))  # as in provenance.json
    keys = ("scenario", "agent", "training", "interventions", "agents", "seed", "record_every")
    again = sim.simulate(
        initial=sim.AgentState(**source["initial"]), **{key: source[key] for key in keys}
    )
    np.testing.assert_array_equal(again.values, made.values)
    assert result.provenance["initial"] == "drawn from the agent spec"
    assert made.state(0).awareness.tolist() == [1.0, 2.0, 3.0]
    again = run(initial=made.state(0))
    for name in VARIABLES:
        close(again.data[name], made.data[name])
    far = {"capability": 40.0, "log_horizon": -800.0, "awareness": 99.0, "log_competence": -300.0}
    for sign in (1, -1):
        numbers = {key: -abs(x) if key.startswith("log") else sign * x for key, x in far.items()}
        start = run(agent={"initial": numbers}, training={"steps": 1}).state(0)
        for key, number in numbers.items():
            np.testing.assert_allclose(getattr(start, key), number, rtol=1e-12)
