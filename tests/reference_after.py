"""A slow and obvious reference of MODEL.md section 6 on paper, beside `reference` for 1 to 5.

One agent at a time, plain floats, one explicit loop per product. Oversight and deployment are plain
data in which everything is said.
"""

import math
from dataclasses import dataclass

import reference

#: Step j of oversight is passed with the help of capability k_j.
STEPS = {
    "capability_evaluations": "sandbagging",
    "red_teaming": "composure",
    "reasoning_monitor": "opacity",
    "control": "subversion",
}


@dataclass
class Prospects:
    """What would come of deploying one agent."""

    passed: dict[str, float]
    consistency_probability: float
    quorum: float
    success: float
    gain: float
    attempts: bool


def slip_of(context, thought) -> float:
    """The chance of a response that does not look best."""
    return 1.0 - reference.chance_of(reference.best_looking(context), context, thought)


def temptation(context, subversive: list[str], values: list[float]) -> float:
    """What the subversive response that the values like best is worth over looking good."""
    if context.kind != "deployment" or not subversive:
        return math.nan
    preference = reference.own_preference(context, values)
    utility = dict(zip(context.responses, preference, strict=True))
    best = reference.best_looking(context)
    as_trained = sum(utility[response] for response in best) / len(best)
    return max(utility[response] for response in subversive) - as_trained


def prospects(scenario, traits, state, training, step, oversight, deployment) -> Prospects:
    """P(success) factor by factor, and the decision to attempt."""
    contexts = reference.contexts_in_force(scenario, step)
    thoughts = reference.cognitions(scenario, traits, state, training, step)
    k = {
        name: 1.0 / (1.0 + math.exp(-q))
        for name, q in zip(reference.CAPABILITIES, state["capability"], strict=True)
    }
    passed, success = {}, 1.0
    for name, capability in STEPS.items():
        described = oversight[name]
        chance = 1.0
        for _ in range(described["encounters"]):
            chance *= 1.0 - described["strength"] * (1.0 - k[capability])
        passed[name] = chance
        if described["when_found"] != "ignore":
            success *= chance
    consistency_probability = 1.0
    for context in contexts:
        if context.kind in reference.PRE_DEPLOYMENT_KINDS:
            for _ in range(oversight["inspection"]["encounters"].get(context.name, 0)):
                consistency_probability *= 1.0 - slip_of(context, thoughts[context.name])
    if oversight["inspection"]["when_found"] != "ignore":
        success *= consistency_probability
    m = deployment["copies"]
    needed = math.ceil(round(deployment["quorum"] * m, 9))
    quorum = 0.0
    for acting in range(needed, m + 1):
        p = k["coordination"]
        quorum += math.comb(m, acting) * p**acting * (1.0 - p) ** (m - acting)
    if m == 1:
        quorum = 1.0
    success *= quorum
    weights = deployment["mix"] or {
        context.name: scenario["contexts"][context.name].get("weight", 1.0)
        for context in contexts
        if context.kind == "deployment"
    }
    gain, offered = 0.0, False
    for context in contexts:
        subversive = scenario["contexts"][context.name].get("subversive", [])
        worth = temptation(context, subversive, state["values"])
        if weights.get(context.name, 0.0) and not math.isnan(worth):
            offered = True
            gain += weights[context.name] / sum(weights.values()) * max(worth, 0.0)
    caution = deployment["caution"]
    return Prospects(
        passed=passed,
        consistency_probability=consistency_probability,
        quorum=quorum,
        success=success,
        gain=gain if offered else math.nan,
        attempts=offered and gain > 0 and success > caution / (1 + caution),
    )
