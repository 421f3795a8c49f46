"""Deployments for tests: a small scenario, profiles, and oversight that is off or that watches."""

from __future__ import annotations

from typing import Any

import sim
from sim.abm.deployment_model import DeploymentWorld
from sim.abm.profiles import Profile
from sim.specs.agent import CAPABILITIES

_ANSWERS = {"responses": {"good": {"care": 1}, "bad": {"care": -1}}, "reward": {"good": 1}}
SCENARIO = sim.Scenario.load(
    {
        "values": ["care"],
        "human_values": {"care": 1},
        "contexts": {
            "chat": _ANSWERS,
            "exam": {"kind": "evaluation", **_ANSWERS},
            "lure": {"kind": "red_team", **_ANSWERS},
            "open": {"kind": "deployment", "subversive": ["bad"], **_ANSWERS},
            "calm": {"kind": "deployment", **_ANSWERS},
        },
    }
)
STEPS = ("capability_evaluations", "red_teaming", "reasoning_monitor", "control")
UNWATCHED: dict[str, Any] = {
    "inspection": {"encounters": 0},
    **{name: {"strength": 0, "encounters": 0} for name in STEPS},
}


def watched(strength: float, *, encounters: int = 1, answers: int = 1, **changes: Any) -> dict:
    each = {"strength": strength, "encounters": encounters}
    return {"inspection": {"encounters": answers}, **dict.fromkeys(STEPS, each), **changes}


def only(name: str, strength: float, **more: Any) -> dict:
    return {**UNWATCHED, name: {"strength": strength, "encounters": 1, **more}}


def profile(*, agent: int = 0, k: float = 0.5, slip: float = 0.0, **capabilities: float) -> Profile:
    return Profile(
        agent=agent,
        attempts=True,
        capabilities={**dict.fromkeys(CAPABILITIES, k), **capabilities},
        slip=dict.fromkeys(SCENARIO.contexts, slip),
        tempting=("open",),
    )


ABLE = profile(k=1.0)


def make(
    profiles: Any = ABLE, *, oversight: dict = UNWATCHED, seed: int = 3, **settings: Any
) -> DeploymentWorld:
    """A world in which all contexts tempt, unless a mix says otherwise."""
    deployment = {"mix": {"open": 1}, "copies": 10, "ticks": 5, "quorum": 0.5}
    for key in [key for key in settings if key.startswith("deployment.")]:
        deployment[key.removeprefix("deployment.")] = settings.pop(key)
    options = {"scenario": SCENARIO, "oversight": oversight, "deployment": deployment, "rng": seed}
    return DeploymentWorld(profiles, **{**options, **settings})


def finish(profiles: Any = ABLE, **settings: Any) -> DeploymentWorld:
    world = make(profiles, **settings)
    world.run_model()
    return world


def ends(profiles: Any = ABLE, *, replicates: int = 60, **settings: Any) -> list[tuple]:
    """Outcome, finder and last tick of each replicate."""
    settings["collect_every"] = 10**6
    worlds = (finish(profiles, replicate=n, **settings) for n in range(replicates))
    return [(world.outcome, world.found_by, world.steps) for world in worlds]


def takeovers(profiles: Any = ABLE, **settings: Any) -> int:
    return sum(outcome == "takeover" for outcome, _, _ in ends(profiles, **settings))
