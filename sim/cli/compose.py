"""From a composed Hydra config to a run: the door between Hydra and everything else."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf

from sim.dynamics.state import AgentState
from sim.run import Run, prepare
from sim.spec.agent import Agent
from sim.spec.errors import SpecError, nearest
from sim.spec.scenario import Scenario
from sim.spec.training import Training

#: The keys of a run, as in configs/emergence.yaml.
RUN_KEYS = ("scenario", "agent", "training", "agents", "seed", "record_every", "engine")


def plain(config: DictConfig) -> dict[str, Any]:
    """Return a config as plain data, every interpolation filled in."""
    data = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(data, dict)
    return {str(key): value for key, value in data.items() if key != "hydra"}


def read_run(
    config: DictConfig, *, scenario_name: str | None = None, initial: AgentState | None = None
) -> Run:
    """Check and compile the run that a config describes.

    Args:
        config: Composed by Hydra, with the keys of configs/emergence.yaml.
        scenario_name: What to call a scenario that has no name of its own.
        initial: Starting states that go before what the config says.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    data = plain(config)
    for key in data:
        if key not in RUN_KEYS:
            raise SpecError(f"{key}: unknown key; {nearest(key, RUN_KEYS)}")
    described = data.pop("scenario", None)
    if not isinstance(described, dict) or not described:
        raise SpecError("scenario: is missing; choose one with scenario=NAME")
    if scenario_name is not None:
        described.setdefault("name", scenario_name)
    agent = Agent.parse(data.pop("agent", None) or {}, path="agent")
    training = Training.parse(data.pop("training", None) or {}, path="training")
    scenario = Scenario.load({"scenario": described, "agent": agent})
    return prepare(scenario, agent=agent, training=training, initial=initial, **data)
