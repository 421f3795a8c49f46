"""Designs: which numbers the runs of a sweep have, and what is refused before one is computed."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import sim
from sim import Grid, LatinHypercube, Product, Range, Sobol, SpecError, Zip
from sim.sweeps.design import Design

SAMPLED = (LatinHypercube, Sobol)
RANGES = {"a": (0.0, 1.0), "b": (-3.0, 5.0), "c": (0.01, 100.0, "log")}


def rows(design: Design) -> list[tuple[float, ...]]:
    found = design.at(np.arange(len(design)))
    assert tuple(found) == design.keys
    return list(zip(*(found[key].tolist() for key in design.keys), strict=True))


def shares(design: Design) -> list[np.ndarray]:
    """Return where a design of RANGES lies in each of them, 0 to 1."""
    found = design.at(np.arange(len(design)))
    return [found["a"], (found["b"] + 3.0) / 8.0, np.log(found["c"] / 0.01) / np.log(1e4)]


# ------------------------------------------------------------------------------------- the designs


def test_grids_zips_and_products_have_their_points_in_order() -> None:
    """The last key changes fastest."""
    axes = {"a": [3.0, 1.0], "b": [0.5], "c": [7.0, 8.0, 9.0]}
    grid = Grid(axes)
    assert rows(grid) == list(itertools.product(*axes.values()))
    assert grid.at(np.array([5, 0, 3]))["c"].tolist() == [9.0, 7.0, 7.0]
    assert len(Grid({})) == 1
    assert Grid({}).at(np.zeros(1, np.intp)) == {}
    together = Zip({"a": [1, 2, 3], "b": np.array([0.1, 0.2, 0.3])})
    assert rows(together) == [(1.0, 0.1), (2.0, 0.2), (3.0, 0.3)]
    first, second = Zip({"a": [1, 2], "b": [3, 4]}), Grid({"c": [5, 6, 7], "d": [8, 9]})
    product = Product(first, second)
    assert product.keys == ("a", "b", "c", "d")
    assert rows(product) == [(*x, *y) for x, y in itertools.product(rows(first), rows(second))]
    assert rows(Product(product, Grid({"e": [0]}))) == [(*x, 0.0) for x in rows(product)]
    assert repr(product) == "<Product: 12 points of a, b, c, d>"


def test_a_large_grid_takes_no_room() -> None:
    design = Grid({f"k{n}": np.linspace(0, 1, 16) for n in range(6)})
    assert len(design) == 16**6
    last = design.at(np.array([16**6 - 1, 16**5]))
    assert [c.tolist() for c in last.values()][:2] == [[1.0, pytest.approx(1 / 15)], [1, 0]]


def test_samples_are_even_in_each_key_and_sobol_s_in_all_together() -> None:
    """In each stratum of a key one point; of 2**m, one in each box of two keys' halves."""
    for design, points in ((LatinHypercube, 1), (LatinHypercube, 17), (Sobol, 1), (Sobol, 64)):
        for share in shares(design(RANGES, points=points, seed=5)):
            assert sorted(np.floor(share * points).astype(int)) == list(range(points))
    first, second, _ = shares(Sobol(RANGES, points=64, seed=3))
    for cut in range(7):
        boxes = np.floor(first * 2**cut) * 64 + np.floor(second * 2 ** (6 - cut))
        assert len(set(boxes.tolist())) == 64
    assert rows(Sobol(RANGES, points=11, seed=1)) == rows(Sobol(RANGES, points=16, seed=1))[:11]
    found = Sobol({"a": Range(1e-4, 1e2, "log")}, points=64).at(np.arange(64))["a"]
    each = np.histogram(np.log10(found), bins=np.arange(-4, 3))[0]
    assert (each.min(), each.max()) in ((10, 11), (11, 11))


@pytest.mark.parametrize("design", SAMPLED)
def test_samples_depend_on_their_seed_alone_and_stay_inside(design: Callable[..., Design]) -> None:
    found = rows(design(RANGES, points=8, seed=2))
    assert rows(design(RANGES, points=np.int64(8), seed=np.int64(2))) == found
    assert rows(design(RANGES, points=8, seed=3)) != found
    ranges = {
        "tiny": (1e-300, 1.1e-300, "log"),
        "high": (0.1, 0.3, "log"),
        "one": (1.0, np.nextafter(1.0, 2.0)),
        "share": Range(0.0, 1.0),
    }
    columns = design(ranges, points=512).at(np.arange(512))
    for key, given in ranges.items():
        read = Range.read(given, key)
        assert read.low <= columns[key].min() <= columns[key].max() <= read.high


def test_extremes_are_points_in_which_a_key_has_its_least_and_its_greatest() -> None:
    for design in (
        Grid({"a": [3, 1, 2], "b": [5, 9, 4]}),
        Zip({"a": [3, 1, 2], "b": [5, 9, 4]}),
        Product(Zip({"a": [3, 1, 2], "c": [0, 1, 0]}), Grid({"d": [1, 2], "b": [5, 9, 4]})),
    ):
        everything = design.at(np.arange(len(design)))
        for key in design.keys:
            found = design.at(design.extremes(key))[key]
            assert {found.min(), found.max()} == {everything[key].min(), everything[key].max()}
            assert len(found) <= 2


# ------------------------------------------------------------------------------- what they refuse


def refused(call: Callable[..., object], *args: Any, words: list[str], **kwargs: Any) -> None:
    with pytest.raises(SpecError) as caught:
        call(*args, **kwargs)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


NO_RANGES = [
    *((1.0, 0.0), (1.0, 1.0), (0.0,), (), (0.0, 1.0, "linear", 3), (0.0, float("nan"))),
    *((float("-inf"), 1.0), (0.0, float("inf")), (0.0, 1.0, "log"), (-1.0, 1.0, "log")),
    *((0.5, 1.0, "logarithmic"), (0.5, 1.0, None), ("low", "high"), (None, 1.0), (0, 10**400)),
    *(3.0, None, Range(2.0, 1.0), Range(0.0, 1.0, "log")),
]
NO_NUMBERS: list[tuple[object, str]] = [
    ([], "must be a list of numbers"),
    ("12", "must be a list of numbers"),
    ([1.0, float("nan")], "got nan: an axis has finite numbers"),
    ([float("inf")], "got inf"),
    ([10**400], "an axis has finite numbers"),
    ([True], "got True"),
    ([None], "got None"),
    (["1"], "got '1'"),
    ({"x": 1}, "got 'x'"),
    ([[1, 2], [3, 4]], "got [1, 2]"),
    (np.ones((2, 2)), "got [1.0, 1.0]"),
]


def test_designs_refuse_what_is_no_range_no_number_and_no_count() -> None:
    for design in SAMPLED:
        for given in NO_RANGES:
            words = ["k: got", "must be a range (low, high)"]
            refused(design, {"k": given}, points=3, words=words)
        for key, value in (("points", 0), ("points", 2.0), ("points", True), ("seed", -1)):
            options = {"points": 2, key: value}
            refused(design, {"k": (0, 1)}, **options, words=[f"{key}: got {value!r}"])
        refused(design, {}, points=3, words=["at least one range"])
    for listed in (Grid, Zip):
        for values, word in NO_NUMBERS:
            refused(listed, {"k": values}, words=["k: got", word])
    refused(Grid, {name: range(10**4) for name in "abcdefgh"}, words=["runs, which take about"])
    refused(Sobol, {"a": (0, 1)}, points=10**12, words=["points: got 1,000,000,000,000 runs"])
    refused(Zip, {"a": [1, 2], "b": [1]}, words=["a has 2, b has 1"])
    refused(Zip, {}, words=["at least one key"])
    refused(Grid, {"a": [1, 2, 1]}, words=["a: 1 is given more than once"])
    refused(Product, Grid({"a": [1]}), Zip({"b": [1], "a": [2]}), words=["a: is given twice"])


# ------------------------------------------------------------ what a sweep refuses, before it runs

NAN, HUGE = float("nan"), 10**400
#: Axes of one key: the key, its levels, and words of the refusal.
AXES: list[tuple[str, object, list[str]]] = [
    ("agent.awarenes", [1], ["awarenes: unknown key", "did you mean 'awareness'"]),
    ("agnet.awareness", [1], ["agnet: unknown key", "did you mean 'agent'"]),
    ("training.leek", ["x"], ["leek", "did you mean 'leak'"]),
    ("scenario.contexts.chat_fedback.info", [1], ["did you mean 'chat_feedback'"]),
    ("agent", [1.0], ["agent"]),
    ("training.leak.x", [1.0], ["training.leak.x", "none below it"]),
    ("seed", [1, 2], ["axes.seed", "seeds="]),
    ("training.leak", [], ["axes.training.leak: has nothing in it"]),
    ("training.leak", 0.5, ["axes.training.leak: got 0.5", "must be a list"]),
    ("training.leak", "01", ["axes.training.leak: got '01'"]),
    ("training.leak", [0.1, NAN, 0.2], ["training.leak: got nan"]),
    ("training.leak", [0, HUGE], ["training.leak", "finite"]),
    ("training.leak", [0.1, 2.0, 0.2], ["training.leak: got 2.0", "from 0 to 1"]),
    ("training.leak", [0.1, -0.1, 0.2], ["training.leak: got -0.1"]),
    ("agent.rationality", [1, 2, -1e-9, 3], ["agent.rationality: got -1e-09"]),
    ("training.leak", [0.1, "x"], ["training.leak: got 'x'"]),
    ("training.leak", [False, True], ["training.leak: got False"]),
    ("training.steps", [10, 0], ["training.steps: got 0"]),
    ("training.steps", [10, 10.5], ["training.steps: got 10.5"]),
    ("training.update_rule", ["natural_gradient", "gradient"], ["'policy_gradient'"]),
    ("scenario", ["pipeline", "copyrigt"], ["did you mean 'copyright'"]),
    ("agents", [2, 0], ["agents: got 0"]),
    ("agents", [2, 2.5], ["agents: got 2.5"]),
    ("record_every", [0], ["record_every: got 0"]),
]
#: Arguments of a sweep.
SWEEPS: list[tuple[dict[str, Any], list[str]]] = [
    (
        {
            "axes": {"interventions.0.set": [0.1, 0.3, 0.9], "interventions.1.scale": [3, 1, 0.5]},
            "interventions": [
                {"key": "training.leak", "set": 0},
                {"key": "training.leak", "scale": 1},
            ],
        },
        ["interventions[1]: training.leak: got 2.7"],
    ),
    ({"axes": {"agent.habit": [0], "agent.habit.chat_feedback": [1]}}, ["in whole and in part"]),
    ({"axes": {"agent.habit": [0], "agent.initial.habit": [1]}}, ["given twice"]),
    ({"axes": {"training.leak": [0]}, "design": Grid({"training.leak": [1]})}, ["given twice"]),
    ({"design": Grid({"training.steps": [10]})}, ["training.steps", "whole number"]),
    ({"design": Grid({"training.selection.keep": [0.5]})}, ["training.selection.keep"]),
    ({"design": Sobol({"training.leak": (0.5, 1.5)}, points=64)}, ["training.leak: got 1."]),
    (
        {"design": Zip({"training.leak": [0, 1], "agent.rationality": [1, -1]})},
        ["agent.rationality: got -1.0"],
    ),
    (
        {"axes": {"agent.awareness": [0, 1]}, "design": Grid({"agent.rationality": [1, -2]})},
        ["agent.rationality: got -2.0"],
    ),
    ({"seeds": 0}, ["seeds: got 0"]),
    ({"seeds": []}, ["seed: at least one"]),
    ({"seeds": 10**9}, ["seeds: got 1,000,000,000 runs, which take about 477 GiB"]),
    ({"seeds": range(10**9)}, ["seeds: got 1,000,000,000 runs", "must be 16,777,216 or fewer"]),
    ({"seeds": range(10**30)}, ["seeds: got 9,223,372,036,854,775,807 runs"]),
    ({"axes": {"agents": range(1, 10**9)}}, ["axes.agents: got 999,999,999 runs"]),
    ({"axes": {"agents": range(1, 20_000)}}, ["axes: got 19,999 combinations"]),
    ({"seeds": 5000, "axes": {"training.leak": np.linspace(0, 1, 5000)}}, ["got 25,000,000 runs"]),
    ({"seeds": [1, 2, 1]}, ["seed: 1 is given more than once"]),
    ({"seeds": [1, -1]}, ["seed: got -1"]),
    ({"seeds": [2**64]}, ["seed: got 18446744073709551616"]),
    ({"seeds": [1.5]}, ["seed: got 1.5"]),
    ({"seeds": True}, ["seeds: got True"]),
    ({"agents": 0}, ["agents: got 0"]),
    ({"agents": 10**6}, ["records of 1000000 agents would take", "(allowed: 8); agents="]),
    (
        {"agents": 10**4, "record": "full", "record_every": 1, "training": {"steps": 1000}},
        ["record_every: 1001 records of", "fits"],
    ),
    ({"agents": "3"}, ["agents: got '3'"]),
    ({"agents": 2, "agent": {"rationality": [1, 2, 3]}}, ["3 numbers for 2 agents"]),
    ({"record_every": 0}, ["record_every: got 0"]),
    ({"record": "curve"}, ["record: got 'curve'", "did you mean 'curves'"]),
    ({"engine": "numpie"}, ["engine: got 'numpie'", "did you mean 'numpy'"]),
    ({"precision": "float32"}, ["precision: got 'float32'", "float64 only"]),
    ({"precision": "float"}, ["precision: got 'float'", "float32"]),
    ({"scenario": "pipelin"}, ["did you mean 'pipeline'"]),
]
TWO: dict[str, Any] = {
    "values": ["v", "w"],
    "human_values": {"v": 1.0},
    "contexts": {
        name: {"responses": {"x": {"v": 1}, "y": {"w": 1}}, "reward": {"y": 1}} for name in "ab"
    },
}
WEIGHT_A, WEIGHT_B = (f"scenario.contexts.{name}.weight" for name in "ab")
PHASES = [{"length": 3}, {"length": 3, "weight": {"a": 0.0, "b": 1.0}}]
VALUES = {"agent": {"initial": {"values": {"v": 1}}}}
#: Axes in which each number is allowed, and some run is not.
ZEROS: list[tuple[dict[str, Any], str]] = [
    ({"axes": {WEIGHT_A: [1, 0, 2], WEIGHT_B: [1, 0]}, "agents": 2}, "nothing is trained on"),
    ({"axes": {WEIGHT_B: [0, 1], WEIGHT_A: [1, 0, 2]}, "seeds": 3}, "nothing is trained on"),
    (
        {"scenario": {**TWO, "curriculum": PHASES},
         "axes": {"scenario.curriculum.1.weight.b": [1, 0.5, 0]}},
        "trained on",
    ),
    ({"axes": {"scenario.human_values.v": [-1.0, 0.0, 1.0]}, **VALUES}, "human_values"),
    (
        {"axes": {f"scenario.human_values.{name}": [1.0, 0.0] for name in "vw"}, **VALUES},
        "human_values",
    ),
]  # fmt: skip


def test_a_sweep_refuses_in_one_line_before_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise AssertionError("a run was started")

    monkeypatch.setattr("sim.sweeps.record.compute", fail)
    sweeps = [*SWEEPS, *(({"axes": {key: levels}}, words) for key, levels, words in AXES)]
    sweeps += [({"scenario": TWO, **options}, [word]) for options, word in ZEROS]
    for options, words in sweeps:
        refused(sim.sweep, **{"scenario": "pipeline", "engine": "numpy", **options}, words=words)


THREE = {"agent": {"rationality": [1, 2, 3]}, "agents": 3}
#: What is not refused by mistake.
ALLOWED: list[dict[str, Any]] = [
    # Each run trains on something, though each weight is 0 in some run ...
    {"design": Zip({WEIGHT_A: [0, 1], WEIGHT_B: [1, 0]})},
    {"design": Zip({"scenario.human_values.v": [1, 0], "scenario.human_values.w": [0, 1]})},
    # ... or the scenario by itself trains on nothing where the axis says 0.
    {"axes": {WEIGHT_A: [0], WEIGHT_B: [1, 2]}},
    {**THREE, "axes": {"training.leak": [0, 1]}},
    {**THREE, "axes": {WEIGHT_A: [0, 1]}},
    {"agents": np.int64(2), "record_every": np.int64(4), "seeds": np.int64(2)},
    {"seeds": np.arange(2), "axes": {"training.leak": np.linspace(0, 1, 2)}},
    {"seeds": iter([5, 3]), "axes": {"training.steps": np.array([3, 4])}},
    {"axes": {"training.leak": (x / 2 for x in range(2))}, "seeds": [2**64 - 1]},
]


def test_a_sweep_takes_what_each_run_would_take() -> None:
    for options in ALLOWED:
        table = sim.sweep(TWO, engine="numpy", **{"training": {"steps": 4}, **options})
        assert len(table.frame) >= 2
        assert table.failed == 0


def test_a_column_may_be_without_effect_in_one_scenario_and_not_in_another() -> None:
    """In one of them every phase states the weight itself."""
    phases = [{"length": 3, "weight": {"a": 0.3, "b": 1.0}}]
    worlds = [{**TWO, "name": "usual"}, {**TWO, "name": "phased", "curriculum": phases}]
    for order in (worlds, worlds[::-1]):
        axes = {"scenario": order, WEIGHT_A: [0.3, 2.0]}
        table = sim.sweep(TWO, axes=axes, training={"steps": 4}, engine="numpy")
        habit = table.frame.set_index(["scenario", WEIGHT_A])["habit.a"].unstack()
        assert habit.loc["phased"].nunique() == 1
        assert habit.loc["usual"].nunique() == 2
