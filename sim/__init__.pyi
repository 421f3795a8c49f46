"""The public names, and where each is: the one table of them, for type checkers and at run time."""

from sim.analysis.bifurcation import bifurcations as bifurcations
from sim.analysis.phase_diagram import phase_diagram as phase_diagram
from sim.analysis.regimes import Rules as Rules
from sim.analysis.regimes import regimes as regimes
from sim.analysis.regimes import sweep_regimes as sweep_regimes
from sim.analysis.stability import equilibria as equilibria
from sim.analysis.worst_case import Thresholds as Thresholds
from sim.analysis.worst_case import worst_case as worst_case
from sim.dynamics.state import AgentState as AgentState
from sim.on_paper import prospects as prospects
from sim.result import Result as Result
from sim.run import DivergenceError as DivergenceError
from sim.run import simulate as simulate
from sim.spec.agent import Agent as Agent
from sim.spec.deployment import Deployment as Deployment
from sim.spec.errors import SpecError as SpecError
from sim.spec.intervention import Intervention as Intervention
from sim.spec.library import scenarios as scenarios
from sim.spec.oversight import Oversight as Oversight
from sim.spec.prior import Prior as Prior
from sim.spec.scenario import Context as Context
from sim.spec.scenario import Phase as Phase
from sim.spec.scenario import Scenario as Scenario
from sim.spec.training import Training as Training
from sim.sweeps.design import Grid as Grid
from sim.sweeps.design import LatinHypercube as LatinHypercube
from sim.sweeps.design import Product as Product
from sim.sweeps.design import Range as Range
from sim.sweeps.design import Sobol as Sobol
from sim.sweeps.design import Zip as Zip
from sim.sweeps.draws import Draws as Draws
from sim.sweeps.executors import DaskExecutor as DaskExecutor
from sim.sweeps.executors import LocalExecutor as LocalExecutor
from sim.sweeps.sweep import sweep as sweep
from sim.sweeps.table import Sweep as Sweep
from sim.worlds.deployment_world import DeploymentWorld as DeploymentWorld
from sim.worlds.deployments import Outcomes as Outcomes
from sim.worlds.deployments import deploy as deploy
from sim.worlds.profiles import Profile as Profile
from sim.worlds.profiles import profiles as profiles
from sim.worlds.training_world import ModelAgent as ModelAgent
from sim.worlds.training_world import TrainingWorld as TrainingWorld

__version__: str
__all__: list[str]
