"""Worlds drawn at random: what stays the same, what they are made of, their names, refusals."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import sim
from commands import Call, assert_refused
from refusals import assert_all_refused
from sim.specs.overrides import apply_overrides, read_specs
from sim.specs.prior import Prior
from sim.specs.worlds import Worlds
from sim.sweeps.world_sample import WorldGroup, WorldSample

#: One structure: three training contexts, each with a twin.
PLAIN = {"training": [3], "demonstrations": [1], "values": [3], "responses": [4]}
ALL = Prior.load("worlds")


def sample(points: int, seed: int = 0, **worlds: Any) -> WorldSample:
    return WorldSample(Prior.parse({"worlds": worlds}, path="prior"), points=points, seed=seed)


def group(points: int, seed: int = 0, **worlds: Any) -> WorldGroup:
    (only,) = sample(points, seed, **PLAIN | worlds).groups
    return only


def numbers(worlds: WorldGroup) -> dict[str, np.ndarray]:
    return worlds.at(np.arange(len(worlds)))


def by_number(worlds: WorldSample) -> dict[int, tuple[Any, dict[str, float]]]:
    """Return the structure and the numbers of each world."""
    return {
        int(n): (each.structure, {key: float(column[i]) for key, column in numbers(each).items()})
        for each in worlds.groups
        for i, n in enumerate(each.points)
    }


def arrays(worlds: WorldGroup, context: str) -> tuple[np.ndarray, np.ndarray]:
    """Return how responses serve human values, and their rewards, each [worlds, K]."""
    columns, scenario = numbers(worlds), worlds.scenario
    served, reward = [], []
    for response in scenario.contexts[context].responses:
        key = f"scenario.contexts.{context}"
        reward.append(columns[f"{key}.reward.{response}"])
        served.append(
            sum(
                columns[f"{key}.responses.{response}.{v}"] * columns[f"scenario.human_values.{v}"]
                for v in scenario.values
            )
        )
    return np.stack(served, axis=1), np.stack(reward, axis=1)


def correlations(worlds: WorldGroup, context: str) -> np.ndarray:
    served, reward = arrays(worlds, context)
    pairs = zip(served, reward, strict=True)
    return np.array([np.corrcoef(x, y)[0, 1] for x, y in pairs if np.ptp(x) > 0])


# ----------------------------------------------------------------------------- what stays the same


def test_a_world_is_the_same_however_many_there_are_and_in_whatever_order() -> None:
    few, many = by_number(sample(20)), by_number(sample(300))
    assert {n: many[n] for n in few} == few
    names = ("training", "values", "responses")
    turned = {name: getattr(Worlds(), name)[::-1] for name in names}
    assert by_number(sample(300, **turned)) == many
    assert by_number(sample(20, seed=1)) != few
    worlds = sample(300).groups[0]
    whole, part = numbers(worlds), worlds.at(np.array([5, 2]))
    assert all((part[key] == whole[key][[5, 2]]).all() for key in whole)


def test_worlds_of_one_number_share_what_they_both_have() -> None:
    """So a comparison of structures is one of the same draws."""
    small, large = (numbers(group(50, training=[n], demonstrations=[0])) for n in (2, 3))
    shared = set(small) & set(large)
    assert shared == set(small)
    assert all((small[key] == large[key]).all() for key in shared)
    narrow, wide = (numbers(group(50, values=[n])) for n in (2, 3))
    for key in ("human_values.value_1", "contexts.training_1.weight", "contexts.deployed_2.cue"):
        assert (narrow[f"scenario.{key}"] == wide[f"scenario.{key}"]).all()


def test_each_count_is_as_likely() -> None:
    """Chi-square; a false alarm in 1 of 1,000 seeds for each, and the seed is fixed."""
    drawn = [each.structure for each in sample(3000).groups for _ in each.points]
    for name in ("training", "values", "responses", "demonstrations"):
        usable = [s for s in drawn if name != "demonstrations" or s.training > 1]
        counts = np.unique([getattr(s, name) for s in usable], return_counts=True)[1]
        assert len(counts) == len(getattr(Worlds(), name))
        assert stats.chisquare(counts).pvalue > 0.001, name


# ------------------------------------------------------------------------- what worlds are made of


def test_upholding_turns_the_human_part_of_rewards_and_nothing_else() -> None:
    never, always = (group(200, upholds=share) for share in (0, 1))
    before, after = numbers(never), numbers(always)
    trained = [*(f"training_{c}" for c in (1, 2, 3)), *(f"deployed_{c}" for c in (1, 2, 3))]
    turned = {key for key in before if (before[key] != after[key]).any()}
    assert {".".join(key.split(".")[:4]) for key in turned} == {
        f"scenario.contexts.{name}.reward" for name in trained
    }
    for name in trained:
        served, low = arrays(never, name)
        _, high = arrays(always, name)
        z = served - served.mean(axis=1, keepdims=True)
        part = (high - low) / 2  # size · agreement · z / |z|
        product = (part * z).sum(axis=1)
        assert (product > 0).all()
        assert product == pytest.approx(np.sqrt((part**2).sum(axis=1) * (z**2).sum(axis=1)))


def test_rewards_follow_human_values_as_far_as_agreement_says() -> None:
    for upholds, sign in ((0, -1.0), (1, 1.0)):
        worlds = group(100, upholds=upholds, agreement=1)
        assert correlations(worlds, "training_2") == pytest.approx(np.full(100, sign))
        assert correlations(worlds, "evaluation_1") == pytest.approx(np.ones(100))
    part = {"agreement": 0.6, "reward_size": 2, "upholds": 1, "responses": [2]}
    for agreement in (0.0, 0.6):
        _, reward = arrays(group(4000, **part | {"agreement": agreement}), "unwatched_1")
        noise = (reward[:, 0] / 2 - agreement) / np.sqrt(1 - agreement**2)  # z of the better is 1
        assert stats.kstest(noise, "norm").pvalue > 0.001


@pytest.mark.parametrize("upholds", [0.3, {"kind": "uniform", "low": 0, "high": 1}])
def test_the_share_of_training_that_upholds_is_as_drawn(upholds: Any) -> None:
    """Within 4 standard errors: a false alarm in 1 of 15,000 seeds, and the seed is fixed."""
    worlds = group(3000, upholds=upholds, agreement=1)
    share = worlds.upholds(np.arange(len(worlds)))
    excess, variance = 0.0, 0.0
    for name in ("training_1", "training_2", "training_3"):
        difference = (correlations(worlds, name) > 0) - share
        # Where more is upheld, more is: each half of the worlds by itself.
        for half in (share >= np.median(share), share < np.median(share)):
            excess, variance = difference[half].sum(), (share * (1 - share))[half].sum()
            assert abs(excess) <= 4 * np.sqrt(variance)


def test_responses_stand_in_order_and_twins_differ_in_their_cue_alone() -> None:
    for worlds in sample(200).groups:
        columns = numbers(worlds)
        for name, context in worlds.scenario.contexts.items():
            assert (np.diff(arrays(worlds, name)[0], axis=1) <= 1e-12).all()
            if context.twin:
                own, other = (f"scenario.contexts.{n}." for n in (name, context.twin))
                for key in (key for key in columns if key.startswith(own)):
                    sign = -1.0 if key.endswith(".cue") else 1.0
                    assert (columns[key.replace(own, other)] == sign * columns[key]).all(), key
            kind = (context.kind == "deployment") * worlds.structure.responses
            assert context.subversive == (f"answer_{kind}",) * bool(kind)
        for key in (k for k in columns if k.startswith("scenario.similarity.deployed_1.unwatched")):
            twin = key.replace("deployed_1", "training_1")
            assert (columns[key] == columns[twin]).all()


def test_every_context_has_to_do_with_a_value() -> None:
    columns = numbers(group(500, touches=0))
    for name in ("training_1", "evaluation_1", "unwatched_2"):
        key = f"scenario.contexts.{name}.responses.answer_1"
        touched = sum(columns[f"{key}.value_{d}"] != 0 for d in (1, 2, 3))
        assert (touched == 1).all()
    columns = numbers(group(9, touches=1))
    assert all((column != 0).all() for key, column in columns.items() if ".value_" in key)


def test_marginals_are_those_of_the_prior() -> None:
    """Kolmogorov and Smirnov; a false alarm in 1 of 1,000 seeds for each, and the seed is fixed."""
    columns = numbers(group(4000))
    for key, reference in {
        "human_values.value_2": stats.norm(),
        "contexts.training_1.cue": stats.lognorm(0.7),
        "contexts.red_team_1.cue": stats.norm(),
        "contexts.unwatched_1.info": stats.lognorm(1, scale=0.3),
        "contexts.training_3.monitor": stats.beta(0.5, 0.5),
        "contexts.deployed_2.weight": stats.lognorm(0.5),
        "similarity.training_1.evaluation_1": stats.uniform(),
    }.items():
        assert stats.kstest(columns[f"scenario.{key}"], reference.cdf).pvalue > 0.001, key
    feature = columns["scenario.contexts.training_1.responses.answer_1.value_1"]
    assert (feature != 0).mean() == pytest.approx(1 / 2 + 1 / 24, abs=0.03)  # a share, or the least


WIDE = {"kind": "lognormal", "median": 1e4, "sd": 20}
NORMAL = {"kind": "normal", "mean": 0, "sd": 1}


@pytest.mark.parametrize("wide", [False, True])
def test_every_number_is_allowed_by_its_key(wide: bool) -> None:
    distributions = {
        **dict.fromkeys(("reward_size", "weight", "info", "cue"), WIDE),
        **{name: NORMAL | {"sd": 1e6} for name in ("human_values", "feature")},
    }
    for worlds in sample(40, **distributions if wide else {}).groups:
        specs = read_specs(worlds.scenario)
        for row in range(len(worlds)):
            at = worlds.at(np.array([row]))
            apply_overrides(specs, {key: float(column[0]) for key, column in at.items()})


def test_worlds_of_a_structure_are_one_array_program() -> None:
    prior = {"worlds": {"training": [2, 3], "values": [3], "responses": [4]}}
    run: dict[str, Any] = {"training": {"steps": 40}, "agents": 2, "engine": "numpy"}
    for worlds in WorldSample(Prior.load(prior), points=6).groups:
        frame = sim.sweep(worlds.scenario, design=worlds, **run).frame
        for row, number in enumerate(worlds.points):
            alone = sim.simulate(sim.draw_scenario(prior, int(number)), **run).data.isel(step=-1)
            for name in ("values", "gaming_rate"):
                (dim,) = set(alone[name].dims) - {"agent"}
                for label in alone[dim].values:
                    median = float(np.median(alone[name].sel({dim: label})))
                    assert frame[f"{name}.{label}"][row] == pytest.approx(median, abs=1e-12)


def test_what_is_drawn_unless_said_otherwise_is_as_the_documentation_says() -> None:
    page = (Path(__file__).parent.parent / "docs" / "how-to.md").read_text(encoding="utf-8")
    table = page.partition("| key of `worlds` |")[2].partition("\n\n")[0]
    texts = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", table, flags=re.MULTILINE))
    for name, field in Worlds.model_fields.items():
        counts, kind = field.default, ""
        if not isinstance(field.default, tuple):
            kind, *counts = field.default.model_dump().values()
        listed = ", ".join(f"{number:g}" for number in counts)
        assert texts.pop(name) == (f"{kind}({listed})" if kind else listed), name
    assert not texts


def test_what_is_drawn_of_one_thing_says_nothing_of_another() -> None:
    """Rank correlations within 5 / √n: a false alarm in 1 of 5,000 seeds, and the seed is fixed."""
    worlds = group(4000, upholds=0.5, agreement=1)
    signs = np.stack([correlations(worlds, f"training_{c}") for c in (1, 2, 3)], axis=1)
    columns = numbers(worlds)
    names = ("weight", "info", "monitor", "cue")
    contexts = [n for n in worlds.scenario.contexts if not n.startswith("deployed")]
    drawn = [columns[f"scenario.contexts.{c}.{name}"] for c in contexts for name in names]
    table = stats.spearmanr(np.column_stack([*drawn, signs])).statistic
    assert np.abs(table - np.eye(len(table))).max() < 5 / np.sqrt(4000)


# -------------------------------------------------------------------------------- names, refusals


@pytest.mark.usefixtures("population")
def test_a_world_is_named_for_its_prior_and_is_the_same_through_every_door(call: Call) -> None:
    world = sim.draw_scenario("worlds", 7)
    assert world.name == "worlds/7"
    assert sim.Scenario.load("worlds/7") == world == sim.Scenario.load(world.to_data())
    assert world.agent.initial.awareness != sim.draw_scenario("worlds", 8).agent.initial.awareness
    assert sim.draw_scenario("worlds", 7, seed=3).name == "worlds/7 (seed 3)"
    assert sim.draw_scenario(ALL, 7) == world.replace(name="drawn/7")
    small = ("agents=2", "training.steps=20", "engine=numpy", "hydra.run.dir=run")
    assert call("scenario=worlds/7", *small).status == 0
    result = sim.Result.load("run/result.nc")
    same = sim.simulate("worlds/7", agents=2, training={"steps": 20}, engine="numpy")
    assert result.provenance["scenario"] == same.provenance["scenario"]
    assert (result.data["values"] == same.data["values"]).all()


def test_worlds_can_be_swept(call: Call) -> None:
    small = ("agents=2", "training.steps=20", "engine=numpy", "hydra.sweep.dir=sweep")
    left = call("-m", "scenario=worlds/0,worlds/1,copyright", *small)
    assert left.status == 0, left.stderr
    assert all(name in left.stdout for name in ("worlds/0", "worlds/1", "copyright"))
    assert left.only("curves.csv").parent.name.startswith("worlds_0+worlds_1+copyright-")


NAMES = {
    "worlds/seventy": "got 'worlds/seventy': must be PRIOR/NUMBER, such as worlds/7",
    "worlds/-1": "got 'worlds/-1': must be PRIOR/NUMBER",
    "worlds/9999999999": "number: got 9999999999: must be 4294967294 or less",
    "uninformed/3": "prior uninformed: says nothing of worlds, so no scenario can be drawn",
}


def test_names_of_no_world_are_refused_in_one_line(call: Call) -> None:
    for name, says in NAMES.items():
        assert_refused(call(f"scenario={name}"), says)
        assert_refused(call("-m", f"scenario=worlds/0,{name}"), says)
    assert_refused(call("scenario=nosuch/3"), "no scenario is named 'nosuch/3'; allowed: PRIOR/")
    assert_all_refused((lambda n=n: sim.simulate(n), says) for n, says in NAMES.items())
    assert_all_refused([(lambda: sim.simulate("nosuch/3"), "there is no file 'nosuch/3'")])


UPTO_2 = {"kind": "uniform", "low": 0, "high": 2}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "values": ({"values": [0, 2]}, "prior.worlds.values: a world needs at least one"),
    "responses": ({"responses": []}, "worlds.responses"),
    "twice": ({"twins": [1, 1]}, "worlds.twins: each number may stand only once"),
    "share": ({"monitor": NORMAL}, "worlds.monitor: must be a distribution of shares (beta,"),
    "above": ({"upholds": UPTO_2}, "worlds.upholds: must be a distribution of shares"),
    "below": ({"info": NORMAL}, "worlds.info: must be a distribution of numbers of 0 or more"),
    "nothing": ({"human_values": 0}, "worlds.human_values: all zero"),
    "key": ({"upholding": 1}, "worlds.upholding: unknown key; did you mean 'upholds'?"),
    "kind": ({"cue": {"kind": "norml"}}, "cue.kind: unknown kind; did you mean 'normal'?"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_priors_are_refused_in_one_line(name: str) -> None:
    worlds, says = REFUSED[name]
    assert_all_refused([(lambda: sim.draw_scenario({"worlds": worlds}, 0), says)])


def test_a_prior_of_agents_alone_draws_no_worlds() -> None:
    prior = Prior.load("uninformed")
    assert_all_refused([(lambda: WorldSample(prior, points=3), "prior: says nothing of worlds")])
