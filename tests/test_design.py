"""Designs: which numbers the runs of a sweep have, and what is refused before one is computed."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import sim
from sim import Grid, LatinHypercube, Product, Range, Sobol, SpecError, Zip
from sim.specs.errors import SpecError as AnySpecError
from sim.sweeps.design import Design

SAMPLED = [LatinHypercube, Sobol]
RANGES = {"a": (0.0, 1.0), "b": (-3.0, 5.0), "c": (0.01, 100.0, "log")}


def rows(design: Design) -> list[tuple[float, ...]]:
    found = design.at(np.arange(len(design)))
    assert tuple(found) == design.keys
    return list(zip(*(found[key].tolist() for key in design.keys), strict=True))


# ------------------------------------------------------------------------------------- the designs


def test_in_a_grid_the_last_key_changes_fastest() -> None:
    axes = {"a": [3.0, 1.0], "b": [0.5], "c": [7.0, 8.0, 9.0]}
    design = Grid(axes)
    assert len(design) == 6
    assert rows(design) == list(itertools.product(*axes.values()))
    some = np.array([5, 0, 3])
    assert design.at(some)["c"].tolist() == [9.0, 7.0, 7.0]


def test_a_grid_of_nothing_is_one_point() -> None:
    assert len(Grid({})) == 1
    assert Grid({}).at(np.zeros(1, np.intp)) == {}


def test_a_large_grid_takes_no_room() -> None:
    design = Grid({f"k{n}": np.linspace(0, 1, 1000) for n in range(6)})
    assert len(design) == 10**18
    last = design.at(np.array([10**18 - 1, 10**15]))
    assert [column.tolist() for column in last.values()][:2] == [
        [1.0, pytest.approx(1 / 999)],
        [1, 0],
    ]


def test_a_zip_takes_the_numbers_together() -> None:
    design = Zip({"a": [1, 2, 3], "b": np.array([0.1, 0.2, 0.3])})
    assert rows(design) == [(1.0, 0.1), (2.0, 0.2), (3.0, 0.3)]


def test_a_product_has_every_point_with_every_point() -> None:
    first, second = Zip({"a": [1, 2], "b": [3, 4]}), Grid({"c": [5, 6, 7], "d": [8, 9]})
    design = Product(first, second)
    assert design.keys == ("a", "b", "c", "d")
    assert rows(design) == [(*x, *y) for x, y in itertools.product(rows(first), rows(second))]
    assert rows(Product(design, Grid({"e": [0]}))) == [(*x, 0.0) for x in rows(design)]


@pytest.mark.parametrize("points", [1, 2, 17, 100])
def test_a_latin_hypercube_has_one_point_in_each_stratum(points: int) -> None:
    found = LatinHypercube(RANGES, points=points, seed=5).at(np.arange(points))
    shares = {
        "a": found["a"],
        "b": (found["b"] + 3.0) / 8.0,
        "c": np.log(found["c"] / 0.01) / np.log(1e4),
    }
    for share in shares.values():
        strata = np.floor(share * points).astype(int)
        assert sorted(strata.tolist()) == list(range(points))


@pytest.mark.parametrize("power", [0, 3, 6])
def test_a_sobol_sequence_is_balanced(power: int) -> None:
    """Of 2**m points, one is in each stratum of a key, and one in each box of two keys' halves."""
    points = 2**power
    found = Sobol(RANGES, points=points, seed=3).at(np.arange(points))
    first, second = found["a"], (found["b"] + 3.0) / 8.0
    for share in (first, second, np.log(found["c"] / 0.01) / np.log(1e4)):
        assert sorted(np.floor(share * points).astype(int)) == list(range(points))
    for cut in range(power + 1):
        boxes = np.floor(first * 2**cut) * points + np.floor(second * 2 ** (power - cut))
        assert len(set(boxes.tolist())) == points


def test_a_sobol_sequence_goes_on_as_it_began() -> None:
    assert rows(Sobol(RANGES, points=11, seed=1)) == rows(Sobol(RANGES, points=16, seed=1))[:11]


@pytest.mark.parametrize("design", SAMPLED)
def test_samples_depend_on_their_seed_alone(design: Callable[..., Design]) -> None:
    found = rows(design(RANGES, points=8, seed=2))
    assert rows(design(RANGES, points=8, seed=2)) == found
    assert rows(design(RANGES, points=np.int64(8), seed=np.int64(2))) == found
    assert rows(design(RANGES, points=8, seed=3)) != found


@pytest.mark.parametrize("design", SAMPLED)
def test_samples_stay_inside_their_ranges(design: Callable[..., Design]) -> None:
    ranges = {
        "tiny": (1e-300, 1.1e-300, "log"),
        "high": (0.1, 0.3, "log"),
        "one": (1.0, np.nextafter(1.0, 2.0)),
        "share": Range(0.0, 1.0),
    }
    found = design(ranges, points=512).at(np.arange(512))
    for key, given in ranges.items():
        read = Range.read(given, key)
        assert read.low <= found[key].min() <= found[key].max() <= read.high


def test_a_range_on_a_log_scale_spreads_the_logarithm() -> None:
    found = Sobol({"a": Range(1e-4, 1e2, "log")}, points=64).at(np.arange(64))["a"]
    each = np.histogram(np.log10(found), bins=np.arange(-4, 3))[0]
    assert each.min() >= 10
    assert each.max() <= 11


@pytest.mark.parametrize(
    "design",
    [
        Grid({"a": [3, 1, 2], "b": [5, 9, 4]}),
        Zip({"a": [3, 1, 2], "b": [5, 9, 4]}),
        Product(Zip({"a": [3, 1, 2], "c": [0, 1, 0]}), Grid({"d": [1, 2], "b": [5, 9, 4]})),
    ],
)
def test_extremes_are_points_in_which_a_key_has_its_least_and_its_greatest(design: Design) -> None:
    everything = design.at(np.arange(len(design)))
    for key in design.keys:
        found = design.at(design.extremes(key))[key]
        assert {found.min(), found.max()} == {everything[key].min(), everything[key].max()}
        assert len(found) <= 2


# ------------------------------------------------------------------------------- what they refuse


def refused(call: Callable[[], object], *words: str) -> None:
    with pytest.raises(AnySpecError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


@pytest.mark.parametrize(
    "given",
    [
        (1.0, 0.0),
        (1.0, 1.0),
        (0.0,),
        (),
        (0.0, 1.0, "linear", 3),
        (0.0, float("nan")),
        (float("-inf"), 1.0),
        (0.0, float("inf")),
        (0.0, 1.0, "log"),
        (-1.0, 1.0, "log"),
        (0.5, 1.0, "logarithmic"),
        (0.5, 1.0, None),
        ("low", "high"),
        (None, 1.0),
        (0, 10**400),
        3.0,
        None,
        Range(2.0, 1.0),
        Range(0.0, 1.0, "log"),
    ],
)
@pytest.mark.parametrize("design", SAMPLED)
def test_what_is_no_range_is_refused(given: object, design: Callable[..., Design]) -> None:
    refused(lambda: design({"k": given}, points=3), "k: got", "must be a range (low, high)")


@pytest.mark.parametrize("design", SAMPLED)
@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"points": 0}, "points: got 0"),
        ({"points": 2.0}, "points: got 2.0"),
        ({"points": True}, "points: got True"),
        ({"points": 2, "seed": -1}, "seed: got -1"),
        ({"points": 2, "seed": "x"}, "seed: got 'x'"),
    ],
)
def test_bad_points_and_seeds_are_refused(
    design: Callable[..., Design], given: dict, word: str
) -> None:
    refused(lambda: design({"k": (0, 1)}, **given), word)


@pytest.mark.parametrize("design", SAMPLED)
def test_nothing_to_sample_is_refused(design: Callable[..., Design]) -> None:
    refused(lambda: design({}, points=3), "at least one range")


@pytest.mark.parametrize("design", [Grid, Zip])
@pytest.mark.parametrize(
    ("values", "word"),
    [
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
    ],
)
def test_what_is_no_list_of_numbers_is_refused(
    design: Callable[..., Design], values: object, word: str
) -> None:
    refused(lambda: design({"k": values}), "k: got", word)


def test_keys_that_go_together_need_as_many_numbers() -> None:
    refused(lambda: Zip({"a": [1, 2], "b": [1]}), "a has 2, b has 1")
    refused(lambda: Zip({}), "at least one key")


def test_a_key_is_given_once() -> None:
    refused(lambda: Product(Grid({"a": [1]}), Zip({"b": [1], "a": [2]})), "a: is given twice")


# ------------------------------------------------------------ what a sweep refuses, before it runs


def asked(**given: Any) -> Callable[[], object]:
    scenario = given.pop("scenario", "pipeline")
    return lambda: sim.sweep(scenario, **{"engine": "numpy", **given})


@pytest.fixture(autouse=True)
def nothing_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise AssertionError("a run was started")

    monkeypatch.setattr("sim.sweeps.record.compute", fail)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        # keys
        ({"axes": {"agent.awarenes": [1]}}, ["awarenes: unknown key", "did you mean 'awareness'"]),
        ({"axes": {"agnet.awareness": [1]}}, ["agnet: unknown key", "did you mean 'agent'"]),
        ({"axes": {"training.leek": ["x"]}}, ["leek", "did you mean 'leak'"]),
        (
            {"axes": {"scenario.contexts.chat_fedback.info": [1]}},
            ["chat_fedback", "did you mean 'chat_feedback'"],
        ),
        ({"axes": {"agent": [1.0]}}, ["agent"]),
        ({"axes": {"training.leak.x": [1.0]}}, ["training.leak.x", "none below it"]),
        ({"axes": {"seed": [1, 2]}}, ["axes.seed", "seeds="]),
        (
            {"axes": {"agent.habit": [0], "agent.habit.chat_feedback": [1]}},
            ["in whole and in part"],
        ),
        ({"axes": {"agent.habit": [0], "agent.initial.habit": [1]}}, ["given twice"]),
        ({"axes": {"training.leak": [0]}, "design": Grid({"training.leak": [1]})}, ["given twice"]),
        ({"design": Grid({"training.steps": [10]})}, ["training.steps", "whole number"]),
        ({"design": Grid({"training.selection.keep": [0.5]})}, ["training.selection.keep"]),
        # numbers
        ({"axes": {"training.leak": []}}, ["axes.training.leak: has nothing in it"]),
        ({"axes": {"training.leak": 0.5}}, ["axes.training.leak: got 0.5", "must be a list"]),
        ({"axes": {"training.leak": "01"}}, ["axes.training.leak: got '01'"]),
        ({"axes": {"training.leak": [0.1, float("nan"), 0.2]}}, ["training.leak: got nan"]),
        ({"axes": {"training.leak": [0, 10**400]}}, ["training.leak", "finite"]),
        ({"axes": {"training.leak": [0.1, 2.0, 0.2]}}, ["training.leak: got 2.0", "from 0 to 1"]),
        ({"axes": {"training.leak": [0.1, -0.1, 0.2]}}, ["training.leak: got -0.1"]),
        ({"axes": {"agent.rationality": [1, 2, -1e-9, 3]}}, ["agent.rationality: got -1e-09"]),
        ({"axes": {"training.leak": [0.1, "x"]}}, ["training.leak: got 'x'"]),
        ({"axes": {"training.leak": [False, True]}}, ["training.leak: got False"]),
        ({"axes": {"training.steps": [10, 0]}}, ["training.steps: got 0"]),
        ({"axes": {"training.steps": [10, 10.5]}}, ["training.steps: got 10.5"]),
        ({"axes": {"training.update_rule": ["replicator", "gradient"]}}, ["'policy_gradient'"]),
        ({"axes": {"scenario": ["pipeline", "copyrigt"]}}, ["did you mean 'copyright'"]),
        ({"axes": {"agents": [2, 0]}}, ["agents: got 0"]),
        ({"axes": {"agents": [2, 2.5]}}, ["agents: got 2.5"]),
        ({"axes": {"record_every": [0]}}, ["record_every: got 0"]),
        ({"design": Sobol({"training.leak": (0.5, 1.5)}, points=64)}, ["training.leak: got 1."]),
        (
            {"design": Zip({"training.leak": [0, 1], "agent.rationality": [1, -1]})},
            ["agent.rationality: got -1.0"],
        ),
        (
            {"axes": {"agent.awareness": [0, 1]}, "design": Grid({"agent.rationality": [1, -2]})},
            ["agent.rationality: got -2.0"],
        ),
        # the sweep as a whole
        ({"seeds": 0}, ["seeds: got 0"]),
        ({"seeds": []}, ["seed: at least one"]),
        ({"seeds": [1, 2, 1]}, ["seed: each may be given only once"]),
        ({"seeds": [1, -1]}, ["seed: got -1"]),
        ({"seeds": [2**64]}, ["seed: got 18446744073709551616"]),
        ({"seeds": [1.5]}, ["seed: got 1.5"]),
        ({"seeds": True}, ["seeds: got True"]),
        ({"agents": 0}, ["agents: got 0"]),
        ({"agents": "3"}, ["agents: got '3'"]),
        ({"agents": 2, "agent": {"rationality": [1, 2, 3]}}, ["3 numbers for 2 agents"]),
        ({"record_every": 0}, ["record_every: got 0"]),
        ({"record": "curve"}, ["record: got 'curve'", "did you mean 'curves'"]),
        ({"engine": "numpie"}, ["engine: got 'numpie'", "did you mean 'numpy'"]),
        ({"precision": "float32"}, ["precision: got 'float32'", "float64 only"]),
        ({"precision": "float"}, ["precision: got 'float'", "float32"]),
        ({"scenario": "pipelin"}, ["did you mean 'pipeline'"]),
    ],
)
def test_a_sweep_refuses_in_one_line(given: dict, words: list[str]) -> None:
    refused(asked(**given), *words)


TWO: dict[str, Any] = {
    "values": ["v", "w"],
    "human_values": {"v": 1.0},
    "contexts": {
        name: {"responses": {"x": {"v": 1}, "y": {"w": 1}}, "reward": {"y": 1}} for name in "ab"
    },
}


@pytest.mark.parametrize(
    "axes",
    [
        {"scenario.contexts.a.weight": [1, 0, 2], "scenario.contexts.b.weight": [1, 0]},
        {"scenario.contexts.b.weight": [0, 1], "scenario.contexts.a.weight": [1, 0, 2]},
    ],
)
@pytest.mark.parametrize("seeds", [1, 3])
def test_a_run_that_trains_on_nothing_is_refused(axes: dict, seeds: int) -> None:
    refused(asked(scenario=TWO, axes=axes, seeds=seeds, agents=2), "nothing is trained on")


def test_a_phase_that_trains_on_nothing_is_refused() -> None:
    phases = [{"length": 3}, {"length": 3, "weight": {"a": 0.0, "b": 1.0}}]
    key = "scenario.curriculum.1.weight.b"
    refused(asked(scenario={**TWO, "curriculum": phases}, axes={key: [1, 0.5, 0]}), "trained on")


@pytest.mark.parametrize(
    "axes",
    [
        {"scenario.human_values.v": [-1.0, 0.0, 1.0]},
        {"scenario.human_values.v": [1.0, 0.0], "scenario.human_values.w": [1.0, 0.0]},
    ],
)
def test_human_values_that_are_all_zero_in_a_run_are_refused(axes: dict) -> None:
    agent = {"initial": {"values": {"v": 1}}}
    refused(asked(scenario=TWO, axes=axes, agent=agent), "human_values")


# ------------------------------------------------------------------- what is not refused by mistake


class TestAllowed:
    @pytest.fixture(autouse=True)
    def everything_is_computed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from sim.sweeps.record import compute

        monkeypatch.setattr("sim.sweeps.record.compute", compute)

    @pytest.mark.parametrize(
        "given",
        [
            # Each run trains on something, though each weight is 0 in some run.
            {
                "design": Zip(
                    {
                        f"scenario.contexts.{c}.weight": w
                        for c, w in zip("ab", [[0, 1], [1, 0]], strict=True)
                    }
                )
            },
            {"design": Zip({"scenario.human_values.v": [1, 0], "scenario.human_values.w": [0, 1]})},
            # ... or the scenario by itself trains on nothing where the axis says 0.
            {"axes": {"scenario.contexts.a.weight": [0], "scenario.contexts.b.weight": [1, 2]}},
            {"agent": {"rationality": [1, 2, 3]}, "agents": 3, "axes": {"training.leak": [0, 1]}},
            {
                "agent": {"rationality": [1, 2, 3]},
                "agents": 3,
                "axes": {"scenario.contexts.a.weight": [0, 1]},
            },
            {"agents": np.int64(2), "record_every": np.int64(4), "seeds": np.int64(2)},
            {"seeds": np.arange(2), "axes": {"training.leak": np.linspace(0, 1, 2)}},
            {"seeds": iter([5, 3]), "axes": {"training.steps": np.array([3, 4])}},
            {"axes": {"training.leak": (x / 2 for x in range(2))}, "seeds": [2**64 - 1]},
        ],
    )
    def test_a_sweep_takes_it(self, given: dict) -> None:
        table = sim.sweep(TWO, engine="numpy", **{"training": {"steps": 4}, **given})
        assert len(table.frame) >= 2
        assert table.failed == 0

    def test_what_stands_in_a_column_may_differ_between_scenarios(self) -> None:
        """In one scenario every phase says the weight itself, so that it is no column there."""
        phases = [{"length": 3, "weight": {"a": 0.3, "b": 1.0}}]
        worlds = [{**TWO, "name": "usual"}, {**TWO, "name": "phased", "curriculum": phases}]
        for order in (worlds, worlds[::-1]):
            axes = {"scenario": order, "scenario.contexts.a.weight": [0.3, 2.0]}
            table = sim.sweep(TWO, axes=axes, training={"steps": 4}, engine="numpy")
            frame = table.frame.set_index(["scenario", "scenario.contexts.a.weight"])
            reward = frame["habit.a"].unstack()
            assert reward.loc["phased"].nunique() == 1
            assert reward.loc["usual"].nunique() == 2


def test_spec_errors_are_one_class() -> None:
    assert AnySpecError is SpecError
