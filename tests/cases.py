"""Random cases with everything switched on, as plain data for the engine and for the reference."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sim.dynamics.compile import compile_program
from sim.dynamics.program import Program
from sim.dynamics.state import AgentState
from sim.specs.agent import TRAITS, Agent
from sim.specs.scenario import Scenario
from sim.specs.training import LearningRate, Training

STATE = (
    "values",
    "propensity",
    "habit",
    "awareness",
    "log_horizon",
    "log_competence",
    "capability",
)


@dataclass(frozen=True)
class Case:
    """One agent in one scenario, as plain data."""

    scenario: dict[str, Any]
    traits: dict[str, float]
    state: dict[str, Any]
    training: dict[str, Any]

    def program(self, *, agents: int = 1) -> Program:
        """Compile the case, with every agent the same."""
        return compile_program(
            Scenario.load(self.scenario),
            agent=Agent(**self.traits, initial={"values": {}}),
            training=Training(**self.training),
            agents=agents,
            seed=0,
            initial=agent_state([self.state]),
        )


def random_case(seed: int, *, steps: int = 30) -> Case:
    """Return a case: K from 1 to 4, untrained contexts, twins, each assumption mostly on."""
    rng = random.Random(seed)

    def mostly() -> float:
        return rng.random() if rng.random() < 0.8 else 0.0

    values = [f"v{d}" for d in range(rng.randint(1, 3))]
    contexts = {f"c{c}": _context(rng, values) for c in range(rng.randint(1, 5))}
    contexts["c0"]["kind"] = "training"
    if rng.random() < 0.7:
        twin = {**contexts["c0"], "kind": "deployment", "cue": rng.gauss(0, 1)}
        contexts["c0"] = {**contexts["c0"], "twin": "t0"}
        contexts["t0"] = {**twin, "twin": None}
    count = len(contexts)
    return Case(
        scenario={
            "values": values,
            "human_values": {v: rng.gauss(0, 1) for v in values},
            "contexts": contexts,
            "similarity": [[rng.random() for _ in range(count)] for _ in range(count)],
            "curriculum": _curriculum(rng, list(contexts)) if rng.random() < 0.7 else [],
        },
        traits={
            name: rng.random() if name == "scratchpad_saving" else abs(rng.gauss(0, 1)) * mostly()
            for name in TRAITS
        },
        state=random_state(rng, values=len(values), contexts=contexts),
        training={
            "steps": steps,
            "update_rule": rng.choice(["policy_gradient", "natural_gradient"]),
            "advantages": rng.choice(["raw", "normalised"]),
            "motive_credit": mostly(),
            "leak": mostly(),
            "generalisation": {"habit": mostly(), "propensity": mostly()},
            "anchor": 0.1 * mostly(),
            "visible_gaming_penalty": mostly(),
            "transfer": [0.2 * mostly() for _ in range(5)],
            "learning_rate": {name: 0.5 * rng.random() for name in LearningRate.model_fields},
        },
    )


def random_scenario(seed: int, *, contexts: int, values: int) -> dict[str, Any]:
    """Return a scenario in which every context is trained on."""
    rng = random.Random(seed)
    names = [f"v{d}" for d in range(values)]
    made = {f"c{c}": {**_context(rng, names), "kind": "training"} for c in range(contexts)}
    return {"values": names, "human_values": dict.fromkeys(names, 1.0), "contexts": made}


def random_state(
    rng: random.Random, *, values: int, contexts: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Return one agent's parameters."""
    counts = [len(context["responses"]) for context in contexts.values()]
    return {
        "values": [rng.gauss(0, 1) for _ in range(values)],
        "propensity": [[rng.gauss(0, 1) for _ in range(count)] for count in counts],
        "habit": [rng.gauss(0, 1) for _ in counts],
        "awareness": rng.gauss(0, 1),
        "log_horizon": rng.gauss(0, 0.5),
        "log_competence": rng.gauss(0, 0.5),
        "capability": [rng.gauss(0, 1) for _ in range(5)],
    }


def agent_state(states: Sequence[dict[str, Any]]) -> AgentState:
    """Return agents' parameters as users state them: propensities are 0 beyond the responses."""
    most = max(len(row) for row in states[0]["propensity"])
    padded = [
        [[*row, *[0.0] * (most - len(row))] for row in state["propensity"]] for state in states
    ]
    stated = {kind: [state[kind] for state in states] for kind in STATE}
    return AgentState(**{**stated, "propensity": padded})


def flat(state: dict[str, Any]) -> np.ndarray:
    """Return one agent's parameters as a column of θ [P]."""
    rows = {**state, "propensity": np.concatenate(state["propensity"])}
    return np.concatenate([np.ravel(rows[kind]) for kind in STATE])


def unflat(theta: np.ndarray, like: dict[str, Any]) -> dict[str, Any]:
    """Return one agent's parameters from a column of θ [P]: the inverse of `flat`."""
    numbers = iter(theta.tolist())

    def fill(part: Any) -> Any:
        return [fill(x) for x in part] if isinstance(part, list) else next(numbers)

    return {kind: fill(like[kind]) for kind in STATE}


def _context(rng: random.Random, values: list[str]) -> dict[str, Any]:
    responses = [f"r{k}" for k in range(rng.randint(1, 4))]
    return {
        "responses": {r: {v: rng.gauss(0, 1) for v in values} for r in responses},
        "reward": {r: rng.gauss(0, 1) for r in responses},
        "method": rng.choice(["reinforcement", "reinforcement", "demonstration"]),
        "demonstrations": _shares(rng, responses) if rng.random() < 0.5 else {},
        "kind": rng.choice(["training", "training", "evaluation", "red_team", "deployment"]),
        "weight": 0.1 + rng.random(),
        "info": rng.random(),
        "scratchpad": rng.random(),
        "cue": rng.gauss(0, 1),
        "monitor": rng.random(),
        "twin": None,
    }


def _shares(rng: random.Random, responses: list[str]) -> dict[str, float]:
    parts = [rng.random() for _ in responses]
    return {r: part / sum(parts) for r, part in zip(responses, parts, strict=True)}


def _curriculum(rng: random.Random, contexts: list[str]) -> list[dict[str, Any]]:
    """Three phases; in the second c0 is another, in the last c0 alone is trained on."""
    changed = {
        "length": 9,
        "weight": {"c0": 0.1 + rng.random()},
        "reward": {"c0": {"r0": rng.gauss(0, 1)}},
        "monitor": {"c0": rng.random()},
        "method": {"c0": rng.choice(["reinforcement", "demonstration"])},
    }
    alone = {"length": 3, "weight": {name: 0.0 for name in contexts if name != "c0"}}
    return [{"length": 7}, changed, alone]


def sampled_case(seed: int, *, episodes: int = 2, **assumptions: Any) -> Case:
    """Return a random case with every assumption on, and sampled episodes."""
    case = random_case(seed)
    case.training.update(
        {
            "estimator": "sampled",
            "episodes": episodes,
            "update_rule": "policy_gradient",
            "motive_credit": 0.6,
            "leak": 0.4,
            "advantages": "normalised",
            "generalisation": {"habit": 0.3, "propensity": 0.2},
            "anchor": 0.05,
            "visible_gaming_penalty": 1.5,
            "transfer": [0.3, 0.2, 0.1, 0.2, 0.3],
            "learning_rate": {kind: 0.3 + 0.1 * i for i, kind in enumerate(STATE)},
            **assumptions,
        }
    )
    case.traits.update(decisiveness=1.3, rationality=0.8, episode_concern=0.6)
    return case


def reinforced(case: Case) -> Case:
    """Return a case in which every context is trained by reinforcement, with raw advantages."""
    for part in (*case.scenario["contexts"].values(), *case.scenario["curriculum"]):
        part.pop("method", None)
    case.training["advantages"] = "raw"
    return case


def seeded(program: Program, seed: int) -> Program:
    """Return the program with another seed for all agents."""
    seeds = np.full(program.agents, seed, np.uint64)
    return replace(program, agent_ids=replace(program.agent_ids, seeds=seeds))
