"""Agent-based simulation of training dynamics.

When does instrumental training-gaming emerge, when does it last, when does it grow into worst-case
behaviour? A scenario and agents go in as specs; `simulate` returns a labelled result.
"""

from typing import TYPE_CHECKING, Any

from sim.analysis.bifurcation import bifurcations
from sim.analysis.phase_diagram import phase_diagram
from sim.analysis.regimes import Rules, regimes, sweep_regimes
from sim.analysis.stability import equilibria
from sim.analysis.worst_case import Thresholds, worst_case
from sim.dynamics.state import AgentState
from sim.on_paper import prospects
from sim.result import Result
from sim.run import DivergenceError, simulate
from sim.spec.agent import Agent
from sim.spec.deployment import Deployment
from sim.spec.errors import SpecError
from sim.spec.intervention import Intervention
from sim.spec.library import names as _names
from sim.spec.oversight import Oversight
from sim.spec.prior import Prior
from sim.spec.scenario import Context, Phase, Scenario
from sim.spec.training import Training
from sim.sweeps.design import Grid, LatinHypercube, Product, Range, Sobol, Zip
from sim.sweeps.draws import Draws
from sim.sweeps.executors import DaskExecutor, LocalExecutor
from sim.sweeps.sweep import sweep
from sim.sweeps.table import Sweep

if TYPE_CHECKING:
    from sim.worlds.deployment_world import DeploymentWorld
    from sim.worlds.deployments import Outcomes, deploy
    from sim.worlds.profiles import Profile, profiles
    from sim.worlds.training_world import ModelAgent, TrainingWorld

__all__ = [
    "Agent",
    "AgentState",
    "Context",
    "DaskExecutor",
    "Deployment",
    "DeploymentWorld",
    "DivergenceError",
    "Draws",
    "Grid",
    "Intervention",
    "LatinHypercube",
    "LocalExecutor",
    "ModelAgent",
    "Outcomes",
    "Oversight",
    "Phase",
    "Prior",
    "Product",
    "Profile",
    "Range",
    "Result",
    "Rules",
    "Scenario",
    "Sobol",
    "SpecError",
    "Sweep",
    "Thresholds",
    "Training",
    "TrainingWorld",
    "Zip",
    "bifurcations",
    "deploy",
    "equilibria",
    "phase_diagram",
    "profiles",
    "prospects",
    "regimes",
    "scenarios",
    "simulate",
    "sweep",
    "sweep_regimes",
    "worst_case",
]


def scenarios() -> list[str]:
    """Return the names of the scenarios in the library."""
    return _names("scenario")


def __getattr__(name: str) -> Any:
    # Mesa changes how multiprocessing starts processes, so it is imported only when asked for.
    if name in {"DeploymentWorld", "ModelAgent", "Outcomes", "Profile", "TrainingWorld"}:
        from sim.worlds import deployment_world, deployments, profiles, training_world

        modules = (deployment_world, deployments, profiles, training_world)
        return next(getattr(module, name) for module in modules if hasattr(module, name))
    if name == "deploy":
        from sim.worlds.deployments import deploy

        return deploy
    if name == "profiles":
        from sim.worlds.profiles import profiles as make_profiles

        return make_profiles
    raise AttributeError(f"module 'sim' has no attribute {name!r}")
