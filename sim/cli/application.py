"""What makes a function a command: Hydra's `main`, checks before it, and errors around it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import update_wrapper, wraps
from pathlib import Path
from typing import Any, ClassVar

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from sim.cli.errors import reporting, stopping
from sim.cli.keys import AFTER_KEYS, ALL_KEYS, CONFIGS, SPEC_KEYS
from sim.specs.library import config_root

#: The flags that ask for help.
HELP = {"--help", "-h"}

Task = Callable[[DictConfig], None]
Check = Callable[[DictConfig], object]


class CheckBeforeRun(Callback):
    """Refuses a config that cannot be used, before Hydra makes a directory for the run."""

    #: The check of the application that is running.
    check: ClassVar[Check]

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check, and throw away what comes out."""
        with stopping():
            CheckBeforeRun.check(config)


class Job:
    """A task as Hydra calls it.

    In the process of the command, an error that a user can mend stops the command at once. In a
    process that a launcher started (joblib, submitit), it is left to Hydra, which brings it here.

    Attributes:
        is_run: Whether the task is a run, of which the array sweeper can make many at once.
    """

    def __init__(self, task: Task, *, is_run: bool) -> None:
        update_wrapper(self, task)
        self.is_run = is_run
        self._task = task
        self._process = os.getpid()

    def __call__(self, config: DictConfig) -> None:
        """Do the task."""
        if os.getpid() != self._process:
            return self._task(config)
        with stopping():
            return self._task(config)


def application(
    config_name: str,
    *,
    check: Check | None = None,
    keys: Sequence[str] = ALL_KEYS,
    help_text: Callable[[str], str] | None = None,
    is_run: bool = False,
) -> Callable[[Task], Callable[[], None]]:
    """Make a Hydra application of a function that takes a composed config.

    Args:
        config_name: The primary config, in this package or in configs/.
        check: Raises a `SpecError` where a config cannot be used; None: it is that of a run.
        keys: What can be set.
        help_text: Makes what --help prints, of the application's name; None: that of a run.
        is_run: Whether it is swept as a few array programs.
    """

    def decorate(task: Task) -> Callable[[], None]:
        @wraps(task)
        def main() -> None:
            here = (CONFIGS / f"{config_name}.yaml").exists()
            launch(
                task,
                config_dir=CONFIGS if here else config_root(),
                config_name=config_name,
                check=check or _check_run,
                keys=keys,
                help_text=help_text or _run_help,
                is_run=is_run,
            )

        return main

    return decorate


def _check_run(config: DictConfig) -> object:
    from sim.cli.compose import read_run

    return read_run(config)


def _run_help(job: str) -> str:
    from sim.cli.help import run_help

    return run_help(job)


def launch(
    task: Task,
    *,
    config_dir: Path,
    config_name: str,
    check: Check,
    keys: Sequence[str],
    help_text: Callable[[str], str],
    is_run: bool = False,
) -> None:
    """Start a Hydra application on the command line of this process.

    Args:
        task: Takes a composed config. Hydra names the job after its `__module__`.
        config_dir: Where the primary config is; groups are found in configs/ as well.
        config_name: Its name, without `.yaml`.
        check: Raises a `SpecError` where a config cannot be used.
        keys: What can be set.
        help_text: Makes what --help prints, of the job's name.
        is_run: Whether the array sweeper can make many of these jobs at once.
    """
    if HELP & set(sys.argv[1:]):  # Hydra would first list every group there is, for a second
        with reporting(keys):
            name = task.__module__.rpartition(".")[2]
            print(help_text(Path(sys.argv[0]).stem if name == "__main__" else name), flush=True)
        return
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra hands errors on to us
    _open_sections()
    CheckBeforeRun.check = staticmethod(check)
    command = hydra.main(version_base="1.3", config_path=str(config_dir), config_name=config_name)
    with reporting(keys):
        command(Job(task, is_run=is_run))()


def _open_sections() -> None:
    """Let any key be set below a spec, whether a file has it or not.

    Hydra alone would refuse, say, a weight for a context whose file leaves the weight at its
    default. The specs know every key there is, and refuse the others with the nearest right word.
    """
    for option, names in (("open", SPEC_KEYS), ("open_after", (*SPEC_KEYS, *AFTER_KEYS))):
        sections = {name: DictConfig({}, flags={"struct": False}) for name in names}
        ConfigStore.instance().store(
            group="sections", name=option, node=DictConfig(sections), package="_global_"
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
