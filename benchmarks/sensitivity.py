"""What the study of sensitivity costs: Sobol indices of 14 assumptions, by part and in all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from rich.table import Column, Table

from experiments.sensitivity import study
from experiments.sensitivity.outcomes import outcomes_of, plan_of, read_assumptions
from sim.analysis.sensitivity import analyse, convergence, sobol_sample
from sim.analysis.worst_case import PostTraining, Thresholds
from sim.specs.library import read_yaml
from sim.specs.overrides import read_specs
from sim.sweeps.sweep import run_plan
from sim.takeover import read_deployment, read_oversight
from sweeps import Cost, cost_of

POINTS, ASSUMPTIONS = 1024, 14
CONFIG = read_yaml(Path(study.__file__).with_name("config.yaml"))
#: The last of the list are left out, so that so many stay.
LEFT_OUT = tuple(CONFIG["assumptions"])[ASSUMPTIONS:]


@dataclass(frozen=True)
class Sensitivity:
    """The costs.

    Attributes:
        runs: How many there are.
        parts: Seconds on the wall, by part of the work.
        command: All of it, from the command line.
    """

    runs: int
    parts: dict[str, float]
    command: Cost


def measure(folder: Path) -> Sensitivity:
    """Run the command, and its parts by themselves, once each; nothing is kept from before."""
    without = ", ".join(f"{key}: null" for key in LEFT_OUT)
    command = cost_of(
        folder,
        "method=[sobol]",
        f"points={POINTS}",
        f"++assumptions={{{without}}}",
        "store=null",
        name="sensitivity",
    )
    runs, parts = in_parts()
    return Sensitivity(runs, parts, command)


def in_parts() -> tuple[int, dict[str, float]]:
    """Return how many runs there are, and the seconds of each part of the work."""
    specs = read_specs("lab_to_deployment", agent=CONFIG["agent"])
    after = PostTraining(
        oversight=read_oversight(None, specs.scenario),
        deployment=read_deployment(None, specs.scenario),
        thresholds=Thresholds(),
    )
    ranges = {
        key: CONFIG["assumptions"][key] for key in CONFIG["assumptions"] if key not in LEFT_OUT
    }
    assumptions = read_assumptions(ranges, specs)
    times = [perf_counter()]
    sample = sobol_sample(list(assumptions), points=POINTS)
    plan = plan_of(sample, assumptions, specs, seed=0, engine="auto")
    times.append(perf_counter())
    sweep = run_plan(plan)
    times.append(perf_counter())
    outcomes = outcomes_of(sweep.frame, specs, after)
    times.append(perf_counter())
    indices = analyse(sample, outcomes)
    convergence(sample, outcomes, indices)
    times.append(perf_counter())
    names = ("sample and plan", "runs", "outcomes", "indices, intervals and convergence")
    return plan.runs, {name: b - a for name, a, b in zip(names, times, times[1:], strict=False)}


def sensitivity_costs(costs: Sensitivity) -> Table:
    """Lay the costs out."""
    table = Table(
        "what", Column("cost", justify="right"), title="Sensitivity", title_justify="left"
    )
    text = f"Sobol indices, {ASSUMPTIONS} assumptions, {POINTS:,} base points ({costs.runs:,} runs)"
    cost = costs.command
    table.add_row(f"{text}: the command", f"{cost.seconds:.0f} s, {cost.memory / 2**30:.2f} GiB")
    for name, seconds in costs.parts.items():
        table.add_row(f"  of this, {name}", f"{seconds:.1f} s")
    return table
