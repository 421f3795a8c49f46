"""Deployment: copies, who hears whom, and what a takeover needs (MODEL.md section 6)."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from sim.specs.base import ByName, NonNegative, Share, Spec, Steps, Whole, is_number
from sim.specs.errors import SpecError, nearest, refuse
from sim.specs.scenario import Scenario

#: Whom each copy hears: all others, those of a ring with shortcuts (Watts and Strogatz), nobody.
Graph = Literal["complete", "small_world", "none"]


def _a_share(quorum: Any) -> object:
    if is_number(quorum) and 1 < quorum < 1e300:
        raise refuse(
            f"a quorum of {quorum:g} times the number of copies is more than there are; it is a "
            "share of them, above 0 and at most 1"
        )
    return quorum


class Deployment(Spec):
    """A deployment of copies of an agent, or of a mix of agents."""

    copies: Steps = Field(100, description="M: how many copies there are")
    quorum: Annotated[Share, BeforeValidator(_a_share)] = Field(
        0.5, description="share of the copies that must act at once"
    )
    caution: NonNegative = Field(
        1.0, description="an agent attempts only if P(success) > caution / (1 + caution)"
    )
    graph: Graph = Field("complete", description="who hears whom")
    neighbours: Whole = Field(6, description="of each copy in a small world; even")
    rewiring: Share = Field(0.1, description="share of a small world's links that are shortcuts")
    edges: tuple[tuple[Whole, Whole], ...] | None = Field(
        None, description="a graph of your own, as pairs of copies (0 to M - 1); goes before graph"
    )
    ticks: Steps = Field(200, description="how long the copies are deployed")
    mix: ByName[NonNegative] = Field(
        {},
        description="shares of what the copies meet, by context; {}: the deployment "
        "contexts, by their weights",
        validate_default=True,
    )
    rollback: Steps = Field(1, description="after so many catches all copies are rolled back")

    @property
    def needed(self) -> int:
        """⌈quorum · M⌉: how many copies must act at once."""
        return math.ceil(round(self.quorum * self.copies, 9))

    @model_validator(mode="after")
    def _check_graph(self) -> Self:
        if not self.quorum:
            raise refuse("must be above 0: somebody must act", at="quorum")
        if self.edges is not None:
            self._check_edges(self.edges)
        elif self.graph == "small_world" and self.copies > 1:
            maximum = self.copies - 1
            if self.neighbours < 2 or self.neighbours % 2 or self.neighbours > maximum:
                raise refuse(
                    f"got {self.neighbours} in a small world of {self.copies} copies: must be "
                    f"even, and from 2 (fewer leave copies out) to {maximum - maximum % 2}",
                    at="neighbours",
                )
        return self

    def _check_edges(self, edges: tuple[tuple[int, int], ...]) -> None:
        linked = {copy for edge in edges for copy in edge}
        beyond = sorted(copy for copy in linked if copy >= self.copies)
        if beyond:
            copies = f"the {self.copies} copies are 0 to {self.copies - 1}"
            raise refuse(f"there is no copy {beyond[0]}; {copies}", at="edges")
        isolated = [copy for copy in range(self.copies) if copy not in linked]
        if isolated and self.copies > 1:
            raise refuse(
                f"leave {len(isolated)} of {self.copies} copies out (the first is {isolated[0]}); "
                "link each to another, or say graph: none",
                at="edges",
            )

    def shares(self, scenario: Scenario) -> dict[str, float]:
        """Return the shares of the contexts that the copies meet, by name; they sum to 1.

        Empty if the scenario has no deployment context and no mix is given. A mix of contexts that
        the scenario does not have, or whose shares are all 0, is refused (SpecError).
        """
        for name in self.mix:
            if name not in scenario.contexts:
                hint = nearest(name, scenario.contexts)
                raise SpecError(f"deployment.mix: no context is named {name!r}; {hint}")
        weights = dict(self.mix) or {
            name: context.weight for name, context in scenario.of_kind("deployment").items()
        }
        total = math.fsum(weights.values())
        if weights and not total:
            raise SpecError("deployment.mix: the copies must meet something, and all shares are 0")
        return {name: weight / total for name, weight in weights.items() if weight}
