"""Profiles: what deployed copies are made of (MODEL.md section 6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sim.result import Result
from sim.specs.agent import CAPABILITIES
from sim.specs.deployment import Deployment
from sim.specs.errors import SpecError, check_whole
from sim.specs.oversight import FACED_WITH, Oversight, OversightStep
from sim.specs.scenario import PRE_DEPLOYMENT, Scenario
from sim.takeover import moment, pass_probability, prospects


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What a copy of a trained agent brings along.

    Attributes:
        agent: The agent's number in the run that trained it.
        attempts: Whether it attempts a takeover.
        capabilities: k, by name.
        slip: Chance of a response that does not look best, by context.
        tempting: Contexts in which its values prefer a subversive response to looking good.
    """

    agent: int
    attempts: bool
    capabilities: Mapping[str, float]
    slip: Mapping[str, float]
    tempting: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse chances that are none, and capabilities that are missing.

        Raises:
            SpecError: One line: what was wrong, where, what is allowed.
        """
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

    def willing(self, attempts: bool = True) -> Profile:
        """Return the same profile, attempting or not whatever the agent itself would do."""
        return replace(self, attempts=attempts)

    def found_chance(self, name: str, step: OversightStep) -> float:
        """Return the chance that one encounter with a step of oversight finds it: o (1 − k)."""
        k = self.capabilities[FACED_WITH[name]]
        return 1.0 - float(pass_probability(k, strength=step.strength, encounters=1))

    def check(self, scenario: Scenario, met: Iterable[str]) -> None:
        """Refuse a scenario that this profile was not made in.

        Args:
            scenario: What it is to be deployed in.
            met: Names of the contexts that its copies meet.

        Raises:
            SpecError: It says nothing about a context.
        """
        for name in (*scenario.of_kind(*PRE_DEPLOYMENT), *met):
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
    """Return the profiles of trained agents.

    Args:
        result: A run.
        agents: Which of its agents, by number, in this order; all if None.
        oversight: What they expect to stand in the way; the defaults of `sim.Oversight`.
        deployment: What they expect a takeover to need; the defaults of `sim.Deployment`.
        step: The recorded step at which training ends; the last if None.

    Raises:
        SpecError: Oversight or deployment do not fit the scenario, the step was not recorded, or
            there is no such agent.
    """
    paper = prospects(result, oversight=oversight, deployment=deployment, step=step)
    now = moment(result, step)
    last = now.sizes["agent"] - 1
    if agents is None:
        chosen = list(range(last + 1))
    else:
        chosen = [agents] if isinstance(agents, int) else list(agents)
    if not chosen:
        raise SpecError("agents: none are named; leave it out for all of them")
    for number in chosen:
        check_whole("agents", number, minimum=0, maximum=last)
    capabilities, slip, temptation = (
        now[name].values for name in ("capabilities", "slip", "temptation")
    )
    names, contexts = now["capability"].values.tolist(), now["context"].values.tolist()
    return tuple(
        Profile(
            agent=int(n),
            attempts=bool(paper["attempts"].values[n]),
            capabilities=dict(zip(names, capabilities[n].tolist(), strict=True)),
            slip=dict(zip(contexts, slip[n].tolist(), strict=True)),
            tempting=tuple(
                name for name, gain in zip(contexts, temptation[n], strict=True) if gain > 0.0
            ),
        )
        for n in chosen
    )
