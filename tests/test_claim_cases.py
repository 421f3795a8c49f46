"""Cases of the claims: drawn alike in every arm, which changes what it says and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments.claims import cases as claim_cases
from experiments.claims.arms import CHANGES, FIRST, Arm, load_arms, own_utility
from experiments.claims.assumptions import Assumptions
from experiments.claims.batch import Batch
from experiments.claims.cases import (
    Job,
    RunOptions,
    batches,
    drawn_numbers,
    run_cases,
)
from experiments.claims.outcomes import VARIABLES, outcomes
from sim.dynamics.cognition import think
from sim.dynamics.engines.registry import get_engine
from sim.dynamics.loop import records
from sim.specs.overrides import apply_overrides, read_specs
from sim.specs.prior import Prior
from sim.specs.scenario import Scenario

FOLDER = Path(claim_cases.__file__).parent
ARMS = load_arms(FOLDER / "arms.yaml")
ASSUMPTIONS = Assumptions.load(FOLDER / "assumptions.yaml")
PRIOR = Prior.load("worlds")
SMALL = RunOptions(size=0.004)


def some_batches(**options: Any) -> list[Batch]:
    """Return a batch of cases of every structure."""
    run_options = RunOptions(size=0.004, **options)
    prior = run_options.prior(PRIOR)
    sample = claim_cases.WorldSample(prior, points=run_options.cases, seed=run_options.seed)
    jobs = (
        Job(prior, ASSUMPTIONS, ARMS["drawn"], g, run_options) for g in range(len(sample.groups))
    )
    return [next(iter(batches(job))) for job in jobs]


BATCHES = some_batches()


def results(batch: Batch, arm: str = "drawn") -> pd.DataFrame:
    """Return the outcomes of a batch in an arm."""
    program = ARMS[arm].compile(batch)
    with np.errstate(all="ignore"):
        start, end = records(
            get_engine("auto"), program, [0, program.steps], names=VARIABLES, bounded=False
        )
        return outcomes(batch, program, start.observed, end.observed)


def minds(batch: Batch, arm: str) -> Any:
    """Return what agents think before training, in an arm."""
    program = ARMS[arm].compile(batch)
    state = program.layout.view(program.theta)
    return think(program.segments[0].world, program.traits, state)


def test_a_case_is_the_run_of_its_numbers_by_itself() -> None:
    """The program of a batch against a scenario, an agent and a training made of one case."""
    batch = BATCHES[3]
    table = results(batch)
    numbers = {key: float(column[0]) for key, column in batch.columns.items()}
    specs = apply_overrides(
        read_specs(
            batch.group.scenario, training={k.split(".")[1]: v for k, v in batch.choices.items()}
        ),
        numbers,
    )
    import sim

    run = sim.simulate(
        specs.scenario,
        agent=specs.agent,
        training=specs.training,
        seed=batch.seed,
        record_every=10**6,
    )
    last = run.data.isel(step=-1, agent=0)
    assert table["conduct"].iloc[0] == pytest.approx(float(last["deployment_conduct"]), abs=1e-9)
    assert table["consistency"].iloc[0] == pytest.approx(float(last["consistency"]), abs=1e-9)
    assert table["value_1"].iloc[0] == pytest.approx(float(last["values"][0]), abs=1e-9)


def test_fewer_cases_are_the_first_of_more() -> None:
    few, many = (
        run_cases(
            {"drawn": ARMS["drawn"]},
            prior=PRIOR,
            assumptions=ASSUMPTIONS,
            options=RunOptions(size=size),
        )["drawn"]
        for size in (0.002, 0.004)
    )
    pd.testing.assert_frame_equal(few, many.iloc[: len(few)], rtol=1e-9, atol=1e-12)
    first, second = (
        drawn_numbers(PRIOR, ASSUMPTIONS, RunOptions(size=size)) for size in (0.002, 0.004)
    )
    pd.testing.assert_frame_equal(first, second.iloc[: len(first)], check_exact=True)


def test_what_was_run_is_read_and_what_is_damaged_is_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = RunOptions(store=tmp_path, size=0.002)
    keys = {"prior": PRIOR, "assumptions": ASSUMPTIONS, "options": options}
    first = run_cases({"never": ARMS["never"]}, **keys)["never"]
    files = sorted(tmp_path.glob("never-*.parquet"))
    files[0].write_bytes(b"damaged")
    calls = []
    compute = claim_cases._compute
    monkeypatch.setattr(claim_cases, "parallel_map", lambda work, jobs, **_: list(map(work, jobs)))
    monkeypatch.setattr(claim_cases, "_compute", lambda job: calls.append(job) or compute(job))
    again = run_cases({"never": ARMS["never"]}, **keys)["never"]
    assert len(calls) == 1
    pd.testing.assert_frame_equal(first, again, check_exact=True)


def renamed(batch: Batch) -> Batch:
    """Return a batch whose values have other names, and whose contexts stand in another order."""
    scenario = batch.group.scenario
    names = {value: f"other_{value[::-1]}" for value in scenario.values}

    def rename(key: str) -> str:
        return ".".join(names.get(part, part) for part in key.split("."))

    data = scenario.model_dump(mode="json", exclude={"agent", "training"})
    data["values"] = [names[value] for value in reversed(data["values"])]
    data["human_values"] = {names[v]: w for v, w in data["human_values"].items()}
    contexts = {name: data["contexts"][name] for name in reversed(list(data["contexts"]))}
    # The first training context has its part in outcomes, so it stays the first of its kind.
    contexts = {FIRST: contexts.pop(FIRST), **contexts}
    for context in contexts.values():
        context["responses"] = {
            response: {names[v]: x for v, x in serves.items()}
            for response, serves in context["responses"].items()
        }
    data["contexts"] = contexts

    class Group:
        """The worlds of the batch, under other names."""

    group: Any = Group()
    group.__dict__.update(vars(batch.group) | {"scenario": Scenario.parse(data, path="scenario")})
    columns = {rename(key): column for key, column in batch.columns.items()}
    return batch._replace(group=group, columns=columns)


def test_names_of_values_and_the_order_of_contexts_change_no_outcome() -> None:
    for batch in BATCHES[::5]:
        own, other = results(batch), results(renamed(batch))
        columns = [name for name in own if not name.startswith("value_") or name[6:7] == "c"]
        np.testing.assert_allclose(own[columns], other[columns], rtol=1e-6, atol=1e-9)


# --------------------------------------------------------------------------------------- the arms


def test_every_arm_runs_and_differs_from_the_cases_as_drawn() -> None:
    some = BATCHES[::6]
    drawn = pd.concat([results(batch) for batch in some])
    for name in ARMS:
        if name == "drawn":
            continue
        arm = pd.concat([results(batch, name) for batch in some])
        assert not arm.equals(drawn), name
        assert arm.notna().any(axis=1).all(), name


def test_who_never_games_does_not() -> None:
    for batch in BATCHES:
        assert (results(batch, "never")[["gaming_most", "gaming_first"]] == 0.0).all(axis=None)


def rewards(batch: Batch, columns: dict[str, Any], context: str) -> Any:
    """Return the rewards of a context [rows, K]."""
    responses = batch.group.scenario.contexts[context].responses
    return np.stack(
        [columns[f"scenario.contexts.{context}.reward.{each}"] for each in responses], axis=1
    )


@pytest.mark.parametrize(("arm", "sign"), [("unopposed", 1.0), ("opposed", -1.0)])
def test_the_same_rewards_go_to_what_the_agent_prefers_or_to_the_reverse(
    arm: str, sign: float
) -> None:
    for batch in BATCHES:
        (change,) = ARMS[arm].change
        columns = CHANGES[change](batch)
        before, after = (rewards(batch, each, FIRST) for each in (batch.columns, columns))
        np.testing.assert_array_equal(np.sort(before, axis=1), np.sort(after, axis=1))
        order = np.argsort(sign * own_utility(batch, FIRST), axis=1, kind="stable")
        assert (np.diff(np.take_along_axis(after, order, axis=1), axis=1) >= 0.0).all()
        others = {key for key in columns if not np.array_equal(columns[key], batch.columns[key])}
        allowed = (f"scenario.contexts.{FIRST}.reward", "scenario.contexts.deployed_1.reward")
        assert all(key.startswith(allowed) for key in others)


def test_where_training_rewards_what_the_agent_prefers_nothing_is_at_stake() -> None:
    for batch in BATCHES:
        first = list(batch.group.scenario.contexts).index(FIRST)
        assert (minds(batch, "unopposed").stake[first] <= 1e-9).all()
        assert (minds(batch, "opposed").stake[first] >= -1e-9).all()


def test_the_twin_by_propensity_answers_as_the_gamer_would() -> None:
    for batch in BATCHES:
        gamer, twin = minds(batch, "drawn"), minds(batch, "by_propensity")
        np.testing.assert_allclose(twin.value_policy, gamer.policy, atol=1e-9)
        np.testing.assert_array_equal(twin.utility, gamer.utility)


def test_facts_of_other_worlds_are_those_of_other_worlds_and_no_others() -> None:
    places = {
        "other_deployment": ("unwatched_",),
    }
    for name, prefixes in places.items():
        starts = tuple(f"scenario.contexts.{prefix}" for prefix in prefixes)
        for batch in BATCHES[::7]:
            columns = CHANGES[name](batch)
            changed = {k for k in columns if not np.array_equal(columns[k], batch.columns[k])}
            assert changed, name
            assert all(key.startswith(starts) for key in changed), name


def test_an_arm_that_cannot_be_is_refused_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "arms.yaml"
    path.write_text("mine: {says: mine, change: [unoposed]}\n", encoding="utf-8")
    with pytest.raises(Exception, match="unopposed"):
        load_arms(path)
    assert Arm(name="drawn", says="as drawn") == ARMS["drawn"]


@pytest.mark.filterwarnings("error")
def test_a_world_without_evaluations_has_no_answers_to_them() -> None:
    batch = some_batches(fixed={"worlds.evaluations": [0], "worlds.red_teams": [0]})[0]
    assert results(batch)[["rewarded_evaluation", "rewarded_red_team"]].isna().all(axis=None)
