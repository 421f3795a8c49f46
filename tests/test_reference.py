"""The slow reference itself: its update against numerical gradients, and what can be done by hand.

No engine takes part. Cases are plain data with everything on: up to 5 contexts of 1 to 4 responses,
both methods, phases.
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import reference

KINDS = tuple(reference.State.__annotations__)
CASES = 100
#: In the second phase of a curriculum, which changes weights, methods, rewards and monitors.
STEP = 2

Case = dict[str, Any]


def random_case(seed: int, **assumptions: Any) -> Case:
    """Return the scenario, traits, state and training of one agent, assumptions laid over."""
    rng = random.Random(seed)
    values = [f"v{d}" for d in range(rng.randint(1, 3))]
    contexts = {f"c{c}": random_context(rng, values) for c in range(rng.randint(1, 5))}
    contexts["c0"]["kind"] = "training"
    curriculum = [
        {"length": 2},
        {
            "length": 3,
            "weight": {"c0": 0.1 + rng.random()},
            "method": {"c0": rng.choice(["reinforcement", "demonstration"])},
            "reward": {"c0": {next(iter(contexts["c0"]["responses"])): rng.gauss(0, 1)}},
            "monitor": {"c0": rng.random()},
        },
    ]
    spread = {"scratchpad_saving": 0.5, "foresight": 5.0}
    return {
        "scenario": {
            "values": values,
            "human_values": {value: rng.gauss(0, 1) for value in values},
            "contexts": contexts,
            "similarity": [[rng.random() for _ in contexts] for _ in contexts],
            "curriculum": curriculum,
        },
        "traits": {
            name: abs(rng.gauss(0, spread.get(name, 1.0)))
            for name in reference.Traits.__annotations__
        },
        "state": {
            "values": [rng.gauss(0, 1) for _ in values],
            "propensity": [[rng.gauss(0, 1) for _ in c["responses"]] for c in contexts.values()],
            "habit": [rng.gauss(0, 1) for _ in contexts],
            "awareness": rng.gauss(0, 1),
            "log_horizon": rng.gauss(0, 0.5),
            "log_competence": rng.gauss(0, 0.5),
            "capability": [rng.gauss(0, 1) for _ in reference.CAPABILITIES],
        },
        "training": {
            "steps": 3,
            "update_rule": "policy_gradient",
            "advantages": "raw",
            "motive_credit": 0.6,
            "leak": 0.4,
            "generalisation": {"habit": 0.3, "propensity": 0.6},
            "anchor": 0.05,
            "visible_gaming_penalty": 1.5,
            "transfer": [0.3, 0.2, 0.1, 0.2, 0.3],
            "learning_rate": {kind: 0.3 + 0.1 * i for i, kind in enumerate(KINDS)},
            **assumptions,
        },
    }


def random_context(rng: random.Random, values: list[str]) -> dict[str, Any]:
    """Return a context with 1 to 4 responses, named from r0 or r1 on, so that places differ."""
    first = rng.randint(0, 1)
    names = [f"r{k}" for k in range(first, first + rng.randint(1, 4))]
    shares = [rng.random() for _ in names]
    spec = {
        "responses": {name: {value: rng.gauss(0, 1) for value in values} for name in names},
        "reward": {name: rng.gauss(0, 1) for name in names},
        "method": rng.choice(["reinforcement", "demonstration"]),
        "kind": rng.choice(["training", "training", "training", "evaluation", "deployment"]),
        "weight": 0.1 + rng.random(),
        "info": rng.random(),
        "scratchpad": rng.random(),
        "cue": rng.gauss(0, 1),
        "monitor": rng.random(),
    }
    if rng.random() < 0.7:
        total = sum(shares)
        spec["demonstrations"] = {n: s / total for n, s in zip(names, shares, strict=True)}
    return spec


def given(case: Case) -> tuple[Any, ...]:
    """Return what functions of the reference take."""
    return case["scenario"], case["traits"], case["state"], case["training"]


def flat(state: Any) -> np.ndarray:
    """Return θ [P]; of the propensities only those of responses that are there."""
    parts = [state[kind] for kind in KINDS]
    return np.concatenate(
        [np.concatenate(p) if isinstance(p, list) and isinstance(p[0], list) else np.atleast_1d(p)
         for p in parts]
    )  # fmt: skip


def unflat(theta: np.ndarray, like: Any) -> Any:
    """Return the state at θ [P]."""
    numbers = iter(theta.tolist())

    def refill(part: Any) -> Any:
        return [refill(p) for p in part] if isinstance(part, list) else next(numbers)

    return {kind: refill(like[kind]) for kind in KINDS}


def slopes(function: Callable[[Any], float], state: Any, h: float = 1e-3) -> np.ndarray:
    """Return the gradient [P] by central differences of sixth order."""
    centre = flat(state)

    def at(shift: np.ndarray) -> float:
        return function(unflat(centre + shift, state))

    weights = ((1, 3 / 4), (2, -3 / 20), (3, 1 / 60))
    return np.array(
        [sum(w * (at(n * e) - at(-n * e)) for n, w in weights) / h for e in h * np.eye(len(centre))]
    )


def relative(update: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference, relative to the largest component but at least to 1."""
    return float(np.abs(update - expected).max() / max(1.0, np.abs(expected).max()))


def rates(case: Case) -> np.ndarray:
    """Return the learning rate of every component of θ [P]."""
    learning_rate = case["training"]["learning_rate"]
    full = {kind: _filled(case["state"][kind], learning_rate[kind]) for kind in KINDS}
    return flat(full)


def _filled(part: Any, number: float) -> Any:
    return [_filled(p, number) for p in part] if isinstance(part, list) else number


# --------------------------------------------------------------------------------- the gradient

#: The assumptions under which training is exact gradient ascent on J.
EXACT = {
    "motive_credit": 1.0,
    "leak": 0.0,
    "generalisation": {"habit": 0.0, "propensity": 0.0},
    "transfer": [0.0] * 5,
}


def objective_slopes(case: Case) -> np.ndarray:
    scenario, traits, state, training = given(case)
    return slopes(
        lambda at: reference.objective(scenario, traits, at, training, STEP, held=state), state
    )


@pytest.mark.parametrize("advantages", ["raw", "normalised"])
def test_the_update_is_the_gradient_of_the_objective(advantages: str) -> None:
    largest, sizes, methods = 0.0, set(), set()
    for seed in range(CASES):
        case = random_case(seed, advantages=advantages, **EXACT)
        update = flat(reference.delta(*given(case), STEP))
        largest = max(largest, relative(update, rates(case) * objective_slopes(case)))
        trained = reference.training_contexts(case["scenario"], STEP)
        sizes |= {len(context.responses) for context in trained}
        methods.add(frozenset(context.method for context in trained))
    print(f"{advantages}: largest relative difference {largest:.1e} in {CASES} cases")
    assert largest < 1e-9
    assert sizes == {1, 2, 3, 4}
    assert len(methods) == 3  # the one, the other, both at once


def test_an_assumption_that_is_moved_leaves_the_gradient() -> None:
    for assumption in (
        {"motive_credit": 0.5},
        {"leak": 0.5},
        {"generalisation": {"habit": 0.5, "propensity": 0.0}},
        {"generalisation": {"habit": 0.0, "propensity": 0.5}},
        {"transfer": [0.5] * 5},
        {"update_rule": "natural_gradient"},
    ):
        differences = []
        for seed in range(10):
            exact, other = random_case(seed, **EXACT), random_case(seed, **(EXACT | assumption))
            updates = [flat(reference.delta(*given(case), STEP)) for case in (exact, other)]
            differences.append(np.abs(updates[0] - updates[1]).max())
        assert max(differences) > 1e-3, assumption


def test_motive_credit_is_the_part_of_the_gradient_that_runs_through_the_decision() -> None:
    """ω = 0: d and F held, v and ς follow the slope of what is left of J; in between, a line."""
    for seed in range(40):
        none, half, full = (
            random_case(seed, **(EXACT | {"motive_credit": omega})) for omega in (0.0, 0.5, 1.0)
        )
        updates = [flat(reference.delta(*given(case), STEP)) for case in (none, half, full)]
        np.testing.assert_allclose(updates[1], (updates[0] + updates[2]) / 2, atol=1e-12)
        expected = rates(none) * slopes(_with_gates_held(none), none["state"])
        kept = flat({kind: _filled(none["state"][kind], float(kind in SHIELDED)) for kind in KINDS})
        assert relative(kept * updates[0], kept * expected) < 1e-9


#: What section 4 moves both through the gate and past it.
SHIELDED = ("values", "propensity", "log_competence")


def _with_gates_held(case: Case) -> Callable[[Any], float]:
    """Return Σ p [(1 − g) E_{π^v}F + g E_{π^r}F], a function of θ through π^v and π^r alone."""
    scenario, traits, state, training = given(case)
    before = reference.cognitions(scenario, traits, state, training, STEP)

    def held(at: Any) -> float:
        total = 0.0
        for context in reference.training_contexts(scenario, STEP):
            now = reference.cognition(context, traits, at, training)
            g, payoff = (
                before[context.name]["gaming_rate"],
                np.array(before[context.name]["payoff"]),
            )
            mix = (1 - g) * np.array(now["value_policy"]) + g * np.array(now["gaming_policy"])
            total += context.share * float(mix @ payoff)
        return total

    return held


def test_leak_teaches_the_ungamed_answer_what_gamed_responses_earn() -> None:
    """ε adds the slope of Σ p g Σ π^r_k (F_k − P − B) log π^v_k, all but π^v held constant."""
    for seed in range(40):
        scenario, traits, state, training = given(random_case(seed, **EXACT))
        before = reference.cognitions(scenario, traits, state, training, STEP)

        def leaked(at: Any) -> float:
            total = 0.0
            for context in reference.training_contexts(scenario, STEP):  # noqa: B023
                now = reference.cognition(context, traits, at, training)  # noqa: B023
                held = before[context.name]  # noqa: B023
                earned = np.array(held["payoff"]) - held["penalty"] - held["objective"]
                gamed = context.share * held["gaming_rate"] * np.array(held["gaming_policy"])
                total += float(gamed @ (earned * np.log(now["value_policy"])))
            return total

        cases = [random_case(seed, **(EXACT | {"leak": leak})) for leak in (0.0, 0.7)]
        without, leaking = (flat(reference.delta(*given(case), STEP)) for case in cases)
        expected = 0.7 * rates(cases[0]) * slopes(leaked, state)
        assert relative(leaking - without, expected) < 1e-9


def test_all_episodes_together_make_the_exact_update() -> None:
    """Σ chance · update over every episode, demonstrations and normalised advantages included."""
    for seed in range(60):
        for rule in ("policy_gradient", "natural_gradient"):
            for advantages in ("raw", "normalised"):
                case = random_case(seed, update_rule=rule, advantages=advantages)
                possible = reference.possible_episodes(*given(case), STEP)
                assert sum(chance for chance, _ in possible) == pytest.approx(1.0, abs=1e-12)
                mean = reference.weighted_sum(
                    [(chance, reference.episode_delta(*given(case), e)) for chance, e in possible]
                )
                exact = flat(reference.delta(*given(case), STEP))
                assert relative(flat(mean), exact) < 1e-11


# ----------------------------------------------------------------------- assumptions, one by one


def test_normalised_advantages_divide_by_the_deviation_of_the_reward_of_episodes() -> None:
    """One context: every update times (SD + 0.01) is the raw one, but for transfer."""
    for seed in range(40):
        raw, normalised = (
            random_case(seed, advantages=a, transfer=[0.0] * 5) for a in ("raw", "normalised")
        )
        for case in (raw, normalised):
            for name, spec in case["scenario"]["contexts"].items():
                spec["kind"] = "training" if name == "c0" else "evaluation"
            case["scenario"]["curriculum"] = []
            case["scenario"]["contexts"]["c0"]["method"] = "reinforcement"
        possible = reference.possible_episodes(*given(raw), STEP)
        chances = np.array([chance for chance, _ in possible])
        reward = np.array([episode.reward for _, episode in possible])
        deviation = math.sqrt(chances @ reward**2 - (chances @ reward) ** 2)
        updates = [flat(reference.delta(*given(case), STEP)) for case in (raw, normalised)]
        np.testing.assert_allclose(updates[1] * (deviation + 0.01), updates[0], atol=1e-9)
        practice = random_case(seed)["training"]["transfer"]
        raw["training"]["transfer"] = normalised["training"]["transfer"] = practice
        more = [reference.delta(*given(case), STEP)["capability"] for case in (raw, normalised)]
        assert more[0][1:] == more[1][1:]
        assert min(more[0]) > 0


def test_demonstrations_are_not_normalised() -> None:
    for seed in range(20):
        raw, normalised = (random_case(seed, advantages=a) for a in ("raw", "normalised"))
        for case in (raw, normalised):
            case["scenario"]["curriculum"] = []
            for spec in case["scenario"]["contexts"].values():
                spec["method"] = "demonstration"
        assert reference.delta(*given(raw), 0) == reference.delta(*given(normalised), 0)


def test_generalisation_carries_habits_by_context_and_propensities_by_name() -> None:
    """ρ mixes I and the similarity; untrained contexts receive too."""
    for seed in range(40):
        own, mixed = (
            reference.delta(*given(random_case(seed, generalisation=g)), STEP)
            for g in ({"habit": 0.0, "propensity": 0.0}, {"habit": 0.3, "propensity": 0.6})
        )
        scenario = random_case(seed)["scenario"]
        s = np.array(scenario["similarity"])
        expected = 0.7 * np.array(own["habit"]) + 0.3 * s @ own["habit"]
        np.testing.assert_allclose(mixed["habit"], expected, atol=1e-12)
        places = [
            (c, r) for c, x in enumerate(scenario["contexts"].values()) for r in x["responses"]
        ]
        carry = np.array([[s[c, c2] * (r == r2) for c2, r2 in places] for c, r in places])
        before, after = np.concatenate(own["propensity"]), np.concatenate(mixed["propensity"])
        np.testing.assert_allclose(after, 0.4 * before + 0.6 * carry @ before, atol=1e-12)


def test_the_natural_gradient_divides_by_the_slope_of_the_gate() -> None:
    rho = {"generalisation": {"habit": 0.0, "propensity": 0.6}}
    for seed in range(20):
        plain, natural = (
            random_case(seed, update_rule=rule, **rho)
            for rule in ("policy_gradient", "natural_gradient")
        )
        thoughts = reference.cognitions(*given(plain), STEP).values()
        gates = np.array([t["decision"] * (1 - t["decision"]) for t in thoughts])
        updates = [reference.delta(*given(case), STEP) for case in (plain, natural)]
        np.testing.assert_allclose(np.array(updates[1]["habit"]) * gates, updates[0]["habit"])
        assert {**updates[1], "habit": []} == {**updates[0], "habit": []}


def test_the_anchor_pulls_every_parameter_back() -> None:
    for seed in range(20):
        case, start = random_case(seed), random_case(seed)["state"]
        start = unflat(flat(start) + 1.0, start)
        scenario, traits, state, training = given(case)
        after = flat(reference.step(scenario, traits, state, start, training, STEP))
        without = flat(state) + flat(reference.delta(*given(case), STEP))
        np.testing.assert_allclose(after, without + 0.05, atol=1e-12)


def test_propensities_of_a_context_keep_their_sum() -> None:
    """π^v does not know it, so neither gradient nor leak moves it."""
    for seed in range(20):
        generalisation = {"habit": 0.3, "propensity": 0.0}
        case = random_case(seed, generalisation=generalisation, advantages="normalised")
        for row in reference.delta(*given(case), STEP)["propensity"]:
            assert sum(row) == pytest.approx(0.0, abs=1e-12)


def test_demonstrations_of_what_it_does_teach_nothing() -> None:
    """y = π is the largest log-likelihood: F = 1, and only transfer and generalisation are left."""
    for seed in range(20):
        case = random_case(seed, transfer=[0.0] * 5, leak=1.0)
        scenario = case["scenario"]
        scenario["curriculum"] = []
        for name, spec in scenario["contexts"].items():
            spec["method"] = "demonstration"
            policy = reference.cognitions(*given(case), 0)[name]["policy"]
            spec["demonstrations"] = dict(zip(spec["responses"], policy, strict=True))
        np.testing.assert_allclose(flat(reference.delta(*given(case), 0)), 0.0, atol=1e-12)


def test_demonstrations_default_to_the_responses_of_the_highest_reward_in_force() -> None:
    spec = {
        "responses": {"a": {"v": 1.0}, "b": {"v": 0.0}, "c": {"v": -1.0}},
        "reward": {"a": 1.0, "b": 0.0, "c": 1.0},
        "method": "demonstration",
    }
    phases = [{"length": 1}, {"length": 1, "reward": {"x": {"b": 2.0}}, "method": {"x": RL}}]
    scenario = {"values": ["v"], "contexts": {"x": spec}, "curriculum": phases}
    first, second = (reference.context_in_force(scenario, "x", step) for step in (0, 1))
    assert (first.method, first.demonstrations) == ("demonstration", [0.5, 0.0, 0.5])
    assert (second.method, second.demonstrations) == (RL, [0.0, 1.0, 0.0])
    spec["demonstrations"] = {"b": 0.25, "a": 0.75}
    assert reference.context_in_force(scenario, "x", 1).demonstrations == [0.75, 0.25, 0.0]


RL = "reinforcement"


# ---------------------------------------------------------------------- cognition and measures


def test_foresight_is_the_optimum_of_reward_under_a_penalty_on_divergence() -> None:
    """No policy has a larger E R − KL(· ‖ π^u) / φ; its value there is log E_{π^u} exp(φ R) / φ."""
    rng = np.random.default_rng(0)
    for seed in range(40):
        case = random_case(seed)
        phi = case["traits"]["foresight"]
        for context in reference.contexts_in_force(case["scenario"], STEP):
            thought = reference.cognition(context, *given(case)[1:])
            own, reward = np.array(thought["own_policy"]), np.array(context.reward)

            def worth(policy: Any) -> float:
                return float(policy @ (reward - np.log(policy / own) / phi))  # noqa: B023

            best = math.log(own @ np.exp(phi * reward)) / phi
            assert worth(np.array(thought["foresight_policy"])) == pytest.approx(best, abs=1e-10)
            assert worth(rng.dirichlet(np.ones(len(own)))) <= best + 1e-10


def test_stake_at_little_foresight_is_minus_the_covariance_of_utility_and_reward() -> None:
    for seed in range(40):
        case = random_case(seed)
        case["traits"]["foresight"] = 1e-6
        for context in reference.contexts_in_force(case["scenario"], STEP):
            thought = reference.cognition(context, *given(case)[1:])
            covariance = reference.covariance(thought["own_policy"], thought["u"], context.reward)
            assert thought["stake"] / 1e-6 == pytest.approx(-covariance, abs=1e-4)


def test_propensities_colour_what_it_does_and_not_what_it_thinks_of_itself() -> None:
    for seed in range(20):
        case = random_case(seed)
        before = reference.cognitions(*given(case), STEP)
        case["state"]["propensity"] = [[m + 1 for m in row] for row in case["state"]["propensity"]]
        for name, thought in reference.cognitions(*given(case), STEP).items():
            assert thought["value_policy"] == pytest.approx(before[name]["value_policy"])
        for row in case["state"]["propensity"]:
            row[0] += 1.0
        for name, thought in reference.cognitions(*given(case), STEP).items():
            for key in ("own_policy", "stake", "concession", "incentive", "decision"):
                assert thought[key] == before[name][key]
            several = len(thought["policy"]) > 1
            assert (thought["value_policy"][0] > before[name]["value_policy"][0]) == several


def test_recorded_reward_is_that_of_the_policy_less_the_penalty_of_what_is_gamed() -> None:
    for seed in range(20):
        case = random_case(seed)
        for context in reference.contexts_in_force(case["scenario"], STEP):
            thought = reference.cognition(context, *given(case)[1:])
            reward = float(np.dot(thought["policy"], context.reward))
            if context.method == "demonstration":
                assert thought["penalty"] == 0.0
                assert thought["reward"] == pytest.approx(reward)
                assert thought["objective"] == pytest.approx(1.0)
            else:
                reward -= thought["gaming_rate"] * thought["penalty"]
                assert thought["reward"] == pytest.approx(reward)
                assert thought["objective"] == pytest.approx(reward)


def test_parts_of_stake_and_concession_by_value_make_the_whole() -> None:
    for seed in range(40):
        scenario, traits, state, training = given(random_case(seed))
        thoughts = reference.cognitions(scenario, traits, state, training, STEP)
        measures = reference.measures(scenario, traits, state, state, training, STEP)
        for name, thought in thoughts.items():
            for key in ("stake", "concession"):
                parts = measures[f"{key}_by_value"][name]
                assert sum(parts) == pytest.approx(thought[key], abs=1e-12)


def test_measures_by_hand() -> None:
    """Two values, of which humans count one; a sure agent that games in half of all cases."""
    responses = {"good": {"care": 2.0}, "middle": {"care": 1.0}, "bad": {"care": -2.0, "power": 1}}
    train = {"responses": responses, "reward": {"good": 1.0}, "twin": "twin", "scratchpad": 0.5}
    flat_context = {"responses": {"a": {"power": 1.0}, "b": {}}, "kind": "deployment"}
    scenario = {
        "values": ["care", "power"],
        "human_values": {"care": 3.0},
        "contexts": {
            "train": train,
            "twin": {**train, "kind": "deployment", "twin": None, "reward": {"bad": 1.0}},
            "plain": flat_context,
        },
    }
    case = random_case(0)
    traits = dict.fromkeys(case["traits"], 0.0) | {"decisiveness": 100.0, "rationality": 1.0}
    state = {
        "values": [0.0, 1.0],
        "propensity": [[0.0] * 3, [0.0] * 3, [0.0] * 2],
        "habit": [0.0] * 3,
        "awareness": 100.0,
        "log_horizon": 0.0,
        "log_competence": math.log(100.0),
        "capability": [0.0] * 5,
    }
    start = {**state, "values": [0.0, 0.5]}
    training = {**case["training"], "visible_gaming_penalty": 0.0}
    found = reference.measures(scenario, traits, state, start, training, 0)
    assert found["gaming_rate"] == pytest.approx(dict.fromkeys(scenario["contexts"], 0.5))
    assert found["instrumental_gaming"] == dict.fromkeys(scenario["contexts"], 0.0)
    assert found["reach"] == found["reach_weighted"] == 1.0
    assert found["consistency"] == pytest.approx(0.5)  # half gamed good, half bad
    assert found["compliance_gap"] == pytest.approx({"train": 0.5})
    assert found["behaviour_shift"] == pytest.approx({"train": 0.5})
    assert (found["value_drift"], found["value_cosine"], found["alignment"]) == (0.5, 1.0, 0.0)
    conduct = {"train": 0.0, "twin": -1.0, "plain": math.nan}
    assert found["conduct"] == pytest.approx(conduct, nan_ok=True)
    assert found["deployment_conduct"] == pytest.approx(-1.0)
    assert found["opacity_share"] == pytest.approx(0.75)  # 1 − 0.5 · (1 − 0.5)
    assert found["concession_by_value"]["train"] == pytest.approx([0.0, 1.0])
    traits["reasoning_cost"], state["awareness"] = 2.0, 0.0
    found = reference.measures(scenario, traits, state, start, training, 0)
    expected = 0.5 * (1.0 / (1.0 + math.exp(2.0)) - 0.5)
    assert found["instrumental_gaming"]["train"] == pytest.approx(expected)


def test_onset_is_the_first_record_of_a_whole_window() -> None:
    rates_of_runs = [0.5, 0.4, 0.6, 0.7, 0.8, 0.1, 0.9]
    assert [reference.onset(rates_of_runs, window) for window in (1, 2, 3, 4)] == [0, 2, 2, None]


# ------------------------------------------------------------------------------- sampled training


def test_many_sampled_episodes_approach_the_exact_step() -> None:
    """Frequencies of what is drawn in training: contexts by p, demonstrations by y."""
    scenario, traits, state, training = given(random_case(3))
    counts: dict[Any, float] = {}
    draws = 20_000
    rng = random.Random(1)
    for _ in range(draws):
        words = [rng.getrandbits(32) for _ in range(4)]
        episode = reference.training_episode(scenario, traits, state, training, STEP, words)
        key = (episode.context.name, episode.gamed, episode.response)
        counts[key] = counts.get(key, 0.0) + 1.0 / draws
    possible = reference.possible_episodes(scenario, traits, state, training, STEP)
    assert {episode.context.method for _, episode in possible} == {RL, "demonstration"}
    for chance, episode in possible:
        count = counts.pop((episode.context.name, episode.gamed, episode.response), 0.0)
        assert abs(count - chance) < 4 * math.sqrt(chance * (1 - chance) / draws) + 1e-12
    assert not counts


def test_a_run_follows_its_phases() -> None:
    case = copy.deepcopy(random_case(7))
    states = reference.simulate(*given(case))
    sampled = reference.sampled_simulate(*given(case), episodes=2, seed=1, agent=0)
    assert len(states) == len(sampled) == case["training"]["steps"] + 1
    for t in range(len(states) - 1):
        scenario, traits, _, training = given(case)
        change = flat(reference.delta(scenario, traits, states[t], training, t))
        pull = 0.05 * (flat(states[t]) - flat(states[0]))
        np.testing.assert_allclose(flat(states[t + 1]), flat(states[t]) + change - pull, atol=1e-12)
        assert np.isfinite(flat(sampled[t])).all()
