"""What the configs of all commands share: their keys, and how a config becomes plain data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.conf import HydraConf
from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from sim.specs.errors import SpecError, nearest
from sim.specs.library import read_yaml

#: The folder of the primary configs (emergence.yaml, curves.yaml), and of what all share.
CONFIGS = Path(__file__).parent

#: The keys of specs, which runs and studies share ...
SPEC_KEYS = ("scenario", "agent", "training")
#: ... of a run, as in emergence.yaml (`do` are interventions) ...
RUN_KEYS = (*SPEC_KEYS, "do", "agents", "seed", "record_every", "engine", "precision")
#: ... of a sweep, which a single run does without ...
SWEEP_KEYS = ("record", "executor")
ALL_KEYS = (*RUN_KEYS, *SWEEP_KEYS)
#: ... and of what comes after training.
AFTER_KEYS = ("oversight", "deployment", "thresholds")
#: Below this, every whole number is one of the numbers of 64 bits.
EXACT = 2**53
#: The options of each executor (configs/executor), besides its name.
EXECUTOR_KEYS = {"local": ("threads",), "dask": ("address", "workers")}


def plain(config: DictConfig) -> dict[str, Any]:
    """Return a config as plain data, every interpolation filled in, without Hydra's own part."""
    task = config.copy()
    OmegaConf.set_struct(task, False)
    task.pop("hydra", None)
    data = OmegaConf.to_container(task, resolve=True, throw_on_missing=True)
    assert isinstance(data, dict)
    written = OmegaConf.to_container(task, resolve=False)
    assert isinstance(written, dict)
    return {str(key): _numbers(value, written.get(key)) for key, value in data.items()}


def _numbers(value: Any, written: Any) -> Any:
    """Return data with the numbers that it means: 1000 for 1e3, and for an environment's text."""
    if isinstance(value, dict):
        below = written if isinstance(written, dict) else {}
        return {key: _numbers(part, below.get(key)) for key, part in value.items()}
    if isinstance(value, list):
        parts = written if isinstance(written, list) else [None] * len(value)
        return [_numbers(part, below) for part, below in zip(value, parts, strict=True)]
    if isinstance(value, str) and isinstance(written, str) and written.startswith("${oc.env:"):
        with suppress(ValueError):
            value = float(value) if set(value) & set(".eE") else int(value)
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < EXACT
    return int(value) if is_whole else value


def check_keys(data: Mapping[str, Any], allowed: Collection[str], config: Path) -> None:
    """Refuse a key that is not allowed, and one that was deleted (`~key`).

    Raises:
        SpecError: There is one; the line has the nearest that is, or its default in the config.
    """
    for key in data:
        if key not in allowed:
            raise SpecError(f"{key}: unknown key; {nearest(key, allowed)}")
    for key in allowed:
        if key not in data:
            default = read_yaml(config).get(key)
            hint = "" if default is None or isinstance(default, dict) else f", {default}"
            raise SpecError(f"{key}: is missing; without ~{key} it has its default{hint}")


def sweeper_settings() -> list[str]:
    """Return the settings of the array sweeper, as Hydra's plugin has stored them."""
    return list(ConfigStore.instance().load("hydra/sweeper/array.yaml").node)


def scenario_choice(hydra: HydraConf) -> str | None:
    """Return the name under which a scenario was chosen, from Hydra's part of a config."""
    choice = hydra.runtime.choices.get("scenario")
    return None if choice is None else str(choice)
