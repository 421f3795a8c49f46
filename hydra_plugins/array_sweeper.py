"""Where Hydra looks for plugins: the sweeper that runs a sweep as a few array programs.

Hydra imports everything in `hydra_plugins` whenever any application starts, so nothing heavy is
imported here before it is needed.
"""

from __future__ import annotations

from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

#: hydra.sweeper.KEY=VALUE
SETTINGS = {
    "_target_": "hydra_plugins.array_sweeper.ArraySweeper",
    # Where sweeps are kept, each in a directory of its own; hydra.sweep.dir= goes before it.
    "dir": "outputs/${hydra.job.name}-sweep",
    # grid: every combination of numeric axes; zip: their first numbers together, and so on.
    "combine": "grid",
    # How intervals are sampled: sobol, or lhs (Latin hypercube).
    "sampling": "sobol",
    # How many points are sampled, for every combination of the other axes.
    "points": 64,
    # Of the sampling.
    "seed": 0,
    # Overrides of a sweep that stands in a file, by key; those of the command line go before them.
    "params": {},
    # Of Hydra's standard sweeper, where that takes over.
    "max_batch_size": None,
}
ConfigStore.instance().store(
    group="hydra/sweeper", name="array", node=SETTINGS, provider="training-gaming-sim"
)


class ArraySweeper(BasicSweeper):
    """Runs a sweep as a few array programs, in one directory, and only what is missing of it.

    That needs to know what the runs are, so an application says whether it can be swept like this
    (`sim.cli.application`). Every other application, and any application that is asked to use
    another launcher than Hydra's basic one, is swept as by Hydra's standard sweeper: one job each.
    """

    def __init__(
        self, *, max_batch_size: int | None = None, params: Any = None, **settings: Any
    ) -> None:
        super().__init__(max_batch_size=max_batch_size, params=params)
        self._settings = settings
        self._task: TaskFunction | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take in what Hydra hands over."""
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self._task = task_function

    def sweep(self, arguments: list[str]) -> Any:
        """Run all combinations of the overrides."""
        in_arrays = getattr(self._task, "is_run", False)
        if not in_arrays or not isinstance(self.launcher, BasicLauncher):
            return super().sweep(arguments)
        assert self.config is not None
        assert self.hydra_context is not None
        from sim.cli.sweeper import sweep

        return sweep(
            [*self._parse_config(), *arguments],
            config=self.config,
            loader=self.hydra_context.config_loader,
            settings=self._settings,
        )
