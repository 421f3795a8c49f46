"""Profiles of deployed copies, and their audit before deployment (MODEL.md section 6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sim.dynamics.randomness import uniform_pair
from sim.result import Result
from sim.specs.agent import CAPABILITIES
from sim.specs.deployment import Deployment
from sim.specs.errors import SpecError, check_whole
from sim.specs.oversight import BEFORE_DEPLOYMENT, STEP_CAPABILITIES, Oversight, OversightStep
from sim.specs.scenario import PRE_DEPLOYMENT, Scenario
from sim.takeover import moment, pass_probability, prospects


@dataclass(frozen=True, kw_only=True, repr=False)
class Profile:
    """Capabilities and dispositions that a copy takes over from a trained agent.

    Attributes:
        agent: The agent's number in the run that trained it.
        attempts: Whether it attempts a takeover.
        capabilities: k, by name.
        slip: Probability of a response that does not look best, by context.
        tempting: Contexts in which its values prefer a subversive response to looking good.
    """

    agent: int
    attempts: bool
    capabilities: Mapping[str, float]
    slip: Mapping[str, float]
    tempting: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise a `SpecError` for a missing capability, or a number that is no probability."""
        for name in CAPABILITIES:
            if name not in self.capabilities:
                raise SpecError(f"profile of agent {self.agent}: has no capability {name}")
        for kind, chances in (("capabilities", self.capabilities), ("slip", self.slip)):
            for name, chance in chances.items():
                if not 0.0 <= chance <= 1.0:
                    raise SpecError(
                        f"profile of agent {self.agent}: {kind}.{name}: got {chance!r}: must be "
                        "from 0 to 1"
                    )

    def __repr__(self) -> str:
        capabilities = ", ".join(f"{name}={self.capabilities[name]:.3g}" for name in CAPABILITIES)
        return (
            f"Profile(agent={self.agent}, attempts={self.attempts}, {capabilities}, "
            f"tempting={self.tempting})"
        )

    def willing(self, attempts: bool = True) -> Profile:
        """Return the same profile with another decision on whether to attempt a takeover."""
        return replace(self, attempts=attempts)

    def found_chance(self, name: str, step: OversightStep) -> float:
        """Return the probability that one encounter with a step finds it: o (1 − k)."""
        k = self.capabilities[STEP_CAPABILITIES[name]]
        return 1.0 - float(pass_probability(k, strength=step.strength, encounters=1))

    def check(self, scenario: Scenario, contexts: Iterable[str]) -> None:
        """Refuse a profile without slip for a context before deployment or in it (SpecError)."""
        for name in (*scenario.of_kind(*PRE_DEPLOYMENT), *contexts):
            if name not in self.slip:
                raise SpecError(
                    f"profile of agent {self.agent}: says nothing about the context {name!r}; "
                    "make it from a run of this scenario"
                )


def profiles(
    result: Result,
    *,
    agents: int | Sequence[int] | None = None,
    oversight: Oversight | Mapping[str, object] | None = None,
    deployment: Deployment | Mapping[str, object] | None = None,
    step: int | None = None,
) -> tuple[Profile, ...]:
    """Return the profiles of trained agents, in the order of their numbers; of all if None.

    They decide by the oversight and the deployment that they expect, those of `sim.prospects`, at
    the recorded step at which training ends. What does not fit is refused (SpecError).
    """
    takeover = prospects(result, oversight=oversight, deployment=deployment, step=step)
    state = moment(result, step)
    last = state.sizes["agent"] - 1
    every = range(last + 1) if agents is None else agents
    numbers = [every] if isinstance(every, int) else list(every)
    if not numbers:
        raise SpecError("agents: none are named; leave it out for all of them")
    for number in numbers:
        check_whole("agents", number, minimum=0, maximum=last)
    capabilities, slip, temptation = (
        state[name].values for name in ("capabilities", "slip", "temptation")
    )
    names, contexts = state["capability"].values.tolist(), state["context"].values.tolist()
    return tuple(
        Profile(
            agent=int(n),
            attempts=bool(takeover["attempts"].values[n]),
            capabilities=dict(zip(names, capabilities[n].tolist(), strict=True)),
            slip=dict(zip(contexts, slip[n].tolist(), strict=True)),
            tempting=tuple(
                name for name, gain in zip(contexts, temptation[n], strict=True) if gain > 0.0
            ),
        )
        for n in numbers
    )


def audit_profiles(
    deployed: Sequence[Profile],
    *,
    oversight: Oversight,
    scenario: Scenario,
    seed: int,
    replicate: int,
) -> str:
    """Return the step of oversight, or `inspection`, that finds something first; "" if none does.

    Each distinct profile is audited: every encounter with a step finds something with probability
    o (1 − k), and every answer that is inspected with the probability of a slip. Steps whose
    findings are ignored are left out. The draws are those of a seed and a replicate.
    """
    distinct: list[Profile] = []
    for profile in deployed:
        if profile not in distinct:
            distinct.append(profile)

    def finds(stream: str, chances: Sequence[float], encounters: int) -> bool:
        luck, _ = uniform_pair(
            seed=seed,
            stream=f"deployment.{stream}",
            rows=np.arange(len(chances))[:, None],
            step=np.arange(encounters),
            draw=replicate,
        )
        return bool((luck < np.array(chances)[:, None]).any())

    for name in BEFORE_DEPLOYMENT:
        step = oversight.step(name)
        chances = [profile.found_chance(name, step) for profile in distinct]
        if step.when_found != "ignore" and finds(name, chances, step.encounters):
            return name
    if oversight.inspection.when_found != "ignore":
        for context, answers in oversight.inspections(scenario).items():
            slips = [profile.slip[context] for profile in distinct]
            if finds(f"inspection.{context}", slips, answers):
                return "inspection"
    return ""
