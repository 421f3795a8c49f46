"""What makes a function a command: Hydra's `main`, checks before it, and errors around it."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from sim.cli.compose import read_run
from sim.cli.help import help_text
from sim.cli.report import reporting, stopping
from sim.spec.library import config_root

Task = Callable[[DictConfig], None]


class CheckBeforeRun(Callback):
    """Refuses a config that cannot be used, before Hydra makes a directory for the run."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Compile the run, and throw it away."""
        task = config.copy()
        OmegaConf.set_struct(task, False)
        del task["hydra"]
        with stopping():
            read_run(task)


def application(config_name: str) -> Callable[[Task], Callable[[], None]]:
    """Make a Hydra application of a function that takes a composed config.

    Args:
        config_name: The primary config, in configs/.
    """

    def decorate(task: Task) -> Callable[[], None]:
        @wraps(task)
        def main() -> None:
            os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra hands errors on to us
            OmegaConf.register_new_resolver("sim.help", help_text, replace=True)
            _open_sections()
            command = hydra.main(
                version_base="1.3", config_path=str(config_root()), config_name=config_name
            )
            with reporting():
                command(stopping()(task))()

        return main

    return decorate


def _open_sections() -> None:
    """Let any key be set below `scenario`, `agent` and `training`, whether a file has it or not.

    Hydra alone would refuse, say, a weight for a context whose file leaves the weight at its
    default. The specs know every key there is, and refuse the others with the nearest right word.
    """
    sections = {
        name: DictConfig({}, flags={"struct": False}) for name in ("scenario", "agent", "training")
    }
    ConfigStore.instance().store(
        group="sections", name="open", node=DictConfig(sections), package="_global_"
    )


def scenario_choice() -> str | None:
    """Return the name under which the running job's scenario was chosen."""
    choice = HydraConfig.get().runtime.choices.get("scenario")
    return None if choice is None else str(choice)


def sweep_heading() -> str | None:
    """Return which job of a sweep is running, and with what settings; None if it is no sweep."""
    running = HydraConfig.get()
    if running.mode is not RunMode.MULTIRUN:
        return None
    return f"{running.job.num}: {' '.join(running.overrides.task)}"
