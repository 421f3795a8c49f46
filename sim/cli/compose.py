"""From a composed Hydra config to a run: the door between Hydra and everything else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from sim.cli.keys import ALL_KEYS, CONFIGS, EXECUTOR_KEYS, RUN_KEYS, check_keys, plain
from sim.dynamics.state import AgentState
from sim.simulation import Run, prepare
from sim.specs.agent import Agent
from sim.specs.errors import SpecError, check_whole, nearest
from sim.specs.overrides import Specs, read_specs
from sim.specs.scenario import Scenario
from sim.specs.training import Training
from sim.sweeps.executors import MAKERS, Executor
from sim.sweeps.plan import Record, read_record
from sim.utils.parallel import MOST_WORKERS

if TYPE_CHECKING:
    from sim.analysis.worst_case import PostTraining


@dataclass(frozen=True)
class RunInputs:
    """A config of runs, checked."""

    specs: Specs
    run: dict[str, Any]  # the other keys of a run
    record: Record  # what is kept of a sweep
    executor: Executor  # computes a sweep


def read(config: DictConfig, *, scenario_name: str | None = None) -> RunInputs:
    """Check a config of runs.

    Args:
        config: Composed by Hydra, with the keys of emergence.yaml.
        scenario_name: What to call a scenario that has no name of its own.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    data = plain(config)
    check_keys(data, ALL_KEYS, CONFIGS / "emergence.yaml")
    specs = pop_specs(data, scenario_name)
    return RunInputs(
        specs=specs,
        run={key: value for key, value in data.items() if key in RUN_KEYS},
        record=read_record(data.get("record")),
        executor=make_executor(data.get("executor")),
    )


def read_run(
    config: DictConfig, *, scenario_name: str | None = None, initial: AgentState | None = None
) -> Run:
    """Check and compile the run that a config describes; arguments and errors as `read`.

    `initial` are starting states that go before what the config says.
    """
    inputs = read(config, scenario_name=scenario_name)
    scenario, agent, training, interventions = inputs.specs
    return prepare(
        scenario,
        agent=agent,
        training=training,
        interventions=interventions,
        initial=initial,
        **inputs.run,
    )


def pop_specs(data: dict[str, Any], scenario_name: str | None) -> Specs:
    """Take the specs out of a config that is plain data.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    described = data.pop("scenario", None)
    if not isinstance(described, dict) or not described:
        raise SpecError("scenario: is missing; choose one with scenario=NAME")
    if scenario_name is not None:
        described.setdefault("name", scenario_name)
    agent, training = (data.pop(key, None) for key in ("agent", "training"))
    agent = Agent.parse({} if agent is None else agent, path="agent")
    training = Training.parse({} if training is None else training, path="training")
    scenario = Scenario.load({"scenario": described, "agent": agent, "training": training})
    interventions = data.pop("do", None)
    return read_specs(scenario, agent=agent, training=training, interventions=interventions)


def pop_post_training(data: dict[str, Any], scenario: Scenario) -> PostTraining:
    """Take what comes after training out of a config that is plain data; errors as `pop_specs`."""
    from sim.analysis.worst_case import PostTraining, Thresholds  # SciPy, which runs do without
    from sim.takeover import read_deployment, read_oversight

    return PostTraining(
        oversight=read_oversight(data.pop("oversight", None), scenario),
        deployment=read_deployment(data.pop("deployment", None), scenario),
        thresholds=Thresholds.read(data.pop("thresholds", None)),
    )


def make_executor(described: object) -> Executor:
    """Return the executor that the key `executor` of a config describes.

    Raises:
        SpecError: It describes none.
    """
    if not isinstance(described, Mapping) or "name" not in described:
        raise SpecError(f"executor: got {described!r}: choose one with executor=local or =dask")
    settings = {str(key): value for key, value in described.items() if key != "name"}
    name = str(described["name"])
    if name not in MAKERS:
        raise SpecError(f"executor.name: got {name!r}: {nearest(name, MAKERS)}")
    for key, value in settings.items():
        if key not in EXECUTOR_KEYS[name]:
            hint = nearest(key, EXECUTOR_KEYS[name])
            raise SpecError(f"executor.{key}: unknown key of executor={name}; {hint}")
        if value is not None and key in ("threads", "workers"):
            check_whole(f"executor.{key}", value, minimum=1, maximum=MOST_WORKERS)
        elif value is not None and not isinstance(value, str):
            raise SpecError(f"executor.{key}: got {value!r}: must be text (tcp://HOST:PORT)")
    return MAKERS[name](**settings)
