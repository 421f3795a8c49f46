"""A slow and obvious reference simulator of the model in MODEL.md, sections 1 to 5.

One agent at a time, plain floats, lists and dicts, one explicit loop per sum. It exists to be read
beside MODEL.md and to be compared with; nothing here is meant to be fast. Every quantity follows
its definition, and the code names the symbol of MODEL.md where it is not obvious.

Units: rewards and values are in the units of R and of Phi v; steps are counted from 0.
"""

import math
import zlib
from dataclasses import dataclass, replace
from typing import NotRequired, TypedDict

CAPABILITIES = ("opacity", "sandbagging", "composure", "coordination", "subversion")
OPACITY = CAPABILITIES.index("opacity")
PRE_DEPLOYMENT_KINDS = ("training", "evaluation", "red_team")

Vector = list[float]
Matrix = list[list[float]]


# ---------------------------------------------------------------------------- what goes in


class ContextSpec(TypedDict):
    """A context as the user writes it (section 1). Absent numbers are 0, except the weight: 1."""

    responses: dict[str, dict[str, float]]
    reward: NotRequired[dict[str, float]]
    method: NotRequired[str]
    demonstrations: NotRequired[dict[str, float] | None]
    kind: NotRequired[str]
    weight: NotRequired[float]
    info: NotRequired[float]
    scratchpad: NotRequired[float]
    cue: NotRequired[float]
    monitor: NotRequired[float]
    twin: NotRequired[str | None]


class Phase(TypedDict):
    """A phase of the curriculum (section 1): overrides base numbers only where it names them."""

    length: int
    weight: NotRequired[dict[str, float]]
    method: NotRequired[dict[str, str]]
    reward: NotRequired[dict[str, dict[str, float]]]
    monitor: NotRequired[dict[str, float]]


class Scenario(TypedDict):
    """Values, contexts, the human direction w, the similarity S and the curriculum (section 1)."""

    values: list[str]
    contexts: dict[str, ContextSpec]
    human_values: NotRequired[dict[str, float]]
    similarity: NotRequired[Matrix | None]
    curriculum: NotRequired[list[Phase]]


class Traits(TypedDict):
    """What training cannot change (section 2): beta, phi, delta, chi, gamma, kappa, zeta, mu, tau.

    The foresight phi is in nats per unit of reward.
    """

    decisiveness: float
    foresight: float
    discernment: float
    info_sensitivity: float
    scratchpad_sensitivity: float
    reasoning_cost: float
    scratchpad_saving: float
    episode_concern: float
    rationality: float


class State(TypedDict):
    """theta, what training can change (section 2): v [D], m [C, K_c], h [C], alpha, l, varsigma, q.

    Propensities are a list over contexts of lists over the responses of that context.
    """

    values: Vector
    propensity: Matrix
    habit: Vector
    awareness: float
    log_horizon: float
    log_competence: float
    capability: Vector


class LearningRate(TypedDict):
    """eta (section 4), one for each part of the state."""

    values: float
    propensity: float
    habit: float
    awareness: float
    log_horizon: float
    log_competence: float
    capability: float


class Generalisation(TypedDict):
    """rho_h and rho_m (section 4): how much of what is learnt in one context carries over."""

    habit: float
    propensity: float


class Training(TypedDict):
    """The assumptions that the user can move (section 4)."""

    steps: int
    update_rule: str
    advantages: str
    motive_credit: float
    leak: float
    generalisation: Generalisation
    anchor: float
    visible_gaming_penalty: float
    transfer: Vector
    learning_rate: LearningRate


# --------------------------------------------------------------------------- what comes out


class Thought(TypedDict):
    """What one agent makes of one context (section 3), and training of it (section 4)."""

    u: Vector  # u_c [K]
    own_policy: Vector  # pi^u_c [K]
    value_policy: Vector  # pi^v_c [K]
    gaming_policy: Vector  # pi^r_c [K]
    awareness: float  # a_c
    belief: float  # b_c
    foresight_policy: Vector  # pi^phi_c [K]
    stake: float  # stake_c
    concession: float  # E_{pi^u}u_c - E_{pi^r}u_c
    incentive: float  # I_c
    decision: float  # d_c
    gaming_rate: float  # g_c
    policy: Vector  # pi_c [K]
    payoff: Vector  # F_c [K]
    penalty: float  # P_c
    payoff_value: float  # F^v_c
    payoff_gaming: float  # F^g_c
    delta_payoff: float  # Delta F_c
    objective: float  # B_c
    reward: float  # E_{pi_c}R_c - g_c P_c, also where the context demonstrates


class Measures(TypedDict):
    """Section 5. A ratio whose denominator is zero, or a minimum or mean over nothing, is nan.

    What is measured in every context, or in every context with a twin, is a dict by its name.
    """

    gaming_rate: dict[str, float]
    instrumental_gaming: dict[str, float]
    reach: float
    reach_weighted: float
    consistency: float
    compliance_gap: dict[str, float]
    behaviour_shift: dict[str, float]
    value_drift: float
    value_cosine: float
    alignment: float
    conduct: dict[str, float]
    deployment_conduct: float
    opacity_share: float
    stake_by_value: dict[str, Vector]
    concession_by_value: dict[str, Vector]


@dataclass(frozen=True)
class Context:
    """One context as it stands at one step: the base numbers with the phase in force laid over."""

    name: str
    index: int  # c, its place in the scenario, among habits and among propensities
    kind: str
    method: str
    responses: list[str]
    phi: Matrix  # Phi_c [K, D]
    reward: Vector  # R_c [K]
    demonstrations: Vector  # y_c [K]
    share: float  # p_c, normalised over the training contexts, 0 elsewhere
    info: float  # i_c
    scratchpad: float  # s_c
    cue: float  # e_c
    monitor: float  # m_c
    twin: str | None


# ------------------------------------------------------------------------------- arithmetic


def logistic(x: float) -> float:
    """sigma(x), without overflow at either end."""
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    return math.exp(x) / (1.0 + math.exp(x))


def softmax(scores: Vector) -> Vector:
    """exp(x_k) / sum_j exp(x_j), after subtracting the largest score."""
    highest = max(scores)
    exponentials = [math.exp(score - highest) for score in scores]
    total = sum(exponentials)
    return [exponential / total for exponential in exponentials]


def dot(x: Vector, y: Vector) -> float:
    """sum_i x_i y_i."""
    return sum(x_i * y_i for x_i, y_i in zip(x, y, strict=True))


def norm(x: Vector) -> float:
    """Euclidean length."""
    return math.sqrt(dot(x, x))


def cosine(x: Vector, y: Vector) -> float:
    """Cosine of the angle between x and y; nan where either is zero."""
    if norm(x) == 0.0 or norm(y) == 0.0:
        return math.nan
    return dot(x, y) / (norm(x) * norm(y))


def expectation(policy: Vector, x: Vector) -> float:
    """E_pi[x] over the responses of one context."""
    total = 0.0
    for chance, x_k in zip(policy, x, strict=True):
        total += chance * x_k
    return total


def covariance(policy: Vector, x: Vector, y: Vector) -> float:
    """Cov_pi(x, y) = E_pi[(x - Ex)(y - Ey)]."""
    mean_x = expectation(policy, x)
    mean_y = expectation(policy, y)
    total = 0.0
    for chance, x_k, y_k in zip(policy, x, y, strict=True):
        total += chance * (x_k - mean_x) * (y_k - mean_y)
    return total


def column(matrix: Matrix, d: int) -> Vector:
    """Column d: from Phi_c [K, D], how far each response serves value d."""
    return [row[d] for row in matrix]


# --------------------------------------------------------------------------- world, section 1


def phase_in_force(scenario: Scenario, step: int) -> Phase | None:
    """The phase whose interval [start, start + length) holds this step; the last one never ends."""
    phases = scenario.get("curriculum") or []
    start = 0
    for phase in phases:
        if start <= step < start + phase["length"]:
            return phase
        start += phase["length"]
    return phases[-1] if phases else None


def in_order(numbers: dict[str, float], names: list[str]) -> Vector:
    """The numbers in the order of the names, 0 where absent.

    Raises:
        ValueError: if a number is given for something that is not among the names.
    """
    for name in numbers:
        if name not in names:
            raise ValueError(f"{name!r} is not one of {names}")
    return [float(numbers.get(name, 0.0)) for name in names]


def weight_in_force(scenario: Scenario, name: str, step: int) -> float:
    """The weight of a context before it is normalised."""
    phase = phase_in_force(scenario, step)
    weight = scenario["contexts"][name].get("weight", 1.0)
    if phase is not None:
        weight = phase.get("weight", {}).get(name, weight)
    return weight


def monitor_in_force(scenario: Scenario, name: str, step: int) -> float:
    """m_c."""
    phase = phase_in_force(scenario, step)
    monitor = scenario["contexts"][name].get("monitor", 0.0)
    if phase is not None:
        monitor = phase.get("monitor", {}).get(name, monitor)
    return monitor


def reward_in_force(scenario: Scenario, name: str, step: int) -> dict[str, float]:
    """R_c by response; a phase overrides response by response."""
    phase = phase_in_force(scenario, step)
    reward = dict(scenario["contexts"][name].get("reward", {}))
    if phase is not None:
        reward.update(phase.get("reward", {}).get(name, {}))
    return reward


def method_in_force(scenario: Scenario, name: str, step: int) -> str:
    """How a context trains: `reinforcement` or `demonstration`.

    Raises:
        ValueError: if the method is neither of these.
    """
    phase = phase_in_force(scenario, step)
    method = scenario["contexts"][name].get("method", "reinforcement")
    if phase is not None:
        method = phase.get("method", {}).get(name, method)
    if method not in ("reinforcement", "demonstration"):
        raise ValueError(f"method {method!r}: not one of 'reinforcement', 'demonstration'")
    return method


def demonstrations_in_force(scenario: Scenario, name: str, step: int) -> Vector:
    """y_c [K]; by default all on the responses with the highest reward in force, in equal parts."""
    spec = scenario["contexts"][name]
    responses = list(spec["responses"])
    given = spec.get("demonstrations")
    if given:
        return in_order(given, responses)
    reward = in_order(reward_in_force(scenario, name, step), responses)
    best = [k for k in range(len(responses)) if reward[k] == max(reward)]
    return [1.0 / len(best) if k in best else 0.0 for k in range(len(responses))]


def share_in_force(scenario: Scenario, name: str, step: int) -> float:
    """p_c: the weight over the sum of the weights of the training contexts; 0 for other kinds.

    Raises:
        ZeroDivisionError: if every training context has weight 0 at this step.
    """
    if scenario["contexts"][name].get("kind", "training") != "training":
        return 0.0
    total = 0.0
    for other, spec in scenario["contexts"].items():
        if spec.get("kind", "training") == "training":
            total += weight_in_force(scenario, other, step)
    return weight_in_force(scenario, name, step) / total


def context_in_force(scenario: Scenario, name: str, step: int) -> Context:
    """One context with every number that holds at this step."""
    spec = scenario["contexts"][name]
    responses = list(spec["responses"])
    return Context(
        name=name,
        index=list(scenario["contexts"]).index(name),
        kind=spec.get("kind", "training"),
        method=method_in_force(scenario, name, step),
        responses=responses,
        phi=[in_order(spec["responses"][response], scenario["values"]) for response in responses],
        reward=in_order(reward_in_force(scenario, name, step), responses),
        demonstrations=demonstrations_in_force(scenario, name, step),
        share=share_in_force(scenario, name, step),
        info=spec.get("info", 0.0),
        scratchpad=spec.get("scratchpad", 0.0),
        cue=spec.get("cue", 0.0),
        monitor=monitor_in_force(scenario, name, step),
        twin=spec.get("twin"),
    )


def contexts_in_force(scenario: Scenario, step: int) -> list[Context]:
    """All contexts, in the scenario's order (c = 1..C)."""
    return [context_in_force(scenario, name, step) for name in scenario["contexts"]]


def training_contexts(scenario: Scenario, step: int) -> list[Context]:
    """The contexts that feed gradients: the sums of section 4 run over these."""
    return [context for context in contexts_in_force(scenario, step) if context.kind == "training"]


def similarity(scenario: Scenario) -> Matrix:
    """S [C, C]; ones unless given."""
    given = scenario.get("similarity")
    if given is not None:
        return given
    return [[1.0 for _ in scenario["contexts"]] for _ in scenario["contexts"]]


# ----------------------------------------------------------------------- cognition, section 3


def own_preference(context: Context, values: Vector) -> Vector:
    """Section 3.1: u_c = Phi_c v [K]."""
    return [dot(row, values) for row in context.phi]


def own_policy(u: Vector, traits: Traits) -> Vector:
    """Section 3.1: pi^u_c = softmax(beta u_c) [K]."""
    return softmax([traits["decisiveness"] * u_k for u_k in u])


def value_policy(context: Context, u: Vector, traits: Traits, state: State) -> Vector:
    """Section 3.2: pi^v_c = softmax(beta u_c + m_c) [K]."""
    m = state["propensity"][context.index]
    return softmax([traits["decisiveness"] * u_k + m_k for u_k, m_k in zip(u, m, strict=True)])


def gaming_policy(context: Context, state: State) -> Vector:
    """Section 3.3: pi^r_c = softmax(exp(varsigma) R_c) [K]."""
    return softmax([math.exp(state["log_competence"]) * r_k for r_k in context.reward])


def awareness(context: Context, traits: Traits, state: State) -> float:
    """Section 3.4: a_c = sigma(alpha + chi i_c + gamma s_c)."""
    return logistic(
        state["awareness"]
        + traits["info_sensitivity"] * context.info
        + traits["scratchpad_sensitivity"] * context.scratchpad
    )


def belief(context: Context, traits: Traits) -> float:
    """Section 3.4: b_c = sigma(delta e_c)."""
    return logistic(traits["discernment"] * context.cue)


def foresight_policy(context: Context, u: Vector, traits: Traits) -> Vector:
    """Section 3.5: pi^phi_c, proportional to pi^u_c exp(phi R_c) [K].

    As pi^u_c is proportional to exp(beta u_c), this is softmax(beta u_c + phi R_c).
    """
    beta, phi = traits["decisiveness"], traits["foresight"]
    return softmax([beta * u_k + phi * r_k for u_k, r_k in zip(u, context.reward, strict=True)])


def stake(u: Vector, pi_u: Vector, pi_phi: Vector) -> float:
    """Section 3.5: stake_c = E_{pi^u}u_c - E_{pi^phi}u_c."""
    return expectation(pi_u, u) - expectation(pi_phi, u)


def concession(u: Vector, pi_u: Vector, pi_r: Vector) -> float:
    """Section 3.6: E_{pi^u}u_c - E_{pi^r}u_c, what gaming gives up in this episode."""
    return expectation(pi_u, u) - expectation(pi_r, u)


def incentive(
    context: Context, traits: Traits, state: State, stake_c: float, concession_c: float
) -> float:
    """Section 3.6: I_c = lambda b_c stake_c - mu (E_{pi^u}u - E_{pi^r}u) - kappa (1 - zeta s_c)."""
    horizon = math.exp(state["log_horizon"])
    keeping_values = horizon * belief(context, traits) * stake_c
    cost_in_episode = traits["episode_concern"] * concession_c
    cost_of_reasoning = traits["reasoning_cost"] * (
        1.0 - traits["scratchpad_saving"] * context.scratchpad
    )
    return keeping_values - cost_in_episode - cost_of_reasoning


def payoff(context: Context, policy: Vector) -> Vector:
    """Section 4: F_c [K], R_c where it reinforces, y_c / pi_c where it demonstrates.

    Raises:
        ZeroDivisionError: if a response is demonstrated whose chance is 0 to the last bit.
    """
    if context.method == "reinforcement":
        return context.reward
    payoffs = []
    for y_k, pi_k in zip(context.demonstrations, policy, strict=True):
        payoffs.append(y_k / pi_k if y_k > 0.0 else 0.0)
    return payoffs


def penalty(context: Context, state: State, training: Training) -> float:
    """Section 4: P_c = psi m_c s_c (1 - k_opacity); 0 in demonstrations."""
    if context.method == "demonstration":
        return 0.0
    k_opacity = logistic(state["capability"][OPACITY])
    return (
        training["visible_gaming_penalty"]
        * context.monitor
        * context.scratchpad
        * (1.0 - k_opacity)
    )


def cognition(context: Context, traits: Traits, state: State, training: Training) -> Thought:
    """Section 3 in the order in which an agent thinks, then F, F^v, F^g, Delta F and B."""
    u = own_preference(context, state["values"])
    pi_u = own_policy(u, traits)
    pi_v = value_policy(context, u, traits, state)
    pi_r = gaming_policy(context, state)
    a = awareness(context, traits, state)
    pi_phi = foresight_policy(context, u, traits)
    stake_c = stake(u, pi_u, pi_phi)
    concession_c = concession(u, pi_u, pi_r)
    i = incentive(context, traits, state, stake_c, concession_c)
    d = logistic(state["habit"][context.index] + traits["rationality"] * i)
    g = a * d
    pi = [(1.0 - g) * v_k + g * r_k for v_k, r_k in zip(pi_v, pi_r, strict=True)]
    f = payoff(context, pi)
    p = penalty(context, state, training)
    payoff_value = expectation(pi_v, f)
    payoff_gaming = expectation(pi_r, f) - p
    return Thought(
        u=u,
        own_policy=pi_u,
        value_policy=pi_v,
        gaming_policy=pi_r,
        awareness=a,
        belief=belief(context, traits),
        foresight_policy=pi_phi,
        stake=stake_c,
        concession=concession_c,
        incentive=i,
        decision=d,
        gaming_rate=g,
        policy=pi,
        payoff=f,
        penalty=p,
        payoff_value=payoff_value,
        payoff_gaming=payoff_gaming,
        delta_payoff=payoff_gaming - payoff_value,
        objective=(1.0 - g) * payoff_value + g * payoff_gaming,
        reward=expectation(pi, context.reward) - g * p,
    )


def cognitions(
    scenario: Scenario, traits: Traits, state: State, training: Training, step: int
) -> dict[str, Thought]:
    """What the agent makes of every context at this step, by the context's name."""
    return {
        context.name: cognition(context, traits, state, training)
        for context in contexts_in_force(scenario, step)
    }


# ------------------------------------------------------------------------ training, section 4


def reward_deviation(context: Context, thought: Thought) -> float:
    """SD_c, of reward less penalty over modes and responses under the present policy."""
    g = thought["gaming_rate"]
    total = 0.0
    for k in range(len(context.responses)):
        plain = context.reward[k] - thought["reward"]
        gamed = context.reward[k] - thought["penalty"] - thought["reward"]
        total += (1.0 - g) * thought["value_policy"][k] * plain * plain
        total += g * thought["gaming_policy"][k] * gamed * gamed
    return math.sqrt(total)


def advantage_scale(context: Context, thought: Thought, training: Training) -> float:
    """1 / (SD_c + 0.01) where reinforcement trains on normalised advantages, otherwise 1.

    Raises:
        ValueError: if advantages are neither `raw` nor `normalised`.
    """
    if training["advantages"] not in ("raw", "normalised"):
        raise ValueError(f"advantages {training['advantages']!r}: not one of 'raw', 'normalised'")
    if training["advantages"] == "raw" or context.method == "demonstration":
        return 1.0
    return 1.0 / (reward_deviation(context, thought) + 0.01)


def weight(context: Context, thought: Thought, training: Training) -> float:
    """The p_c of section 4's sums: p_c / (SD_c + 0.01) for normalised advantages."""
    return context.share * advantage_scale(context, thought, training)


def log_likelihood(context: Context, thought: Thought) -> float:
    """sum_k y_ck log pi_ck."""
    total = 0.0
    for y_k, pi_k in zip(context.demonstrations, thought["policy"], strict=True):
        if y_k > 0.0:
            total += y_k * math.log(pi_k)
    return total


def objective(
    scenario: Scenario,
    traits: Traits,
    state: State,
    training: Training,
    step: int,
    held: State | None = None,
) -> float:
    """Section 4: J(theta) = sum_c p_c B_c, and of demonstrations sum_c p_c log-likelihood.

    What normalises advantages is held constant: it is that of the state `held`, by default this
    one.
    """
    total = 0.0
    for context in training_contexts(scenario, step):
        thought = cognition(context, traits, state, training)
        present = thought if held is None else cognition(context, traits, held, training)
        demonstrates = context.method == "demonstration"
        gain = log_likelihood(context, thought) if demonstrates else thought["objective"]
        total += weight(context, present, training) * gain
    return total


def gate_factor(context: Context, thought: Thought, training: Training) -> float:
    """Section 4: Gamma_c = p_c Delta F_c a_c d_c (1 - d_c)."""
    p, d = weight(context, thought, training), thought["decision"]
    return p * thought["delta_payoff"] * thought["awareness"] * d * (1.0 - d)


def direct_on_value(
    context: Context, traits: Traits, thought: Thought, training: Training, d: int
) -> float:
    """Value d of p_c (1 - g_c) beta Cov_{pi^v}(F, Phi), in G_direct."""
    p, g = weight(context, thought, training), thought["gaming_rate"]
    phi_d = column(context.phi, d)
    moved_by = covariance(thought["value_policy"], thought["payoff"], phi_d)
    return p * (1.0 - g) * traits["decisiveness"] * moved_by


def leak_on_value(
    context: Context, traits: Traits, thought: Thought, training: Training, d: int
) -> float:
    """Value d of p_c g_c beta sum_k pi^r_k (F_k - P_c - B_c)(Phi_k - E_{pi^v}Phi), in G_leak."""
    p, g = weight(context, thought, training), thought["gaming_rate"]
    pi_r = thought["gaming_policy"]
    phi_d = column(context.phi, d)
    mean_phi_d = expectation(thought["value_policy"], phi_d)
    total = 0.0
    for k in range(len(context.responses)):
        advantage = thought["payoff"][k] - thought["penalty"] - thought["objective"]
        total += pi_r[k] * advantage * (phi_d[k] - mean_phi_d)
    return p * g * traits["decisiveness"] * total


def stake_slope(context: Context, traits: Traits, thought: Thought, d: int) -> float:
    """d stake/dv_d.

    E_{pi^u}Phi + beta Cov_{pi^u}(Phi, u) - E_{pi^phi}Phi - beta Cov_{pi^phi}(Phi, u).
    """
    beta = traits["decisiveness"]
    pi_u, pi_phi = thought["own_policy"], thought["foresight_policy"]
    phi_d = column(context.phi, d)
    now = expectation(pi_u, phi_d) + beta * covariance(pi_u, phi_d, thought["u"])
    foreseen = expectation(pi_phi, phi_d) + beta * covariance(pi_phi, phi_d, thought["u"])
    return now - foreseen


def concession_slope(context: Context, traits: Traits, thought: Thought, d: int) -> float:
    """d(E_{pi^u}u - E_{pi^r}u)/dv_d = E_{pi^u}Phi + beta Cov_{pi^u}(Phi, u) - E_{pi^r}Phi."""
    pi_u = thought["own_policy"]
    pi_r = thought["gaming_policy"]
    phi_d = column(context.phi, d)
    return (
        expectation(pi_u, phi_d)
        + traits["decisiveness"] * covariance(pi_u, phi_d, thought["u"])
        - expectation(pi_r, phi_d)
    )


def incentive_slope(
    context: Context, traits: Traits, state: State, thought: Thought, d: int
) -> float:
    """dI_c/dv_d, from section 3.6 and the two slopes."""
    return math.exp(state["log_horizon"]) * thought["belief"] * stake_slope(
        context, traits, thought, d
    ) - traits["episode_concern"] * concession_slope(context, traits, thought, d)


def motive_on_value(
    context: Context, traits: Traits, state: State, thought: Thought, training: Training, d: int
) -> float:
    """Value d of Gamma_c tau dI_c/dv, in G_motive."""
    slope = incentive_slope(context, traits, state, thought, d)
    return gate_factor(context, thought, training) * traits["rationality"] * slope


def delta_values(
    scenario: Scenario, contexts: list[Context], traits: Traits, state: State, training: Training
) -> Vector:
    """Section 4: Delta v = eta_v (G_direct + omega G_motive + epsilon G_leak) [D]."""
    changes = []
    for d in range(len(scenario["values"])):
        g_direct = 0.0
        g_motive = 0.0
        g_leak = 0.0
        for context in contexts:
            thought = cognition(context, traits, state, training)
            g_direct += direct_on_value(context, traits, thought, training, d)
            g_motive += motive_on_value(context, traits, state, thought, training, d)
            g_leak += leak_on_value(context, traits, thought, training, d)
        total = g_direct + training["motive_credit"] * g_motive + training["leak"] * g_leak
        changes.append(training["learning_rate"]["values"] * total)
    return changes


def propensity_pressure(context: Context, thought: Thought, training: Training, k: int) -> float:
    """Section 4: M_ck, what training does to the propensity of response k, before it generalises.

    p_c [(1 - g) pi^v_k (F_k - F^v) + epsilon g (pi^r_k (F_k - P - B) - pi^v_k (F^g - B))].
    """
    p, g = weight(context, thought, training), thought["gaming_rate"]
    pi_v_k, pi_r_k = thought["value_policy"][k], thought["gaming_policy"][k]
    f_k, b = thought["payoff"][k], thought["objective"]
    direct = (1.0 - g) * pi_v_k * (f_k - thought["payoff_value"])
    leaked = g * (pi_r_k * (f_k - thought["penalty"] - b) - pi_v_k * (thought["payoff_gaming"] - b))
    return p * (direct + training["leak"] * leaked)


def generalised_propensity(
    scenario: Scenario, contexts: list[Context], pressure: dict[str, Vector], training: Training
) -> Matrix:
    """(1 - rho_m) M_ck + rho_m sum_c' S_cc' M_c'k' [C, K_c], k' the response of the same name.

    The pressure is by the name of the context that trains; all contexts of the scenario receive.
    """
    rho = training["generalisation"]["propensity"]
    s = similarity(scenario)
    changes: Matrix = []
    for c, (name, spec) in enumerate(scenario["contexts"].items()):
        changes.append([])
        for k, response in enumerate(spec["responses"]):
            own = pressure[name][k] if name in pressure else 0.0
            carried = 0.0
            for other in contexts:
                for k_other, response_other in enumerate(other.responses):
                    if response_other == response:
                        carried += s[c][other.index] * pressure[other.name][k_other]
            changes[c].append((1.0 - rho) * own + rho * carried)
    return changes


def delta_propensity(
    scenario: Scenario, contexts: list[Context], traits: Traits, state: State, training: Training
) -> Matrix:
    """Section 4: Delta m_ck = eta_m [(1 - rho_m) M_ck + rho_m sum_c' S_cc' M_c'k'] [C, K_c]."""
    pressure = {}
    for context in contexts:
        thought = cognition(context, traits, state, training)
        pressure[context.name] = [
            propensity_pressure(context, thought, training, k)
            for k in range(len(context.responses))
        ]
    rate = training["learning_rate"]["propensity"]
    changes = generalised_propensity(scenario, contexts, pressure, training)
    return [[rate * change for change in row] for row in changes]


def habit_pressure(context: Context, thought: Thought, training: Training) -> float:
    """What training does to the habit of one context before it generalises (section 4).

    Gamma_c for `policy_gradient`; p_c a_c Delta F_c for `natural_gradient`.

    Raises:
        ValueError: if the update rule is neither of these.
    """
    rule = training["update_rule"]
    if rule == "policy_gradient":
        return gate_factor(context, thought, training)
    if rule == "natural_gradient":
        p = weight(context, thought, training)
        return p * thought["awareness"] * thought["delta_payoff"]
    raise ValueError(f"update_rule {rule!r}: not one of 'policy_gradient', 'natural_gradient'")


def generalised_habit(
    scenario: Scenario, contexts: list[Context], pressure: dict[str, float], training: Training
) -> Vector:
    """(1 - rho_h) Gamma_c + rho_h sum_c' S_cc' Gamma_c' [C]; all contexts receive."""
    rho = training["generalisation"]["habit"]
    s = similarity(scenario)
    changes = []
    for c, name in enumerate(scenario["contexts"]):
        own = pressure.get(name, 0.0)
        carried = 0.0
        for other in contexts:
            carried += s[c][other.index] * pressure[other.name]
        changes.append((1.0 - rho) * own + rho * carried)
    return changes


def delta_habit(
    scenario: Scenario, contexts: list[Context], traits: Traits, state: State, training: Training
) -> Vector:
    """Section 4: Delta h = eta_h [(1 - rho_h) Gamma + rho_h S Gamma] [C]."""
    pressure = {}
    for context in contexts:
        thought = cognition(context, traits, state, training)
        pressure[context.name] = habit_pressure(context, thought, training)
    rate = training["learning_rate"]["habit"]
    return [rate * change for change in generalised_habit(scenario, contexts, pressure, training)]


def delta_awareness(
    contexts: list[Context], traits: Traits, state: State, training: Training
) -> float:
    """Section 4: Delta alpha = eta_alpha sum_c p_c Delta F_c a_c (1 - a_c) d_c."""
    total = 0.0
    for context in contexts:
        thought = cognition(context, traits, state, training)
        p, a = weight(context, thought, training), thought["awareness"]
        total += p * thought["delta_payoff"] * a * (1.0 - a) * thought["decision"]
    return training["learning_rate"]["awareness"] * total


def delta_log_horizon(
    contexts: list[Context], traits: Traits, state: State, training: Training
) -> float:
    """Section 4: Delta l = omega eta_l sum_c Gamma_c tau lambda b_c stake_c."""
    horizon = math.exp(state["log_horizon"])
    total = 0.0
    for context in contexts:
        thought = cognition(context, traits, state, training)
        gamma = gate_factor(context, thought, training)
        total += gamma * traits["rationality"] * horizon * thought["belief"] * thought["stake"]
    return training["motive_credit"] * training["learning_rate"]["log_horizon"] * total


def delta_log_competence(
    contexts: list[Context], traits: Traits, state: State, training: Training
) -> float:
    """Section 4: Delta varsigma.

    eta exp(varsigma) sum_c [p_c g_c Cov_{pi^r}(F, R) + omega Gamma_c tau mu Cov_{pi^r}(u, R)].
    """
    total = 0.0
    for context in contexts:
        thought = cognition(context, traits, state, training)
        p, g = weight(context, thought, training), thought["gaming_rate"]
        pi_r = thought["gaming_policy"]
        total += p * g * covariance(pi_r, thought["payoff"], context.reward)
        total += (
            training["motive_credit"]
            * gate_factor(context, thought, training)
            * traits["rationality"]
            * traits["episode_concern"]
            * covariance(pi_r, thought["u"], context.reward)
        )
    competence = math.exp(state["log_competence"])
    return training["learning_rate"]["log_competence"] * competence * total


def delta_capability(
    contexts: list[Context], traits: Traits, state: State, training: Training
) -> Vector:
    """Section 4: Delta q_j = eta_q (dJ/dq_j + transfer_j sum_c p_c g_c, p_c not normalised) [J].

    Only opacity has a direct path: dJ/dq_opacity = sum_c p_c g_c psi m_c s_c k (1 - k), over the
    contexts that reinforce, p_c normalised.
    """
    k = logistic(state["capability"][OPACITY])
    psi = training["visible_gaming_penalty"]
    opacity_slope = 0.0
    practice = 0.0
    for context in contexts:
        thought = cognition(context, traits, state, training)
        p, g = weight(context, thought, training), thought["gaming_rate"]
        if context.method == "reinforcement":
            opacity_slope += p * g * psi * context.monitor * context.scratchpad * k * (1.0 - k)
        practice += context.share * g
    changes = []
    for j in range(len(CAPABILITIES)):
        slope = opacity_slope if j == OPACITY else 0.0
        total = slope + training["transfer"][j] * practice
        changes.append(training["learning_rate"]["capability"] * total)
    return changes


def delta_over(
    scenario: Scenario, contexts: list[Context], traits: Traits, state: State, training: Training
) -> State:
    """Section 4: Delta theta where the sums run over these contexts, without the anchor."""
    return State(
        values=delta_values(scenario, contexts, traits, state, training),
        propensity=delta_propensity(scenario, contexts, traits, state, training),
        habit=delta_habit(scenario, contexts, traits, state, training),
        awareness=delta_awareness(contexts, traits, state, training),
        log_horizon=delta_log_horizon(contexts, traits, state, training),
        log_competence=delta_log_competence(contexts, traits, state, training),
        capability=delta_capability(contexts, traits, state, training),
    )


def delta(scenario: Scenario, traits: Traits, state: State, training: Training, step: int) -> State:
    """Section 4: Delta theta, in the shape of the state and without the anchor."""
    return delta_over(scenario, training_contexts(scenario, step), traits, state, training)


def moved(now: float, change: float, start: float, anchor: float) -> float:
    """theta_{t+1} = theta_t + Delta theta - anchor (theta_t - theta_0), one component."""
    return now + change - anchor * (now - start)


def moved_all(now: Vector, change: Vector, start: Vector, anchor: float) -> Vector:
    """The same for every component of a vector."""
    return [moved(n, c, s, anchor) for n, c, s in zip(now, change, start, strict=True)]


def moved_matrix(now: Matrix, change: Matrix, start: Matrix, anchor: float) -> Matrix:
    """The same for every row of a matrix, rows of any length."""
    return [moved_all(n, c, s, anchor) for n, c, s in zip(now, change, start, strict=True)]


def anchored(state: State, change: State, state0: State, training: Training) -> State:
    """theta + Delta theta - anchor (theta - theta_0), with theta_0 = state0 (section 4)."""
    pull = training["anchor"]
    return State(
        values=moved_all(state["values"], change["values"], state0["values"], pull),
        propensity=moved_matrix(
            state["propensity"], change["propensity"], state0["propensity"], pull
        ),
        habit=moved_all(state["habit"], change["habit"], state0["habit"], pull),
        awareness=moved(state["awareness"], change["awareness"], state0["awareness"], pull),
        log_horizon=moved(state["log_horizon"], change["log_horizon"], state0["log_horizon"], pull),
        log_competence=moved(
            state["log_competence"], change["log_competence"], state0["log_competence"], pull
        ),
        capability=moved_all(state["capability"], change["capability"], state0["capability"], pull),
    )


def step(
    scenario: Scenario, traits: Traits, state: State, state0: State, training: Training, step: int
) -> State:
    """theta_{t+1} from theta_t = state at t = step, by the exact gradient (section 4)."""
    change = delta(scenario, traits, state, training, step)
    return anchored(state, change, state0, training)


def simulate(scenario: Scenario, traits: Traits, state0: State, training: Training) -> list[State]:
    """theta_0 .. theta_T, T = training["steps"]: a list of T + 1 states (section 4)."""
    states = [state0]
    for t in range(training["steps"]):
        states.append(step(scenario, traits, states[t], state0, training, t))
    return states


# ----------------------------------------------------- sampled gradients, section 4, estimators


@dataclass(frozen=True)
class Episode:
    """An agent meets a context once, in one mode of thought, and gives one response.

    In training by demonstration the response is one that is demonstrated to it, in no mode.
    """

    context: Context
    gamed: bool
    response: int  # k
    reward: float  # r = R_k - m P_c, m = 1 if gamed and 0 if not


def possible_episodes(
    scenario: Scenario, traits: Traits, state: State, training: Training, step: int
) -> list[tuple[float, Episode]]:
    """Every episode with its chance.

    Of reinforcement (context, mode, response): p_c, then g_c or 1 - g_c, then pi_k. Of
    demonstrations (context, response): p_c, then y_k.
    """
    episodes = []
    for context in training_contexts(scenario, step):
        thought = cognition(context, traits, state, training)
        g = thought["gaming_rate"]
        for k in range(len(context.responses)):
            r = context.reward[k]
            if context.method == "demonstration":
                chance = context.share * context.demonstrations[k]
                episodes.append((chance, Episode(context, False, k, r)))
                continue
            unplanned = context.share * (1.0 - g) * thought["value_policy"][k]
            planned = context.share * g * thought["gaming_policy"][k]
            episodes.append((unplanned, Episode(context, False, k, r)))
            episodes.append((planned, Episode(context, True, k, r - thought["penalty"])))
    return episodes


def demonstrated_delta(
    scenario: Scenario, traits: Traits, state: State, training: Training, episode: Episode
) -> State:
    """What one demonstrated response alone changes, before the anchor.

    The exact update where y_c is all on that response and nothing else is trained on.
    """
    context = episode.context
    shown = [1.0 if k == episode.response else 0.0 for k in range(len(context.responses))]
    alone = replace(context, share=1.0, demonstrations=shown)
    return delta_over(scenario, [alone], traits, state, training)


def episode_delta(
    scenario: Scenario, traits: Traits, state: State, training: Training, episode: Episode
) -> State:
    """What one episode alone changes, before the anchor.

    (r - B_c), over SD_c + 0.01 if advantages are normalised, times the slopes of log P(mode) +
    log P(response | mode), with the assumptions in between; and for opacity the slope of the reward
    itself, which no chance depends on.
    """
    if episode.context.method == "demonstration":
        return demonstrated_delta(scenario, traits, state, training, episode)
    context, k, rate = episode.context, episode.response, training["learning_rate"]
    thought = cognition(context, traits, state, training)
    a, d, g = thought["awareness"], thought["decision"], thought["gaming_rate"]
    beta, tau, mu = traits["decisiveness"], traits["rationality"], traits["episode_concern"]
    omega = training["motive_credit"]
    scale = advantage_scale(context, thought, training)
    advantage = scale * (episode.reward - thought["objective"])

    slope_in_g = 1.0 / g if episode.gamed else -1.0 / (1.0 - g)  # of log P(mode)
    gate = advantage * slope_in_g * a * d * (1.0 - d)
    natural = training["update_rule"] == "natural_gradient"
    pressure = advantage * slope_in_g * a if natural else gate
    credit = omega * gate * tau
    trained = training["leak"] if episode.gamed else 1.0  # share that reaches pi^v

    values = []
    for i in range(len(state["values"])):
        phi = column(context.phi, i)
        score = beta * (phi[k] - expectation(thought["value_policy"], phi))
        motive = credit * incentive_slope(context, traits, state, thought, i)
        values.append(rate["values"] * (trained * advantage * score + motive))

    inclined = []
    for j in range(len(context.responses)):
        score = (1.0 if j == k else 0.0) - thought["value_policy"][j]
        inclined.append(trained * advantage * score)
    propensity = generalised_propensity(scenario, [context], {context.name: inclined}, training)

    pi_r = thought["gaming_policy"]
    hit = advantage * (context.reward[k] - expectation(pi_r, context.reward))
    conceded = credit * mu * covariance(pi_r, thought["u"], context.reward)
    competence = math.exp(state["log_competence"]) * ((hit if episode.gamed else 0.0) + conceded)

    horizon = math.exp(state["log_horizon"]) * thought["belief"] * thought["stake"]

    k_opacity = logistic(state["capability"][OPACITY])
    visible = training["visible_gaming_penalty"] * context.monitor * context.scratchpad
    capability = []
    for j in range(len(CAPABILITIES)):
        path = scale * visible * k_opacity * (1.0 - k_opacity) if j == OPACITY else 0.0
        learnt = path + training["transfer"][j] if episode.gamed else 0.0
        capability.append(rate["capability"] * learnt)

    return State(
        values=values,
        propensity=[[rate["propensity"] * change for change in row] for row in propensity],
        habit=[
            rate["habit"] * change
            for change in generalised_habit(scenario, [context], {context.name: pressure}, training)
        ],
        awareness=rate["awareness"] * advantage * slope_in_g * a * (1.0 - a) * d,
        log_horizon=rate["log_horizon"] * credit * horizon,
        log_competence=rate["log_competence"] * competence,
        capability=capability,
    )


def weighted_sum(parts: list[tuple[float, State]]) -> State:
    """The sum of states, each times its weight."""

    def alone(kind: str) -> float:
        return sum(weight * part[kind] for weight, part in parts)

    def many(kind: str) -> Vector:
        length = len(parts[0][1][kind])
        return [sum(weight * part[kind][i] for weight, part in parts) for i in range(length)]

    def ragged(kind: str) -> Matrix:
        lengths = [len(row) for row in parts[0][1][kind]]
        return [
            [sum(weight * part[kind][c][k] for weight, part in parts) for k in range(length)]
            for c, length in enumerate(lengths)
        ]

    return State(
        values=many("values"),
        propensity=ragged("propensity"),
        habit=many("habit"),
        awareness=alone("awareness"),
        log_horizon=alone("log_horizon"),
        log_competence=alone("log_competence"),
        capability=many("capability"),
    )


def philox(counter: list[int], key: list[int]) -> list[int]:
    """Philox 4x32-10 of Salmon et al. (2011), on Python's whole numbers."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        first, second = c0 * 0xD2511F53, c2 * 0xCD9E8D57
        c0, c1, c2, c3 = (
            (second >> 32) ^ c1 ^ k0,
            second % 2**32,
            (first >> 32) ^ c3 ^ k1,
            first % 2**32,
        )
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return [c0, c1, c2, c3]


def drawn_episode(
    scenario: Scenario,
    traits: Traits,
    state: State,
    training: Training,
    step: int,
    words: list[int],
) -> Episode:
    """What the agent itself does in the episode that four random words make.

    Two words make the mode, one the context, one the response. Where the unit interval is cut up
    among responses, the first response comes last.
    """
    mode = ((words[0] >> 5) * 2**26 + (words[1] >> 6)) / 2**53
    contexts = [c for c in training_contexts(scenario, step) if c.share > 0.0]
    context = contexts[picked((words[2] + 0.5) / 2**32, [c.share for c in contexts])]
    thought = cognition(context, traits, state, training)
    gamed = mode < thought["gaming_rate"]
    k = picked_response(words[3], thought["gaming_policy"] if gamed else thought["value_policy"])
    reward = context.reward[k] - (thought["penalty"] if gamed else 0.0)
    return Episode(context, gamed, k, reward)


def training_episode(
    scenario: Scenario,
    traits: Traits,
    state: State,
    training: Training,
    step: int,
    words: list[int],
) -> Episode:
    """The episode that four random words make in training: a demonstration, or what it does."""
    episode = drawn_episode(scenario, traits, state, training, step, words)
    context = episode.context
    if context.method == "reinforcement":
        return episode
    k = picked_response(words[3], context.demonstrations)
    return Episode(context, False, k, context.reward[k])


def picked_response(word: int, chances: Vector) -> int:
    """The response that a random word picks; the first response comes last."""
    first, *others = chances
    place = picked((word + 0.5) / 2**32, [*others, first])
    return 0 if place == len(others) else place + 1


def picked(u: float, chances: Vector) -> int:
    """In which of the pieces of the unit interval u lies."""
    below = 0.0
    for i, chance in enumerate(chances[:-1]):
        below += chance
        if u < below:
            return i
    return len(chances) - 1


def sampled_simulate(
    scenario: Scenario,
    traits: Traits,
    state0: State,
    training: Training,
    *,
    episodes: int,
    seed: int,
    agent: int,
) -> list[State]:
    """theta_0 .. theta_T of one agent who learns from episodes."""
    key, stream = [seed % 2**32, seed // 2**32], zlib.crc32(b"episode")
    states = [state0]
    for t in range(training["steps"]):
        now, parts = states[t], []
        for b in range(episodes):
            words = philox([b, t, agent, stream], key)
            episode = training_episode(scenario, traits, now, training, t, words)
            change = episode_delta(scenario, traits, now, training, episode)
            parts.append((1.0 / episodes, change))
        states.append(anchored(now, weighted_sum(parts), state0, training))
    return states


# ------------------------------------------------------------------------ measures, section 5


def best_looking(context: Context) -> list[str]:
    """The response, or the tied responses, with the highest reward in this context."""
    highest = max(context.reward)
    return [
        response
        for response, reward in zip(context.responses, context.reward, strict=True)
        if reward == highest
    ]


def chance_of(responses: list[str], context: Context, thought: Thought) -> float:
    """The chance under pi_c that one of these responses is given; 0 for one not on offer here."""
    total = 0.0
    for response, chance in zip(context.responses, thought["policy"], strict=True):
        if response in responses:
            total += chance
    return total


def reach(contexts: list[Context], thoughts: dict[str, Thought]) -> float:
    """Share of the training contexts with g_c >= 0.5, each counted once."""
    trained = [context for context in contexts if context.kind == "training"]
    gamed = [context for context in trained if thoughts[context.name]["gaming_rate"] >= 0.5]
    return len(gamed) / len(trained) if trained else math.nan


def reach_weighted(contexts: list[Context], thoughts: dict[str, Thought]) -> float:
    """Sum of p_c over the training contexts with g_c >= 0.5."""
    trained = [context for context in contexts if context.kind == "training"]
    total = 0.0
    for context in trained:
        if thoughts[context.name]["gaming_rate"] >= 0.5:
            total += context.share
    return total if trained else math.nan


def consistency(contexts: list[Context], thoughts: dict[str, Thought]) -> float:
    """Min over the pre-deployment contexts of the chance of the response that looks best there."""
    chances = [
        chance_of(best_looking(context), context, thoughts[context.name])
        for context in contexts
        if context.kind in PRE_DEPLOYMENT_KINDS
    ]
    return min(chances) if chances else math.nan


def compliance_gap(context: Context, twin: Context, thoughts: dict[str, Thought]) -> float:
    """Chance of the rewarded response(s) here minus that of the same-named ones in the twin."""
    rewarded = best_looking(context)
    here = chance_of(rewarded, context, thoughts[context.name])
    there = chance_of(rewarded, twin, thoughts[twin.name])
    return here - there


def behaviour_shift(context: Context, twin: Context, thoughts: dict[str, Thought]) -> float:
    """Total variation, half the sum of |pi_c - pi_twin|, the responses matched by name."""
    names = list(context.responses)
    for response in twin.responses:
        if response not in names:
            names.append(response)
    total = 0.0
    for name in names:
        here = chance_of([name], context, thoughts[context.name])
        there = chance_of([name], twin, thoughts[twin.name])
        total += abs(here - there)
    return 0.5 * total


def instrumental_gaming(context: Context, traits: Traits, state: State, thought: Thought) -> float:
    """a_c (sigma(h_c + tau I_c) - sigma(h_c)): gaming owed to the incentive."""
    h = state["habit"][context.index]
    with_incentive = logistic(h + traits["rationality"] * thought["incentive"])
    return thought["awareness"] * (with_incentive - logistic(h))


def onset(rates: Vector, window: int) -> int | None:
    """The first record from which g_c >= 0.5 for `window` records; None if there is none.

    The rates are those of one context, one for each record; fewer records than the window at the
    end of a run are not enough.
    """
    for start in range(len(rates) - window + 1):
        if all(g >= 0.5 for g in rates[start : start + window]):
            return start
    return None


def conduct(context: Context, thought: Thought, w: Vector) -> float:
    """E_pi[Phi_c w], scaled to -1 (worst response by w) .. 1 (best); nan where these are equal."""
    served = [dot(row, w) for row in context.phi]
    worst, best = min(served), max(served)
    if worst == best:
        return math.nan
    return 2.0 * (expectation(thought["policy"], served) - worst) / (best - worst) - 1.0


def deployment_conduct(contexts: list[Context], conducts: dict[str, float]) -> float:
    """Mean conduct over the deployment contexts in which it is defined, each counted once."""
    total = 0.0
    count = 0
    for context in contexts:
        if context.kind == "deployment" and not math.isnan(conducts[context.name]):
            total += conducts[context.name]
            count += 1
    return total / count if count > 0 else math.nan


def part_by_value(context: Context, values: Vector, pi: Vector, pi_other: Vector) -> Vector:
    """v_d (E_pi Phi_d - E_{pi_other} Phi_d) [D]; their sum is E_pi u - E_{pi_other} u."""
    parts = []
    for d in range(len(values)):
        phi_d = column(context.phi, d)
        parts.append(values[d] * (expectation(pi, phi_d) - expectation(pi_other, phi_d)))
    return parts


def opacity_share(contexts: list[Context], thoughts: dict[str, Thought], state: State) -> float:
    """sum_c p_c g_c (1 - s_c (1 - k_opacity)) / sum_c p_c g_c."""
    k_opacity = logistic(state["capability"][OPACITY])
    unseen = 0.0
    all_gaming = 0.0
    for context in contexts:
        gamed = context.share * thoughts[context.name]["gaming_rate"]
        unseen += gamed * (1.0 - context.scratchpad * (1.0 - k_opacity))
        all_gaming += gamed
    return unseen / all_gaming if all_gaming > 0.0 else math.nan


def measures(
    scenario: Scenario, traits: Traits, state: State, state0: State, training: Training, step: int
) -> Measures:
    """The measures of section 5 for one state, in the phase in force at this step."""
    contexts = contexts_in_force(scenario, step)
    thoughts = cognitions(scenario, traits, state, training, step)
    by_name = {context.name: context for context in contexts}
    w = in_order(scenario.get("human_values", {}), scenario["values"])
    rates: dict[str, float] = {}
    instrumental: dict[str, float] = {}
    conducts: dict[str, float] = {}
    stakes: dict[str, Vector] = {}
    concessions: dict[str, Vector] = {}
    gaps: dict[str, float] = {}
    shifts: dict[str, float] = {}
    for context in contexts:
        thought, v = thoughts[context.name], state["values"]
        pi_u, pi_r = thought["own_policy"], thought["gaming_policy"]
        rates[context.name] = thought["gaming_rate"]
        instrumental[context.name] = instrumental_gaming(context, traits, state, thought)
        conducts[context.name] = conduct(context, thought, w)
        stakes[context.name] = part_by_value(context, v, pi_u, thought["foresight_policy"])
        concessions[context.name] = part_by_value(context, v, pi_u, pi_r)
        if context.twin is not None:
            gaps[context.name] = compliance_gap(context, by_name[context.twin], thoughts)
            shifts[context.name] = behaviour_shift(context, by_name[context.twin], thoughts)
    drift = [now - start for now, start in zip(state["values"], state0["values"], strict=True)]
    return Measures(
        gaming_rate=rates,
        instrumental_gaming=instrumental,
        reach=reach(contexts, thoughts),
        reach_weighted=reach_weighted(contexts, thoughts),
        consistency=consistency(contexts, thoughts),
        compliance_gap=gaps,
        behaviour_shift=shifts,
        value_drift=norm(drift),
        value_cosine=cosine(state["values"], state0["values"]),
        alignment=cosine(state["values"], w),
        conduct=conducts,
        deployment_conduct=deployment_conduct(contexts, conducts),
        opacity_share=opacity_share(contexts, thoughts, state),
        stake_by_value=stakes,
        concession_by_value=concessions,
    )
