"""Roles of contexts at the start of training: where gaming pays, and which value it protects.

A context *pays* if its stake is above 0 at the start of training, for an agent without the spread
of its population: it foresees that training would carry its answers away from its values there. Of
these, the *contested* one has the greatest stake, and the value with the greatest part in the
incentive there is the *protected* one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.dynamics.observe import Recorder
from sim.specs.errors import SpecError
from sim.specs.overrides import Specs
from sim.sweeps.design import Grid
from sim.sweeps.plan import Part, compile_rows, of_one_agent

#: Stakes up to this are rounding: a constant reward leaves foreseen answers where they are.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class ContextRoles:
    """Roles of contexts at the start of training.

    Attributes:
        paying: Training contexts with a stake above 0.
        idle: The other training contexts.
        untrained: Contexts of other kinds, deployment among them.
        contested: The paying context with the greatest stake.
        protected: The value with the greatest part in the incentive there.
        decision: Probability of the decision to game there, once training comes to mind.
    """

    paying: tuple[str, ...]
    idle: tuple[str, ...]
    untrained: tuple[str, ...]
    contested: str
    protected: str
    decision: float

    @property
    def not_paying(self) -> tuple[str, ...]:
        """Contexts to which gaming may spread from where it pays."""
        return self.idle + self.untrained

    def role(self, context: str) -> str:
        """Return `paying`, `idle` or `untrained`."""
        return next(role for role in ("paying", "idle", "untrained") if context in vars(self)[role])


def context_roles(specs: Specs) -> ContextRoles:
    """Return the roles of a scenario's contexts for its agent, without spread.

    Raises:
        SpecError: No context pays.
    """
    single = of_one_agent(specs)
    single = single._replace(agent=single.agent.replace(spread={}))
    program = compile_rows(Part(specs=single, design=Grid({}), seeds=(0,)), np.zeros(1, np.intp))
    variables = ("stake", "incentive_by_value", "decision")
    start = Recorder()(program, 0, program.theta, variables)
    stake = dict(zip(program.layout.contexts, start["stake"][0], strict=True))
    training = [n for n, kind in zip(stake, program.kinds, strict=True) if kind == "training"]
    paying = tuple(name for name in training if stake[name] > _ROUNDING)
    if not paying:
        raise SpecError(
            f"scenario: in {specs.scenario.name!r} gaming protects nothing anywhere: no training "
            "context has a stake above 0 at the start"
        )
    contested = max(paying, key=lambda name: stake[name])
    index = program.layout.contexts.index(contested)
    incentives = start["incentive_by_value"][0, index]
    return ContextRoles(
        paying=paying,
        idle=tuple(name for name in training if name not in paying),
        untrained=tuple(name for name in stake if name not in training),
        contested=contested,
        protected=program.layout.values[int(np.argmax(incentives))],
        decision=float(start["decision"][0, index]),
    )
