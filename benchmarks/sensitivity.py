"""How long a sensitivity study takes: runs, outcomes and indices, by base points."""

from __future__ import annotations

from time import perf_counter

from sim.analysis.after import After
from sim.analysis.sensitivity import analyse, convergence, sobol_sample
from sim.analysis.sensitivity_outcomes import outcomes_of, plan_of, read_assumptions
from sim.analysis.worst_case import Thresholds
from sim.on_paper import read_deployment, read_oversight
from sim.spec.library import config_root, read_yaml
from sim.spec.settings import read_specs
from sim.sweeps.sweep import run_plan


def sensitivity(points: int = 1024, *, engine: str = "auto") -> dict[str, float]:
    """Return seconds for each part of the study's Sobol indices, and how many runs there are.

    Args:
        points: Base points.
        engine: What trains.
    """
    config = read_yaml(config_root() / "sensitivity.yaml")
    specs = read_specs("lab_to_deployment", agent=config["agent"])
    after = After(
        oversight=read_oversight(None, specs.scenario),
        deployment=read_deployment(None, specs.scenario),
        thresholds=Thresholds(),
    )
    assumptions = read_assumptions(config["assumptions"], specs)
    times = [perf_counter()]
    sample = sobol_sample(list(assumptions), points=points)
    plan = plan_of(sample, assumptions, specs, seed=0, engine=engine)
    times.append(perf_counter())
    sweep = run_plan(plan)
    times.append(perf_counter())
    outcomes = outcomes_of(sweep.frame, specs, after)
    times.append(perf_counter())
    found = analyse(sample, outcomes)
    convergence(sample, outcomes, found)
    times.append(perf_counter())
    names = ("sample and plan", "runs", "outcomes", "indices")
    spent = {name: b - a for name, a, b in zip(names, times, times[1:], strict=False)}
    return {"number of runs": float(plan.runs), **spent}


if __name__ == "__main__":
    for name, number in sensitivity().items():
        print(f"{name:16s} {number:10,.1f}")
