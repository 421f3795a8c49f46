"""Agent-based simulation of training dynamics.

When does instrumental training-gaming emerge, when does it last, when does it grow into worst-case
behaviour? A scenario and agents go in as specs; `simulate` returns a labelled result.
"""

from typing import TYPE_CHECKING, Any

from sim.analysis.phase_diagram import phase_diagram
from sim.analysis.regimes import Rules, regimes, sweep_regimes
from sim.analysis.worst_case import Thresholds, worst_case
from sim.dynamics.state import AgentState
from sim.result import Result
from sim.simulation import DivergenceError, simulate
from sim.specs.agent import Agent
from sim.specs.deployment import Deployment
from sim.specs.errors import SpecError
from sim.specs.intervention import Intervention
from sim.specs.library import names as _names
from sim.specs.oversight import Oversight
from sim.specs.prior import Prior
from sim.specs.scenario import Context, Phase, Scenario
from sim.specs.training import Training
from sim.stability.bifurcation import bifurcations
from sim.stability.equilibria import equilibria
from sim.sweeps.design import Grid, LatinHypercube, Product, Range, Sobol, Zip
from sim.sweeps.executors import DaskExecutor, LocalExecutor
from sim.sweeps.prior_sample import PriorSample as Draws
from sim.sweeps.result import Sweep
from sim.sweeps.sweep import sweep
from sim.takeover import prospects

if TYPE_CHECKING:
    from sim.abm.batch import Outcomes, deploy
    from sim.abm.deployment_model import DeploymentWorld
    from sim.abm.profiles import Profile, profiles
    from sim.abm.training_model import ModelAgent, TrainingWorld

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
        from sim.abm import batch as deployments
        from sim.abm import deployment_model as deployment_world
        from sim.abm import profiles
        from sim.abm import training_model as training_world

        modules = (deployment_world, deployments, profiles, training_world)
        return next(getattr(module, name) for module in modules if hasattr(module, name))
    if name == "deploy":
        from sim.abm.batch import deploy

        return deploy
    if name == "profiles":
        from sim.abm.profiles import profiles as make_profiles

        return make_profiles
    raise AttributeError(f"module 'sim' has no attribute {name!r}")
