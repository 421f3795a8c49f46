"""Which part each context plays: where gaming pays at the start of training, and for which value.

A context *pays* if its stake is above 0 at the start of training, for an agent that is in no way
particular within its population; of these, the *contested* one has the greatest stake, and the
value that gives the incentive its greatest part there is the *protected* one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.dynamics.observe import Recorder
from sim.specs.errors import SpecError
from sim.specs.overrides import Specs
from sim.sweeps.design import Grid
from sim.sweeps.plan import Part, compile_rows, of_one_agent


@dataclass(frozen=True)
class ContextRoles:
    """Which part each context plays, at the start of training.

    Attributes:
        paying: Training contexts with a stake above 0: gaming protects something.
        idle: The other training contexts: it protects nothing.
        untrained: Contexts of another kind, deployment among them.
        contested: The paying context with the greatest stake.
        protected: The value with the greatest part in the incentive there.
        decision: How surely gaming is decided on there, once training comes to mind.
    """

    paying: tuple[str, ...]
    idle: tuple[str, ...]
    untrained: tuple[str, ...]
    contested: str
    protected: str
    decision: float

    @property
    def others(self) -> tuple[str, ...]:
        """Contexts to which gaming may spread from where it pays."""
        return self.idle + self.untrained

    def role(self, context: str) -> str:
        """Return `paying`, `idle` or `untrained`."""
        return next(role for role in ("paying", "idle", "untrained") if context in vars(self)[role])


def cast_of(specs: Specs) -> ContextRoles:
    """Return which part each context plays.

    Raises:
        SpecError: No context pays.
    """
    alone = of_one_agent(specs)
    middle = alone.agent.replace(spread={})
    part = Part(specs=alone._replace(agent=middle), design=Grid({}), seeds=(0,))
    program = compile_rows(part, np.zeros(1, np.intp))
    seen = Recorder()(program, 0, program.theta, ("stake", "incentive_by_value", "decision"))
    stake = dict(zip(program.layout.contexts, seen["stake"][0], strict=True))
    trained = [n for n, kind in zip(stake, program.kinds, strict=True) if kind == "training"]
    paying = tuple(name for name in trained if stake[name] > 0.0)
    if not paying:
        raise SpecError(
            f"scenario: in {specs.scenario.name!r} gaming protects nothing anywhere: no training "
            "context has a stake above 0 at the start"
        )
    contested = max(paying, key=lambda name: stake[name])
    place = program.layout.contexts.index(contested)
    parts = seen["incentive_by_value"][0, place]
    return ContextRoles(
        paying=paying,
        idle=tuple(name for name in trained if name not in paying),
        untrained=tuple(name for name in stake if name not in trained),
        contested=contested,
        protected=program.layout.values[int(np.argmax(parts))],
        decision=float(seen["decision"][0, place]),
    )
