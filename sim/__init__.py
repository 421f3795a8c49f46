"""Agent-based simulation of training dynamics.

When does instrumental training-gaming emerge, when does it last, when does it grow into worst-case
behaviour? A scenario and agents go in as specs; `simulate` returns a labelled result.
"""

from typing import TYPE_CHECKING, Any

from sim.analysis.bifurcation import bifurcations
from sim.analysis.phase_diagram import phase_diagram
from sim.analysis.regimes import Rules, regimes, sweep_regimes
from sim.analysis.stability import equilibria
from sim.dynamics.state import AgentState
from sim.result import Result
from sim.run import DivergenceError, simulate
from sim.spec.agent import Agent
from sim.spec.errors import SpecError
from sim.spec.library import names as _names
from sim.spec.scenario import Context, Phase, Scenario
from sim.spec.training import Training
from sim.sweeps.design import Grid, LatinHypercube, Product, Range, Sobol, Zip
from sim.sweeps.executors import DaskExecutor, LocalExecutor
from sim.sweeps.sweep import sweep
from sim.sweeps.table import Sweep

if TYPE_CHECKING:
    from sim.worlds.training_world import ModelAgent, TrainingWorld

__all__ = [
    "Agent",
    "AgentState",
    "Context",
    "DaskExecutor",
    "DivergenceError",
    "Grid",
    "LatinHypercube",
    "LocalExecutor",
    "ModelAgent",
    "Phase",
    "Product",
    "Range",
    "Result",
    "Rules",
    "Scenario",
    "Sobol",
    "SpecError",
    "Sweep",
    "Training",
    "TrainingWorld",
    "Zip",
    "bifurcations",
    "equilibria",
    "phase_diagram",
    "regimes",
    "scenarios",
    "simulate",
    "sweep",
    "sweep_regimes",
]


def scenarios() -> list[str]:
    """Return the names of the scenarios in the library."""
    return _names("scenario")


def __getattr__(name: str) -> Any:
    # Mesa changes how multiprocessing starts processes, so it is imported only when asked for.
    if name in {"TrainingWorld", "ModelAgent"}:
        from sim.worlds import training_world

        return getattr(training_world, name)
    raise AttributeError(f"module 'sim' has no attribute {name!r}")
