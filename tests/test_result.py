"""The result: its labels, its file, and a provenance from which it can be made again."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import fields
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


def run(scenario: str = "copyright", **changes: Any) -> sim.Result:
    settings: dict[str, Any] = {"agent": DIFFERENT, "training": {"steps": 20}, "agents": 3}
    return sim.simulate(scenario, **{**settings, "seed": 5, "record_every": 5, **changes})


@pytest.fixture(scope="module")
def result() -> sim.Result:
    return run()


# ---------------------------------------------------------------------------------------- labels


def test_all_variables_are_there_and_no_others(result: sim.Result) -> None:
    assert set(result.data.data_vars) == set(KNOWN)


@pytest.mark.parametrize("name", KNOWN)
def test_a_variable_has_its_dimensions_meaning_and_unit(result: sim.Result, name: str) -> None:
    variable = getattr(result, name)
    assert isinstance(variable, xr.DataArray)
    assert variable.dims == KNOWN[name].dims
    assert variable.dtype == np.float64
    assert variable.attrs == {"long_name": KNOWN[name].meaning, "units": KNOWN[name].unit}
    assert variable.attrs["long_name"]
    assert variable.attrs["units"]
    assert set(variable.dims) <= set(variable.coords)


@pytest.mark.parametrize("scenario", sim.scenarios())
def test_the_coordinates_name_everything(scenario: str) -> None:
    spec = sim.Scenario.load(scenario)
    data = run(scenario).data
    contexts = spec.contexts.values()
    maximum = max(len(context.responses) for context in contexts)
    assert data["step"].values.tolist() == [0, 5, 10, 15, 20]
    assert data["agent"].values.tolist() == [0, 1, 2]
    assert data["context"].values.tolist() == list(spec.contexts)
    assert data["value"].values.tolist() == list(spec.values)
    assert data["capability"].values.tolist() == list(CAPABILITIES)
    assert data["response"].values.tolist() == list(range(maximum))
    assert data["kind"].values.tolist() == [context.kind for context in contexts]
    assert data["human_value"].values.tolist() == [spec.human_values.get(v, 0) for v in spec.values]
    for name, context in spec.contexts.items():
        named = data["response_name"].sel(context=name).values.tolist()
        assert named == [*context.responses, *[""] * (maximum - len(context.responses))]


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


def test_responses_that_a_context_does_not_have_are_nan(result: sim.Result) -> None:
    padded = result.data["response_name"].values == ""
    assert padded.any()
    for name in ("policy", "value_policy", "gaming_policy"):
        chances = result.data[name].values
        assert np.array_equal(np.isnan(chances), np.broadcast_to(padded, chances.shape))
        assert np.nansum(chances, axis=-1) == pytest.approx(1.0)


def test_what_needs_a_twin_is_nan_without_one(result: sim.Result) -> None:
    twins = {name: c.twin for name, c in sim.Scenario.load("copyright").contexts.items()}
    for name in ("compliance_gap", "behaviour_shift"):
        for context, twin in twins.items():
            values = result.data[name].sel(context=context)
            assert bool(values.isnull().all()) == (twin is None)


def test_a_variable_is_an_attribute(result: sim.Result) -> None:
    assert result.gaming_rate.identical(result.data["gaming_rate"])
    assert result.rationality.identical(result.data["rationality"])
    assert {"gaming_rate", "onset", "rationality", "save", "onset_at"} <= set(dir(result))
    assert repr(result).startswith("<sim.Result of 'copyright' (step: 5, agent: 3, context: 5, ")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("gamingrate", "the result has no 'gamingrate'; did you mean 'gaming_rate'? allowed: "),
        ("onsets", "the result has no 'onsets'; did you mean 'onset'? allowed: "),
        ("zzz", "the result has no 'zzz'; allowed: alignment, "),
    ],
)
def test_an_unknown_name_is_told_the_nearest(result: sim.Result, name: str, says: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(result, name)
    assert str(caught.value).startswith(says)
    assert not hasattr(result, name)


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r))]
)
def test_a_copy_is_the_same(result: sim.Result, again: Callable[[Any], sim.Result]) -> None:
    made = again(result)
    assert made.data.identical(result.data)
    assert made.provenance == result.provenance


# ----------------------------------------------------------------------------------------- onset


def test_onset_at_is_onset_by_default(result: sim.Result) -> None:
    assert result.onset_at().identical(result.onset)


@pytest.mark.parametrize(("threshold", "window"), [(0.2, 1), (0.3, 3), (0.0, 1), (1.0, 2)])
def test_onset_at_takes_another_threshold_and_window(threshold: float, window: int) -> None:
    made = run("monolithic", training={"steps": 60, "learning_rate": 0.5})
    found = made.onset_at(threshold=threshold, window=window)
    rates, steps = made.gaming_rate.values, made.data["step"].values
    assert found.dims == ("agent", "context")
    assert found.attrs == made.onset.attrs
    for agent in range(3):
        for context in range(rates.shape[2]):
            held = rates[:, agent, context] >= threshold
            starts = [step for i, step in enumerate(steps) if held[i : i + window].sum() == window]
            wanted = starts[0] if starts else np.nan
            assert found.values[agent, context] == pytest.approx(wanted, nan_ok=True)
    assert np.array_equal(
        found.values, onset(rates, steps, threshold=threshold, window=window), equal_nan=True
    )


# ------------------------------------------------------------------------------------------ file


def test_a_saved_result_is_the_same_when_loaded(result: sim.Result, tmp_path: Path) -> None:
    path = result.save(tmp_path / "result.nc")
    loaded = sim.Result.load(path)
    assert path == tmp_path / "result.nc"
    assert list(tmp_path.iterdir()) == [path]
    assert loaded.data.identical(result.data)
    assert loaded.provenance == result.provenance
    for name, variable in result.data.variables.items():
        assert loaded.data[name].dtype == variable.dtype
        assert loaded.data[name].dims == variable.dims


def test_saving_replaces_what_was_there(result: sim.Result, tmp_path: Path) -> None:
    path = tmp_path / "result.nc"
    path.write_text("old")
    result.save(str(path))
    assert sim.Result.load(str(path)).data.identical(result.data)


def test_saving_changes_nothing(result: sim.Result, tmp_path: Path) -> None:
    before = copy.deepcopy(result)
    result.save(tmp_path / "result.nc")
    assert result.data.identical(before.data)
    assert result.provenance == before.provenance


def test_a_run_counted_by_numpy_can_be_saved(tmp_path: Path) -> None:
    made = run(agents=np.int64(3), seed=np.int32(5), record_every=np.int64(5))
    assert made.data.identical(run().data)
    assert sim.Result.load(made.save(tmp_path / "result.nc")).provenance == made.provenance


@pytest.mark.parametrize("old", [None, b"old"], ids=["new", "there-already"])
def test_nothing_half_written_is_left_when_saving_fails(
    result: sim.Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bytes | None
) -> None:
    path = tmp_path / "result.nc"
    if old is not None:
        path.write_bytes(old)

    def fail(data: xr.Dataset, target: str, **how: object) -> None:
        assert Path(target).parent == path.parent, "only within a folder is a file put whole"
        Path(target).write_bytes(b"half of it")
        raise OSError("no space left on device")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", fail)
    with pytest.raises(OSError, match="no space left"):
        result.save(path)
    assert list(tmp_path.iterdir()) == ([] if old is None else [path])
    assert old is None or path.read_bytes() == old


def test_nothing_is_left_where_a_folder_has_the_name(result: sim.Result, tmp_path: Path) -> None:
    (tmp_path / "result.nc").mkdir()
    with pytest.raises(OSError, match=r"result\.nc"):
        result.save(tmp_path / "result.nc")
    assert [path.name for path in tmp_path.rglob("*")] == ["result.nc"]


def refusal(path: Path) -> str:
    with pytest.raises(sim.SpecError) as caught:
        sim.Result.load(path)
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    assert line.startswith("result: ")
    assert repr(str(path)) in line
    return line


class Bomb:
    """Something that would leave a trace if a pickle of it were loaded."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return Path.touch, (self.trace,)  # type: ignore[return-value]


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 512, b"values: [a]\n" * 99, b"CDF\x01" + b"\x00" * 99]
)
def test_garbage_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "result.nc"
    path.write_bytes(content)
    assert "is no saved result" in refusal(path)


def test_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    path, trace = tmp_path / "result.nc", tmp_path / "trace"
    path.write_bytes(pickle.dumps(Bomb(trace)))
    assert "is no saved result" in refusal(path)
    assert not trace.exists()
    pickle.loads(path.read_bytes())
    assert trace.exists(), "the bomb itself must work, or this test says nothing"


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "there is no file" in refusal(tmp_path / "result.nc")
    assert "there is no file" in refusal(tmp_path)


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9999])
def test_a_truncated_result_is_refused(result: sim.Result, tmp_path: Path, share: float) -> None:
    path = result.save(tmp_path / "result.nc")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    refusal(path)


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"format": FORMAT},
        {"provenance": "{}"},
        {"format": FORMAT, "provenance": "{"},
        {"format": FORMAT, "provenance": 3},
        {"format": FORMAT, "provenance": "[]"},
        {"format": "one", "provenance": "{}"},
        {"format": [1, 2], "provenance": "{}"},
    ],
    ids=str,
)
def test_a_foreign_file_is_refused(tmp_path: Path, attributes: dict[str, object]) -> None:
    path = tmp_path / "result.nc"
    foreign = xr.Dataset({"temperature": ("day", [1.0, 2.0])}, attrs=attributes)
    foreign.to_netcdf(path, engine="h5netcdf")
    assert "is no saved result" in refusal(path)


def test_a_foreign_file_that_says_it_is_a_result_is_refused(
    result: sim.Result, tmp_path: Path
) -> None:
    path = tmp_path / "result.nc"
    attributes = {"format": FORMAT, "provenance": json.dumps(result.provenance)}
    foreign = xr.Dataset({"temperature": ("day", [1.0, 2.0])}, attrs=attributes)
    foreign.to_netcdf(path, engine="h5netcdf")
    assert "is no saved result" in refusal(path)


def test_an_hdf5_file_that_is_no_netcdf_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "result.nc"
    with h5py.File(path, "w") as file:
        file["a"] = np.arange(3)
    assert "is no saved result" in refusal(path)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.997])
def test_a_damaged_result_is_refused_or_read_but_never_breaks(
    result: sim.Result, tmp_path: Path, share: float
) -> None:
    path = result.save(tmp_path / "result.nc")
    whole = path.read_bytes()
    place = int(share * len(whole))
    path.write_bytes(whole[:place] + b"\xff" * 64 + whole[place + 64 :])
    try:
        sim.Result.load(path)
    except sim.SpecError:
        assert "is no saved result" in refusal(path)
    else:
        assert share > 0, "a file without its signature cannot be read"


def test_another_format_is_named(result: sim.Result, tmp_path: Path) -> None:
    path = tmp_path / "result.nc"
    attributes = {"format": FORMAT + 1, "provenance": json.dumps(result.provenance)}
    result.data.assign_attrs(attributes).to_netcdf(path, engine="h5netcdf")
    assert refusal(path).endswith(f"has format {FORMAT + 1}; this version reads {FORMAT}")


# ------------------------------------------------------------------------------------ provenance


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


@pytest.mark.parametrize("scenario", sim.scenarios())
def test_a_provenance_is_enough_to_run_again_to_the_bit(scenario: str) -> None:
    made = run(scenario)
    said = json.loads(json.dumps(made.provenance))
    again = sim.simulate(
        sim.Scenario.load(said["scenario"]),
        agent=sim.Agent.parse(said["agent"], path="agent"),
        training=sim.Training.parse(said["training"], path="training"),
        agents=said["agents"],
        seed=said["seed"],
        record_every=said["record_every"],
        engine=said["engine"],
    )
    assert again.data.identical(made.data)
    assert {**again.provenance, "created": ""} == {**made.provenance, "created": ""}


def test_a_given_start_is_told_and_can_be_read_back() -> None:
    made = run(initial=sim.AgentState(awareness=[1.0, 2.0, 3.0]))
    assert made.provenance["initial"] == "given explicitly"
    assert run().provenance["initial"] == "drawn from the agent spec"
    assert made.state(0).awareness.tolist() == [1.0, 2.0, 3.0]
    again = run(initial=made.state(0))
    for name in VARIABLES:
        close(again.data[name], made.data[name])


# ----------------------------------------------------------------------------------------- state


def close(one: xr.DataArray, other: xr.DataArray) -> None:
    np.testing.assert_allclose(one.values, other.values, rtol=1e-12, atol=1e-12)


#: Measured against where a run started, so that a run in two halves starts anew.
FROM_START = {"value_drift", "value_cosine"}


@pytest.mark.parametrize("scenario", [s for s in sim.scenarios() if s != "pipeline"])
def test_a_run_can_be_continued(scenario: str) -> None:
    whole = run(scenario)
    first = run(scenario, training={"steps": 10})
    rest = run(scenario, training={"steps": 10}, initial=first.state(10))
    for name in sorted(set(VARIABLES) - FROM_START):
        close(rest.data[name], whole.data[name].sel(step=[10, 15, 20]))


def test_a_state_has_every_parameter_of_every_agent(result: sim.Result) -> None:
    state = result.state(20)
    assert np.shape(state.values) == (3, 2)
    assert np.shape(state.habit) == (3, 5)
    assert np.shape(state.capability) == (3, 5)
    assert np.shape(state.awareness) == np.shape(state.log_horizon) == (3,)
    assert np.shape(state.log_competence) == (3,)
    assert not np.array_equal(state.values, result.state(0).values)


@pytest.mark.parametrize("step", [3, -1, 21])
def test_a_step_that_was_not_recorded_has_no_state(result: sim.Result, step: int) -> None:
    with pytest.raises(KeyError):
        result.state(step)


@pytest.mark.parametrize(
    ("key", "value"),
    [("capability", 40.0), ("capability", -40.0), ("log_horizon", -800.0), ("awareness", 99.0)],
)
def test_a_state_far_out_can_be_read_back(key: str, value: float) -> None:
    made = run(agent={"initial": {key: value}}, training={"steps": 1})
    np.testing.assert_allclose(getattr(made.state(0), key), value, rtol=1e-12)
