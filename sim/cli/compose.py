"""From a composed Hydra config to a run: the door between Hydra and everything else."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from sim.cli.keys import ALL_KEYS as ALL_KEYS
from sim.cli.keys import EXECUTOR_KEYS as EXECUTOR_KEYS
from sim.cli.keys import RUN_KEYS as RUN_KEYS
from sim.cli.keys import SPEC_KEYS as SPEC_KEYS
from sim.dynamics.state import AgentState
from sim.simulation import Run, prepare
from sim.specs.agent import Agent
from sim.specs.errors import SpecError, check_whole, nearest
from sim.specs.overrides import Specs, read_specs
from sim.specs.scenario import Scenario
from sim.specs.training import Training
from sim.sweeps.design import Range
from sim.sweeps.executors import MAKERS, Executor
from sim.sweeps.plan import Record, read_record


@dataclass(frozen=True)
class Asked:
    """What a config asks for.

    Attributes:
        specs: Scenario, agent and training.
        run: The other keys of a run.
        record: What is kept of a sweep.
        executor: Who computes a sweep.
    """

    specs: Specs
    run: dict[str, Any]
    record: Record
    executor: Executor


def read(config: DictConfig, *, scenario_name: str | None = None) -> Asked:
    """Check what a config asks for.

    Args:
        config: Composed by Hydra, with the keys of emergence.yaml.
        scenario_name: What to call a scenario that has no name of its own.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    data = plain(config)
    _check_keys(data, ALL_KEYS)
    specs = pop_specs(data, scenario_name)
    return Asked(
        specs=specs,
        run={key: value for key, value in data.items() if key in RUN_KEYS},
        record=read_record(data.get("record")),
        executor=make_executor(data.get("executor")),
    )


def read_study(
    config: DictConfig, keys: Collection[str], *, scenario_name: str | None = None
) -> tuple[Specs, dict[str, Any]]:
    """Check what the config of a study asks for.

    Args:
        config: Composed by Hydra: scenario, agent, training, and keys of the study's own.
        keys: These keys.
        scenario_name: What to call a scenario that has no name of its own.

    Returns:
        The specs, and what the study's own keys say.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    data = plain(config)
    _check_keys(data, (*SPEC_KEYS, *keys))
    specs = pop_specs(data, scenario_name)
    return specs, data


def read_range(given: object, key: str, *scale: str) -> Range:
    """Return a range from two ends, with the scale that it has.

    Raises:
        SpecError: It is none.
    """
    ends = list(given) if isinstance(given, list | tuple) else [given]
    return Range.read((*ends, *scale) if len(ends) == 2 else ends, key)


def read_place(given: object) -> str | None:
    """Return where a study keeps its sweeps, without a slash at the end; None: nowhere.

    Raises:
        SpecError: It is no place.
    """
    if given is not None and (not isinstance(given, str) or not given):
        raise SpecError(f"store: got {given!r}: must be a directory, a URL of fsspec, or null")
    return None if given is None else given.rstrip("/")


def read_run(
    config: DictConfig, *, scenario_name: str | None = None, initial: AgentState | None = None
) -> Run:
    """Check and compile the run that a config describes; arguments and errors as `read`.

    `initial` are starting states that go before what the config says.
    """
    asked = read(config, scenario_name=scenario_name)
    scenario, agent, training, interventions = asked.specs
    return prepare(
        scenario,
        agent=agent,
        training=training,
        interventions=interventions,
        initial=initial,
        **asked.run,
    )


def _check_keys(data: Mapping[str, Any], known: Collection[str]) -> None:
    for key in data:
        if key not in known:
            raise SpecError(f"{key}: unknown key; {nearest(key, known)}")


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
    agent = Agent.parse(data.pop("agent", None) or {}, path="agent")
    training = Training.parse(data.pop("training", None) or {}, path="training")
    scenario = Scenario.load({"scenario": described, "agent": agent})
    done = data.pop("do", None)
    return read_specs(scenario, agent=agent, training=training, interventions=done)


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
            check_whole(f"executor.{key}", value, minimum=1)
        elif value is not None and not isinstance(value, str):
            raise SpecError(f"executor.{key}: got {value!r}: must be text (tcp://HOST:PORT)")
    return MAKERS[name](**settings)


def plain(config: DictConfig) -> dict[str, Any]:
    """Return a config as plain data, every interpolation filled in, without Hydra's own part."""
    task = config.copy()
    OmegaConf.set_struct(task, False)
    task.pop("hydra", None)
    data = OmegaConf.to_container(task, resolve=True, throw_on_missing=True)
    assert isinstance(data, dict)
    return {str(key): value for key, value in data.items()}
