"""The specs of a run, as a user gives them and as dotted keys change them.

Overrides are the form that sweeps, interventions and `mesa.batch_run` need.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from sim.specs.agent import Agent
from sim.specs.errors import SpecError
from sim.specs.intervention import Intervention, Interventions, read_interventions
from sim.specs.keys import check_keys, nest, override, override_spec
from sim.specs.library import read_data, resolve
from sim.specs.scenario import STORY, Scenario
from sim.specs.training import Training


class Specs(NamedTuple):
    """The specs of a run; what a user leaves unsaid of agent and training is the scenario's own."""

    scenario: Scenario
    agent: Agent
    training: Training
    interventions: tuple[Intervention, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return the specs as plain data, for provenances."""
        return {
            "scenario": self.scenario.model_dump(mode="json", exclude=set(STORY)),
            "agent": self.agent.model_dump(mode="json"),
            "training": self.training.model_dump(mode="json"),
            "interventions": [each.model_dump(mode="json") for each in self.interventions],
        }


def read_specs(
    scenario: Scenario | str | Mapping[str, object],
    *,
    agent: Agent | str | Mapping[str, object] | None = None,
    training: Training | Mapping[str, object] | None = None,
    interventions: Interventions | None = None,
) -> Specs:
    """Return validated specs from specs or plain data; scenario and agent may be names or paths."""
    scenario = scenario if isinstance(scenario, Scenario) else Scenario.load(scenario)
    data = read_data("agent", resolve("agent", agent)) if isinstance(agent, str) else agent
    agent = Agent.parse({} if data is None else data, path="agent")
    training = Training.parse({} if training is None else training, path="training")
    listed = read_interventions(interventions)
    agent = agent.completed_by(scenario.agent)
    specs = Specs(scenario, agent, training.completed_by(scenario.training), listed)
    _check_interventions(specs)
    return specs


@cache
def population() -> Agent:
    """Return the agent of which every run's agents are variants, where nothing else is said."""
    return Agent.parse(read_data("agent", resolve("agent", "population")), path="agent")


def as_population(specs: Specs) -> Specs:
    """Return specs whose agents differ as those of the command do, where they do not say how."""
    return specs._replace(agent=specs.agent.completed_by(population()))


def apply_overrides(specs: Specs, overrides: Mapping[str, object]) -> Specs:
    """Return specs in which the values of overrides are set, and everything is checked again.

    Overrides change what is there: they add no context, no response and no phase. A mapping changes
    the keys that it names; where one number stands for many, a value for one of them leaves the
    others as they were. The agent is `agent`, never `scenario.agent`. A key that does not exist, is
    given twice, or whose value is not allowed, is refused (SpecError).
    """
    tree = nest(overrides)
    check_keys(tree, allowed=Specs._fields, path=())
    # First the scenario: it has the names by which agents have their values and habits.
    scenario = override_spec(specs.scenario, tree, "scenario", specs.scenario)
    interventions = specs.interventions
    if "interventions" in tree:
        path = ("interventions",)
        items = override(interventions, tree["interventions"], path, scenario)
        interventions = read_interventions(items)  # type: ignore[arg-type]  # it checks this
    overridden = Specs(
        scenario=scenario,
        agent=override_spec(specs.agent, tree, "agent", scenario),
        training=override_spec(specs.training, tree, "training", scenario),
        interventions=interventions,
    )
    _check_interventions(overridden)
    return overridden


def _check_interventions(specs: Specs) -> None:
    """Refuse interventions on what is not there; numbers are checked where they are compiled."""
    for index, intervention in enumerate(specs.interventions):
        intervention.names(specs.scenario)
        if intervention.start >= specs.training.steps:
            raise SpecError(
                f"interventions[{index}].start: got {intervention.start}: training has "
                f"{specs.training.steps} steps"
            )
