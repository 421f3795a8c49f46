"""What makes a function a command: Hydra's `main`, checks before it, and errors around it."""

from __future__ import annotations

import atexit
import gc
import os
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import update_wrapper
from pathlib import Path
from typing import Any, ClassVar

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from sim.cli.errors import reporting, stopping
from sim.cli.keys import AFTER_KEYS, SPEC_KEYS
from sim.specs.agent import Initial
from sim.specs.errors import SpecError
from sim.utils.parallel import raise_on_ctrl_c

#: The flags that ask for help.
HELP = {"--help", "-h"}

#: The sweeper and the launcher that make one array program of many runs.
_OF_ARRAYS = ["ArraySweeper", "BasicLauncher"]

Task = Callable[[DictConfig], None]
Check = Callable[[DictConfig], object]


class CheckBeforeRun(Callback):
    """Refuses a config that cannot be used, before Hydra makes a directory for the run."""

    #: The check of the application that is running, and whether that is a run (`Job`).
    check: ClassVar[Check]
    is_run: ClassVar[bool] = False

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check, and throw away what comes out."""
        with stopping():
            CheckBeforeRun.check(config)
        _expand_home(config, "run")

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """See to it that all jobs agree on where they are kept."""
        _expand_home(config, "sweep")
        parts = (config.hydra.sweeper._target_, config.hydra.launcher._target_)
        if not (self.is_run and [part.split(".")[-1] for part in parts] == _OF_ARRAYS):
            with stopping():
                _check_mappings(config.hydra.overrides.task)


def _check_mappings(overrides: Sequence[str]) -> None:
    """Refuse a mapping for a key that was given before: Hydra's sweeper forgets the earlier one."""
    earlier_keys: set[str] = set()
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key, value = override.get_key_element(), override.value()
        levels = value.list if isinstance(value, ChoiceSweep) else [value]
        if key in earlier_keys and any(isinstance(level, dict) for level in levels):
            raise SpecError(
                f"{key}: got two mappings: must be one, in a sweep of a job for each run"
            )
        earlier_keys.add(key)


def _expand_home(config: DictConfig, mode: str) -> None:
    """Take `~` in the directory of a run, or of a sweep and its jobs, for the user's home."""
    node = config.hydra[mode]
    if str(node.dir).startswith("~"):
        node.dir = str(Path(node.dir).expanduser())
        escaped = node.dir.replace("\\", "\\\\").replace("'", "\\'")
        config.hydra.overrides.hydra.append(f"hydra.{mode}.dir='{escaped}'")


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
        raise_on_ctrl_c()
        with stopping():
            return self._task(config)


def launch(
    task: Task,
    *,
    config: Path,
    check: Check,
    keys: Sequence[str],
    help_text: Callable[[], str],
    is_run: bool = False,
) -> None:
    """Start a Hydra application on the command line of this process.

    Args:
        task: Takes a composed config. Hydra names the job after its `__module__`.
        config: The file of the primary config; groups are found in configs/ as well.
        check: Raises a `SpecError` where a config cannot be used.
        keys: What can be set.
        help_text: Makes what --help prints.
        is_run: Whether the array sweeper can make many of these jobs at once.
    """
    if HELP & set(sys.argv[1:]):  # Hydra would first list every group there is, for a second
        with reporting(keys):
            print(help_text(), flush=True)
        return
    with reporting(keys):
        for argument in sys.argv[1:]:
            _check_dashes(argument, keys)
    sys.argv[1:] = [_with_initial(argument) for argument in sys.argv[1:]]
    collect_rarely()
    os.environ["MPLBACKEND"] = "agg"  # figures are files
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra hands errors on to us
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    open_sections()
    CheckBeforeRun.is_run = is_run
    CheckBeforeRun.check = staticmethod(check)
    place = {"config_path": str(config.parent), "config_name": config.stem}
    command = hydra.main(version_base="1.3", **place)
    with reporting(keys):
        command(Job(task, is_run=is_run))()


def _check_dashes(argument: str, keys: Sequence[str]) -> None:
    """Refuse a setting that is written as a flag (SpecError), for which Hydra prints its usage."""
    setting = argument.lstrip("-")
    if argument.startswith("--") and re.split(r"[.=]", setting)[0] in keys:
        raise SpecError(f"{argument}: settings have no dashes: {setting.split('=')[0]}=VALUE")


def _with_initial(argument: str) -> str:
    """Put in the `initial` that a key of the agent may leave out."""
    names = "|".join(Initial.model_fields)
    return re.sub(rf"^([+~]*agent(?:\.spread)?)\.(?=(?:{names})\b)", r"\1.initial.", argument)


def collect_rarely() -> None:
    """Have Python look for cyclic garbage seldom, and not at its end: a quarter of a short command.

    Most objects of a command come with its imports, and stay. At the end, the memory is given back
    in any case; only DuckDB, if it is loaded, reports what is not collected, as leaks.
    """
    gc.set_threshold(50_000, 5, 2)
    atexit.register(lambda: None if "duckdb" in sys.modules else gc.freeze())


def open_sections() -> None:
    """Let any key be set below a spec, whether a file has it or not.

    Hydra alone would refuse, say, a weight for a context whose file leaves the weight at its
    default. The specs know every key there is, and refuse the others with the nearest right word.
    """
    for option, names in (("open", SPEC_KEYS), ("open_after", (*SPEC_KEYS, *AFTER_KEYS))):
        sections = {name: DictConfig({}, flags={"struct": False}) for name in names}
        ConfigStore.instance().store(
            group="sections", name=option, node=DictConfig(sections), package="_global_"
        )
