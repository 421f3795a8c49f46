"""The main job: from a scenario to emergence curves.

    python experiments/emergence.py scenario=copyright agent.initial.awareness=-1 agents=64 seed=0

writes summary.json, result.nc, provenance.json and the figure into the run's directory.
"""

from __future__ import annotations

from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from sim.analysis.summary import summarise
from sim.cli.application import application, scenario_choice, sweep_heading
from sim.cli.compose import read_run
from sim.cli.console import err, out, prepare_engine, progress_bar
from sim.cli.outputs import write_figure, write_json
from sim.cli.tables import emergence_table
from sim.dynamics.state import AgentState
from sim.plots.emergence import emergence

#: A situational awareness (a logit) at which training does not come to mind in any context.
UNAWARE = -40.0


@application("emergence")
def main(config: DictConfig) -> None:
    """Run one scenario and show when and where gaming emerged."""
    run = read_run(config, scenario_name=scenario_choice())
    never_aware = read_run(config, initial=AgentState(awareness=UNAWARE))
    directory = Path(HydraConfig.get().runtime.output_dir)
    heading = sweep_heading()
    if heading is not None:
        out.rule(heading, align="left")
    prepare_engine(run.engine, run.program)
    with progress_bar(f"{run.name}: {run.program.agents} agents") as progress:
        result = run.execute(progress=progress)
    with progress_bar("the same, had training never come to mind") as progress:
        unaware = never_aware.execute(progress=progress)
    summary = summarise(result)
    result.save(directory / "result.nc")
    write_json(directory / "provenance.json", result.provenance)
    write_json(directory / "summary.json", summary)
    written = write_figure(directory / "emergence", emergence(result, unaware=unaware))
    out.print(emergence_table(summary))
    err.print(f"[dim]numbers and data: {directory}[/dim]", soft_wrap=True)
    out.print(f"figure: {written[0]}", soft_wrap=True)


if __name__ == "__main__":
    main()
