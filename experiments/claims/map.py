"""What the page shows before the claims: emergence in every scenario, and a map of regimes.

Both are runs of the default agent. In the map two assumptions vary, and every cell has the curves
of its own run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sim.analysis.context_roles import context_roles
from sim.analysis.regimes import sweep_regimes
from sim.dynamics.state import Array
from sim.simulation import simulate
from sim.specs.library import names
from sim.specs.overrides import read_specs
from sim.specs.scenario import Scenario
from sim.sweeps.design import Grid
from sim.sweeps.plan import Part, make_plan
from sim.sweeps.sweep import run_plan, with_first_point

from .measures import RunOptions

SCENARIO = "copyright"
X, Y = "agent.initial.awareness", "agent.initial.log_horizon"
#: The map's cells at full size, and how many moments its curves have.
_CELLS, _MOMENTS = (15, 9), 41
_X_ENDS, _Y_ENDS = (-9.0, -2.0), (-1.0, 3.0)
_AGENTS = 32


@dataclass(frozen=True)
class Emergence:
    """Gaming over training in a scenario.

    Attributes:
        scenario: The scenario.
        steps: The recorded steps [S].
        rates: By training context, the median gaming rate over agents [S].
        agents: The number of agents.
    """

    scenario: Scenario
    steps: Array
    rates: dict[str, Array]
    agents: int


@dataclass(frozen=True)
class RegimeMap:
    """Regimes over two assumptions, with the curves of every cell.

    Attributes:
        scenario: The name of the scenario.
        x, y: The assumptions' keys.
        across, up: Their levels [X], [Y].
        regime: Of each cell [Y, X].
        steps: The steps of the curves [S].
        gaming: Gaming rate in the contested context [Y, X, S].
        value: The value that is at stake there, as a share of its start [Y, X, S].
        context, protected: The names of context and value.
    """

    scenario: str
    x: str
    y: str
    across: Array
    up: Array
    regime: np.ndarray[tuple[int, int], np.dtype[np.str_]]
    steps: Array
    gaming: Array
    value: Array
    context: str
    protected: str


def emergences(
    run_options: RunOptions, *, progress: Callable[[float], None] | None = None
) -> list[Emergence]:
    """Return gaming over training in every scenario of the library."""
    curves = []
    scenarios = names("scenario")
    for i, name in enumerate(scenarios):
        scenario = Scenario.load(name)
        result = simulate(
            scenario,
            agent={"spread": {"initial": {"values": 0.0, "habit": 0.0, "awareness": 0.5}}},
            agents=run_options.scaled(_AGENTS),
            seed=run_options.seed,
            engine=run_options.engine,
            record_every=20,
        )
        median = result.gaming_rate.median("agent")
        rates = {c: median.sel(context=c).values for c in scenario.of_kind("training")}
        steps = median["step"].values.astype(np.float64)
        curves.append(Emergence(scenario, steps, rates, run_options.scaled(_AGENTS)))
        if progress is not None:
            progress((i + 1) / len(scenarios))
    return curves


def regime_map(
    run_options: RunOptions, *, progress: Callable[[float], None] | None = None
) -> RegimeMap:
    """Return the map: a run for each cell."""
    specs = read_specs(SCENARIO)
    roles = context_roles(specs)
    width, height = (max(3, round(n * min(1.0, run_options.size**0.5))) for n in _CELLS)
    across, up = np.linspace(*_X_ENDS, width), np.linspace(*_Y_ENDS, height)
    design = Grid({Y: up, X: across})
    part = Part(specs=with_first_point(specs, design), design=design, seeds=(run_options.seed,))
    plan = make_plan([part], record="curves", engine=run_options.engine)
    sweep = run_plan(plan, store=run_options.place(plan), progress=progress)
    regime = sweep_regimes(sweep).sort_values("run")["regime"].astype(str).to_numpy()
    rate, value_column = (
        sweep.column("curves", name)
        for name in (f"gaming_rate.{roles.contested}", f"values.{roles.protected}")
    )
    rows = sweep.query(f"select run, step, {rate}, {value_column} from curves order by run, step")
    steps = np.sort(rows["step"].unique()).astype(np.float64)
    shape = (height, width, len(steps))
    gaming = rows.iloc[:, 2].to_numpy(np.float64).reshape(shape)
    value = rows.iloc[:, 3].to_numpy(np.float64).reshape(shape)
    moments = np.unique(np.linspace(0, len(steps) - 1, _MOMENTS).astype(int))
    return RegimeMap(
        scenario=SCENARIO,
        x=X,
        y=Y,
        across=across,
        up=up,
        regime=regime.reshape(height, width),
        steps=steps[moments],
        gaming=gaming[:, :, moments],
        value=(value / value[:, :, :1])[:, :, moments],
        context=roles.contested,
        protected=roles.protected,
    )
