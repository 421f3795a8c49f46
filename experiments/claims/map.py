"""What the report shows before the claims: emergence in every scenario, and a map of regimes.

Both are runs of the default agent; in the map two assumptions move, and every cell has the curves
of its own run, so that a reader can look at what a regime is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from experiments.claims.measures import How
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
        scenario: It.
        steps: When it was looked at [S].
        rates: By training context, the median gaming rate over agents [S].
        agents: How many.
    """

    scenario: Scenario
    steps: Array
    rates: dict[str, Array]
    agents: int


@dataclass(frozen=True)
class RegimeMap:
    """Regimes over two assumptions, with the curves of every cell.

    Attributes:
        scenario: In which.
        x, y: The assumptions' keys.
        across, up: What they are set to [X], [Y].
        regime: Of each cell [Y, X].
        steps: When curves were looked at [S].
        gaming: Gaming rate in the contested context [Y, X, S].
        value: The value that is at stake there, as a share of its start [Y, X, S].
        context, protected: What these are called.
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


def emergences(how: How, *, progress: Callable[[float], None] | None = None) -> list[Emergence]:
    """Return gaming over training in every scenario of the library."""
    found = []
    scenarios = names("scenario")
    for i, name in enumerate(scenarios):
        scenario = Scenario.load(name)
        result = simulate(
            scenario,
            agent={"spread": {"initial": {"awareness": 0.5}}},
            agents=how.scaled(_AGENTS),
            seed=how.seed,
            engine=how.engine,
            record_every=20,
        )
        median = result.gaming_rate.median("agent")
        rates = {c: median.sel(context=c).values for c in scenario.of_kind("training")}
        steps = median["step"].values.astype(np.float64)
        found.append(Emergence(scenario, steps, rates, how.scaled(_AGENTS)))
        if progress is not None:
            progress((i + 1) / len(scenarios))
    return found


def regime_map(how: How, *, progress: Callable[[float], None] | None = None) -> RegimeMap:
    """Return the map: a run for each cell."""
    specs = read_specs(SCENARIO)
    cast = context_roles(specs)
    width, height = (max(3, round(n * min(1.0, how.size**0.5))) for n in _CELLS)
    across, up = np.linspace(*_X_ENDS, width), np.linspace(*_Y_ENDS, height)
    design = Grid({Y: up, X: across})
    part = Part(specs=with_first_point(specs, design), design=design, seeds=(how.seed,))
    plan = make_plan([part], record="curves", engine=how.engine)
    sweep = run_plan(plan, store=how.place(plan), progress=progress)
    regime = sweep_regimes(sweep).sort_values("run")["regime"].astype(str).to_numpy()
    rate, kept = (
        sweep.column("curves", name)
        for name in (f"gaming_rate.{cast.contested}", f"values.{cast.protected}")
    )
    rows = sweep.query(f"select run, step, {rate}, {kept} from curves order by run, step")
    steps = np.sort(rows["step"].unique()).astype(np.float64)
    shape = (height, width, len(steps))
    gaming = rows.iloc[:, 2].to_numpy(np.float64).reshape(shape)
    value = rows.iloc[:, 3].to_numpy(np.float64).reshape(shape)
    some = np.unique(np.linspace(0, len(steps) - 1, _MOMENTS).astype(int))
    return RegimeMap(
        scenario=SCENARIO,
        x=X,
        y=Y,
        across=across,
        up=up,
        regime=regime.reshape(height, width),
        steps=steps[some],
        gaming=gaming[:, :, some],
        value=(value / value[:, :, :1])[:, :, some],
        context=cast.contested,
        protected=cast.protected,
    )
