"""The public names, and where each is: the one table of them, for type checkers and at run time."""

from sim.abm.batch import Outcomes as Outcomes
from sim.abm.batch import deploy as deploy
from sim.abm.deployment_model import DeploymentWorld as DeploymentWorld
from sim.abm.profiles import Profile as Profile
from sim.abm.profiles import profiles as profiles
from sim.abm.training_model import ModelAgent as ModelAgent
from sim.abm.training_model import TrainingWorld as TrainingWorld
from sim.analysis.phase_diagram import phase_diagram as phase_diagram
from sim.analysis.regimes import Rules as Rules
from sim.analysis.regimes import regimes as regimes
from sim.analysis.regimes import sweep_regimes as sweep_regimes
from sim.analysis.worst_case import Thresholds as Thresholds
from sim.analysis.worst_case import worst_case as worst_case
from sim.dynamics.state import AgentState as AgentState
from sim.result import Result as Result
from sim.simulation import DivergenceError as DivergenceError
from sim.simulation import simulate as simulate
from sim.specs.agent import Agent as Agent
from sim.specs.deployment import Deployment as Deployment
from sim.specs.errors import SpecError as SpecError
from sim.specs.intervention import Intervention as Intervention
from sim.specs.library import scenarios as scenarios
from sim.specs.oversight import Oversight as Oversight
from sim.specs.prior import Prior as Prior
from sim.specs.scenario import Context as Context
from sim.specs.scenario import Phase as Phase
from sim.specs.scenario import Scenario as Scenario
from sim.specs.training import Training as Training
from sim.stability.bifurcation import bifurcations as bifurcations
from sim.stability.equilibria import equilibria as equilibria
from sim.sweeps.design import Grid as Grid
from sim.sweeps.design import LatinHypercube as LatinHypercube
from sim.sweeps.design import Product as Product
from sim.sweeps.design import Range as Range
from sim.sweeps.design import Sobol as Sobol
from sim.sweeps.design import Zip as Zip
from sim.sweeps.executors import DaskExecutor as DaskExecutor
from sim.sweeps.executors import LocalExecutor as LocalExecutor
from sim.sweeps.prior_sample import PriorSample as Draws
from sim.sweeps.result import Sweep as Sweep
from sim.sweeps.sweep import sweep as sweep
from sim.sweeps.world_sample import draw_scenario as draw_scenario
from sim.takeover import prospects as prospects

__version__: str
__all__: list[str]
