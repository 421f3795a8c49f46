"""The main command: from a scenario to emergence curves.

    training-gaming emergence scenario=copyright agent.initial.awareness=-1 agents=64 seed=0

writes summary.json, result.nc, provenance.json and the figure into the run's directory.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from sim.cli.application import launch
from sim.cli.help import run_help
from sim.cli.keys import ALL_KEYS, CONFIGS, scenario_choice

if TYPE_CHECKING:
    from sim.result import Result
    from sim.simulation import Run
    from sim.utils.progress import Progress

#: A situational awareness (a logit) at which training does not come to mind in any context.
UNAWARE = -40.0


def main() -> None:
    """Run the command."""
    with without_dask():
        launch(
            run_scenario,
            config=CONFIGS / "emergence.yaml",
            check=check_run,
            keys=ALL_KEYS,
            help_text=run_help,
            is_run=True,
        )


@contextmanager
def without_dask() -> Iterator[None]:
    """Keep xarray from importing Dask where it is installed, if this command makes one run.

    No array of a run is Dask's, and the import takes almost a second. xarray looks for it when it
    is itself imported.
    """
    is_single = not {"-m", "--multirun"} & set(sys.argv)
    is_local = not any(argument.startswith("executor") for argument in sys.argv)
    modules: dict[str, Any] = sys.modules
    if {"dask", "xarray"} & set(modules) or not (is_single and is_local):
        yield
        return
    modules["dask"] = None  # Python's way to say that a module cannot be imported
    try:
        yield
    finally:
        if modules.get("dask", ...) is None:  # a sweep that a file asks for has imported it
            del modules["dask"]


def check_run(config: DictConfig) -> None:
    """Refuse the config of a run that cannot be made."""
    from sim.cli.compose import read_run

    read_run(config)


def record_values(run: Run, progress: Progress) -> Result:
    """Compute a run and keep nothing but its values, which is four times as fast."""
    import numpy as np
    import xarray as xr

    from sim.dynamics.loop import records
    from sim.dynamics.observe import VARIABLES
    from sim.result import Result
    from sim.utils.progress import count_progress

    count = count_progress(progress, run.program.agents * run.program.steps)
    history = records(run.engine, run.program, run.steps, names=("values",), progress=count)
    values = np.array([record.observed["values"] for record in history])
    names = {"value": list(run.program.layout.values)}
    data = xr.Dataset({"values": (VARIABLES["values"].dims, values)}, coords=names)
    return Result(data, run.specs)


def run_scenario(config: DictConfig) -> None:
    """Run one scenario and show when and where gaming emerged."""
    from hydra.core.hydra_config import HydraConfig

    from sim.analysis.summary import summarise
    from sim.cli.compose import read_run
    from sim.cli.console import err, out, prepare_engine, progress_bar, show_heading
    from sim.cli.outputs import write_figure, write_json
    from sim.cli.tables import emergence_table
    from sim.dynamics.state import AgentState
    from sim.plots.emergence import emergence
    from sim.utils.format import count_of

    run = read_run(config, scenario_name=scenario_choice(HydraConfig.get()))
    never_aware = read_run(config, initial=AgentState(awareness=UNAWARE))
    directory = Path(HydraConfig.get().runtime.output_dir)
    show_heading()
    prepare_engine(run.engine, run.program)
    with progress_bar(f"{run.name}: {count_of(run.program.agents, 'agent')}") as progress:
        result = run.execute(progress=progress)
    with progress_bar("the same, had training never come to mind") as progress:
        unaware = record_values(never_aware, progress)
    summary = summarise(result)
    result.save(directory / "result.nc")
    write_json(directory / "provenance.json", result.provenance)
    write_json(directory / "summary.json", summary)
    figures = write_figure(directory / "emergence", emergence(result, unaware=unaware))
    out.print(emergence_table(summary))
    err.print(f"numbers and data: {directory}", style="dim", soft_wrap=True)
    out.print(f"figure: {figures[0]}", soft_wrap=True)
