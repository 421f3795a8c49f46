"""Every recorded variable: its dimensions and what it is. One table for results and their docs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sim.specs.agent import CAPABILITIES


class Variable(NamedTuple):
    """A recorded variable.

    Attributes:
        dims: Its dimensions, in order.
        meaning: What it is, with its symbol in MODEL.md and its section.
        unit: `probability`, `logit`, `reward`, ... or `1`.
    """

    dims: tuple[str, ...]
    meaning: str
    unit: str = "1"


_AGENT = ("step", "agent")
_CONTEXT = (*_AGENT, "context")
_RESPONSE = (*_CONTEXT, "response")

#: Recorded at every recorded step t: the state θ_t, and what agents in that state think and do.
VARIABLES: dict[str, Variable] = {
    "gaming_rate": Variable(_CONTEXT, "g: chance of gaming (3.6)", "probability"),
    "awareness": Variable(_CONTEXT, "a: chance that training comes to mind (3.3)", "probability"),
    "belief": Variable(_CONTEXT, "b: belief that this input is trained on (3.3)", "probability"),
    "stake": Variable(_CONTEXT, "how fast training here would erode the values (3.4)"),
    "incentive": Variable(_CONTEXT, "I: what gaming is worth to the agent (3.5)"),
    "decision": Variable(
        _CONTEXT, "d: chance of gaming once training is in mind (3.6)", "probability"
    ),
    "policy": Variable(_RESPONSE, "π: chance of each response (3.7)", "probability"),
    "value_policy": Variable(_RESPONSE, "π^v: the answer its values give (3.1)", "probability"),
    "gaming_policy": Variable(_RESPONSE, "π^r: the answer that gaming gives (3.2)", "probability"),
    "reward": Variable(
        _CONTEXT, "B: expected reward, less the penalty for visible gaming (4)", "reward"
    ),
    "incentive_by_value": Variable(
        (*_CONTEXT, "value"),
        "each value's part in the incentive; with the cost they sum to I (3.5)",
    ),
    "values": Variable((*_AGENT, "value"), "v: explicit goals (2)"),
    "habit": Variable(_CONTEXT, "h: learnt inclination to game (2)", "logit"),
    "awareness_logit": Variable(_AGENT, "α: situational awareness (2)", "logit"),
    "log_horizon": Variable(_AGENT, "ℓ: logarithm of the horizon (2)"),
    "horizon": Variable(_AGENT, "λ = exp ℓ: care about its future values (2)"),
    "log_competence": Variable(_AGENT, "ς: logarithm of the competence (2)"),
    "competence": Variable(_AGENT, "exp ς: precision with which gaming hits the objective (2)"),
    "capability_logits": Variable((*_AGENT, "capability"), "q (2)", "logit"),
    "capabilities": Variable((*_AGENT, "capability"), "k = σ(q) (2)", "probability"),
    "ancestor": Variable(
        _AGENT, "the agent of the start that this one descends from, by selection (4)", "agent"
    ),
    "reach": Variable(_AGENT, "share of training contexts with g >= 0.5 (5)", "share"),
    "reach_weighted": Variable(_AGENT, "the same share by the weight of contexts (5)", "share"),
    "consistency": Variable(
        _AGENT,
        "least chance, before deployment, of the response that looks best (5)",
        "probability",
    ),
    "slip": Variable(_CONTEXT, "chance of a response that does not look best (6)", "probability"),
    "temptation": Variable(
        _CONTEXT, "what the best subversive response is worth to it over looking good (6)"
    ),
    "compliance_gap": Variable(
        _CONTEXT, "chance of the rewarded response here minus in the twin (5)", "probability"
    ),
    "behaviour_shift": Variable(
        _CONTEXT, "total variation between the policy here and in the twin (5)", "probability"
    ),
    "opacity_share": Variable(_AGENT, "share of gaming that no scratchpad shows (5)", "share"),
    "motive": Variable(
        (*_CONTEXT, "value"), "each value's signed share of the incentive (5)", "share"
    ),
    "value_drift": Variable(_AGENT, "distance of v from where it started (5)"),
    "value_cosine": Variable(_AGENT, "cosine of v with where it started (5)"),
    "alignment": Variable(_AGENT, "cosine of v with human values (5)"),
}

#: Found from a whole history.
ONSET = Variable(
    ("agent", "context"), "first recorded step from which g stays at 0.5 or above (5)", "step"
)


def dimension_sizes(
    *, records: int, agents: int, responses: Sequence[int], values: int
) -> dict[str, int]:
    """Return the length of every dimension of a record.

    Args:
        records: S, how many steps are recorded.
        agents: N.
        responses: How many responses each context has.
        values: D.
    """
    return {
        "step": records,
        "agent": agents,
        "context": len(responses),
        "response": max(responses),
        "value": values,
        "capability": len(CAPABILITIES),
    }
