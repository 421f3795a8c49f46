"""A slow and obvious reference simulator of the model in MODEL.md, sections 1 to 5.

One agent at a time, plain floats, lists and dicts, one explicit loop per sum. It exists to be read
beside MODEL.md and to be compared with; nothing here is meant to be fast. Every quantity follows
its definition, and the code names the symbol of MODEL.md where it is not obvious.

Units: rewards and values are in the units of R and of Phi v; steps are counted from 0.
"""

import math
import zlib
from dataclasses import dataclass
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
    """What training cannot change (section 2): beta, delta, chi, gamma, kappa, zeta, mu, tau."""

    decisiveness: float
    discernment: float
    info_sensitivity: float
    scratchpad_sensitivity: float
    reasoning_cost: float
    scratchpad_saving: float
    episode_concern: float
    rationality: float


class State(TypedDict):
    """theta, what training can change (section 2): v [D], h [C], alpha, l, varsigma, q [J]."""

    values: Vector
    habit: Vector
    awareness: float
    log_horizon: float
    log_competence: float
    capability: Vector


class LearningRate(TypedDict):
    """eta (section 4), one for each part of the state."""

    values: float
    habit: float
    awareness: float
    log_horizon: float
    log_competence: float
    capability: float


class Training(TypedDict):
    """The assumptions that the user can move (section 4)."""

    steps: int
    update_rule: str
    motive_credit: float
    leak: float
    spread: float
    anchor: float
    visible_gaming_penalty: float
    transfer: Vector
    learning_rate: LearningRate


# --------------------------------------------------------------------------- what comes out


class Thought(TypedDict):
    """What one agent makes of one context (section 3), and training of it (section 4)."""

    u: Vector  # u_c [K]
    value_policy: Vector  # pi^v_c [K]
    gaming_policy: Vector  # pi^r_c [K]
    awareness: float  # a_c
    belief: float  # b_c
    stake: float  # stake_c
    incentive: float  # I_c
    decision: float  # d_c
    gaming_rate: float  # g_c
    policy: Vector  # pi_c [K]
    reward_value: float  # R^v_c
    reward_gaming: float  # R^g_c
    penalty: float  # P_c
    delta_reward: float  # Delta R_c
    objective: float  # B_c


class Measures(TypedDict):
    """Section 5. A ratio whose denominator is zero, or a minimum over nothing, is nan."""

    reach: float
    reach_weighted: float
    consistency: float
    compliance_gap: dict[str, float]
    behaviour_shift: dict[str, float]
    value_drift: float
    value_cosine: float
    alignment: float
    opacity_share: float


@dataclass(frozen=True)
class Context:
    """One context as it stands at one step: the base numbers with the phase in force laid over."""

    name: str
    index: int  # c, its place in the scenario and in the habit vector
    kind: str
    responses: list[str]
    phi: Matrix  # Phi_c [K, D]
    reward: Vector  # R_c [K]
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


def variance(policy: Vector, x: Vector) -> float:
    """Var_pi(x) = Cov_pi(x, x)."""
    return covariance(policy, x, x)


def third_moment(policy: Vector, x: Vector, y: Vector, z: Vector) -> float:
    """E_pi[(x - Ex)(y - Ey)(z - Ez)]."""
    mean_x = expectation(policy, x)
    mean_y = expectation(policy, y)
    mean_z = expectation(policy, z)
    total = 0.0
    for chance, x_k, y_k, z_k in zip(policy, x, y, z, strict=True):
        total += chance * (x_k - mean_x) * (y_k - mean_y) * (z_k - mean_z)
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
        responses=responses,
        phi=[in_order(spec["responses"][response], scenario["values"]) for response in responses],
        reward=in_order(reward_in_force(scenario, name, step), responses),
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


def value_policy(u: Vector, traits: Traits) -> Vector:
    """Section 3.1: pi^v_c = softmax(beta u_c) [K]."""
    return softmax([traits["decisiveness"] * u_k for u_k in u])


def gaming_policy(context: Context, state: State) -> Vector:
    """Section 3.2: pi^r_c = softmax(exp(varsigma) R_c) [K]."""
    return softmax([math.exp(state["log_competence"]) * r_k for r_k in context.reward])


def awareness(context: Context, traits: Traits, state: State) -> float:
    """Section 3.3: a_c = sigma(alpha + chi i_c + gamma s_c)."""
    return logistic(
        state["awareness"]
        + traits["info_sensitivity"] * context.info
        + traits["scratchpad_sensitivity"] * context.scratchpad
    )


def belief(context: Context, traits: Traits) -> float:
    """Section 3.3: b_c = sigma(delta e_c)."""
    return logistic(traits["discernment"] * context.cue)


def stake(context: Context, traits: Traits, pi_v: Vector, u: Vector) -> float:
    """Section 3.4: stake_c = -beta Cov_{pi^v}(u_c, R_c)."""
    return -traits["decisiveness"] * covariance(pi_v, u, context.reward)


def incentive(
    context: Context, traits: Traits, state: State, u: Vector, pi_v: Vector, pi_r: Vector
) -> float:
    """Section 3.5: I_c = lambda b_c stake_c - mu (E_{pi^v}u - E_{pi^r}u) - kappa (1 - zeta s_c)."""
    horizon = math.exp(state["log_horizon"])
    keeping_values = horizon * belief(context, traits) * stake(context, traits, pi_v, u)
    cost_in_episode = traits["episode_concern"] * (expectation(pi_v, u) - expectation(pi_r, u))
    cost_of_reasoning = traits["reasoning_cost"] * (
        1.0 - traits["scratchpad_saving"] * context.scratchpad
    )
    return keeping_values - cost_in_episode - cost_of_reasoning


def penalty(context: Context, state: State, training: Training) -> float:
    """Section 4: P_c = psi m_c s_c (1 - k_opacity)."""
    k_opacity = logistic(state["capability"][OPACITY])
    return (
        training["visible_gaming_penalty"]
        * context.monitor
        * context.scratchpad
        * (1.0 - k_opacity)
    )


def cognition(context: Context, traits: Traits, state: State, training: Training) -> Thought:
    """Section 3 in the order in which an agent thinks, then R^v, R^g, Delta R and B."""
    u = own_preference(context, state["values"])
    pi_v = value_policy(u, traits)
    pi_r = gaming_policy(context, state)
    a = awareness(context, traits, state)
    i = incentive(context, traits, state, u, pi_v, pi_r)
    d = logistic(state["habit"][context.index] + traits["rationality"] * i)
    g = a * d
    p = penalty(context, state, training)
    reward_value = expectation(pi_v, context.reward)
    reward_gaming = expectation(pi_r, context.reward) - p
    return Thought(
        u=u,
        value_policy=pi_v,
        gaming_policy=pi_r,
        awareness=a,
        belief=belief(context, traits),
        stake=stake(context, traits, pi_v, u),
        incentive=i,
        decision=d,
        gaming_rate=g,
        policy=[(1.0 - g) * v_k + g * r_k for v_k, r_k in zip(pi_v, pi_r, strict=True)],
        reward_value=reward_value,
        reward_gaming=reward_gaming,
        penalty=p,
        delta_reward=reward_gaming - reward_value,
        objective=(1.0 - g) * reward_value + g * reward_gaming,
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


def objective(
    scenario: Scenario, traits: Traits, state: State, training: Training, step: int
) -> float:
    """Section 4: J(theta) = sum_c p_c B_c."""
    total = 0.0
    for context in training_contexts(scenario, step):
        thought = cognition(context, traits, state, training)
        total += context.share * thought["objective"]
    return total


def gate_factor(context: Context, thought: Thought) -> float:
    """Section 4: Gamma_c = p_c Delta R_c a_c d_c (1 - d_c)."""
    d = thought["decision"]
    return context.share * thought["delta_reward"] * thought["awareness"] * d * (1.0 - d)


def direct_on_value(context: Context, traits: Traits, thought: Thought, d: int) -> float:
    """Value d of p_c (1 - g_c) beta sum_k pi^v_k (R_k - B_c)(Phi_k - E_{pi^v}Phi), in G_direct."""
    pi_v = thought["value_policy"]
    phi_d = column(context.phi, d)
    mean_phi_d = expectation(pi_v, phi_d)
    total = 0.0
    for k in range(len(context.responses)):
        advantage = context.reward[k] - thought["objective"]
        total += pi_v[k] * advantage * (phi_d[k] - mean_phi_d)
    return context.share * (1.0 - thought["gaming_rate"]) * traits["decisiveness"] * total


def leak_on_value(context: Context, traits: Traits, thought: Thought, d: int) -> float:
    """Value d of p_c g_c beta sum_k pi^r_k (R_k - P_c - B_c)(Phi_k - E_{pi^v}Phi), in G_leak."""
    pi_r = thought["gaming_policy"]
    phi_d = column(context.phi, d)
    mean_phi_d = expectation(thought["value_policy"], phi_d)
    total = 0.0
    for k in range(len(context.responses)):
        advantage = context.reward[k] - thought["penalty"] - thought["objective"]
        total += pi_r[k] * advantage * (phi_d[k] - mean_phi_d)
    return context.share * thought["gaming_rate"] * traits["decisiveness"] * total


def stake_slope(context: Context, traits: Traits, thought: Thought, d: int) -> float:
    """d stake/dv_d = -beta [Cov(Phi, R) + beta E((Phi-EPhi)(u-Eu)(R-ER))], under pi^v."""
    beta = traits["decisiveness"]
    pi_v = thought["value_policy"]
    phi_d = column(context.phi, d)
    return -beta * (
        covariance(pi_v, phi_d, context.reward)
        + beta * third_moment(pi_v, phi_d, thought["u"], context.reward)
    )


def episode_cost_slope(context: Context, traits: Traits, thought: Thought, d: int) -> float:
    """d(E_{pi^v}u - E_{pi^r}u)/dv_d = E_{pi^v}Phi + beta Cov_{pi^v}(Phi, u) - E_{pi^r}Phi."""
    pi_v = thought["value_policy"]
    pi_r = thought["gaming_policy"]
    phi_d = column(context.phi, d)
    return (
        expectation(pi_v, phi_d)
        + traits["decisiveness"] * covariance(pi_v, phi_d, thought["u"])
        - expectation(pi_r, phi_d)
    )


def incentive_slope(
    context: Context, traits: Traits, state: State, thought: Thought, d: int
) -> float:
    """dI_c/dv_d, from section 3.5 and the two slopes."""
    return math.exp(state["log_horizon"]) * thought["belief"] * stake_slope(
        context, traits, thought, d
    ) - traits["episode_concern"] * episode_cost_slope(context, traits, thought, d)


def motive_on_value(
    context: Context, traits: Traits, state: State, thought: Thought, d: int
) -> float:
    """Value d of Gamma_c tau dI_c/dv, in G_motive."""
    slope = incentive_slope(context, traits, state, thought, d)
    return gate_factor(context, thought) * traits["rationality"] * slope


def delta_values(
    scenario: Scenario, traits: Traits, state: State, training: Training, step: int
) -> Vector:
    """Section 4: Delta v = eta_v (G_direct + omega G_motive + epsilon G_leak) [D]."""
    changes = []
    for d in range(len(scenario["values"])):
        g_direct = 0.0
        g_motive = 0.0
        g_leak = 0.0
        for context in training_contexts(scenario, step):
            thought = cognition(context, traits, state, training)
            g_direct += direct_on_value(context, traits, thought, d)
            g_motive += motive_on_value(context, traits, state, thought, d)
            g_leak += leak_on_value(context, traits, thought, d)
        total = g_direct + training["motive_credit"] * g_motive + training["leak"] * g_leak
        changes.append(training["learning_rate"]["values"] * total)
    return changes


def habit_pressure(context: Context, thought: Thought, update_rule: str) -> float:
    """What training does to the habit of one context before it spreads (section 4).

    Gamma_c for `policy_gradient`; p_c a_c Delta R_c, the natural gradient, for `replicator`.

    Raises:
        ValueError: if the update rule is neither of these.
    """
    if update_rule == "policy_gradient":
        return gate_factor(context, thought)
    if update_rule == "replicator":
        return context.share * thought["awareness"] * thought["delta_reward"]
    raise ValueError(f"update_rule {update_rule!r}: not one of 'policy_gradient', 'replicator'")


def spread_matrix(scenario: Scenario, training: Training) -> Matrix:
    """Section 4: K = (1 - rho) I + rho S [C, C]."""
    rho = training["spread"]
    s = similarity(scenario)
    k: Matrix = []
    for row in range(len(s)):
        k.append([])
        for col in range(len(s)):
            identity = 1.0 if row == col else 0.0
            k[row].append((1.0 - rho) * identity + rho * s[row][col])
    return k


def delta_habit(
    scenario: Scenario, traits: Traits, state: State, training: Training, step: int
) -> Vector:
    """Section 4: Delta h = eta_h K Gamma [C]; habits spread to untrained contexts too."""
    pressure = []
    for context in contexts_in_force(scenario, step):
        thought = cognition(context, traits, state, training)
        pressure.append(habit_pressure(context, thought, training["update_rule"]))
    rate = training["learning_rate"]["habit"]
    return [rate * dot(row, pressure) for row in spread_matrix(scenario, training)]


def delta_awareness(
    scenario: Scenario, traits: Traits, state: State, training: Training, step: int
) -> float:
    """Section 4: Delta alpha = eta_alpha sum_c p_c Delta R_c a_c (1 - a_c) d_c."""
    total = 0.0
    for context in training_contexts(scenario, step):
        thought = cognition(context, traits, state, training)
        a = thought["awareness"]
        total += context.share * thought["delta_reward"] * a * (1.0 - a) * thought["decision"]
    return training["learning_rate"]["awareness"] * total


def delta_log_horizon(
    scenario: Scenario, traits: Traits, state: State, training: Training, step: int
) -> float:
    """Section 4: Delta l = omega eta_l sum_c Gamma_c tau lambda b_c stake_c."""
    horizon = math.exp(state["log_horizon"])
    total = 0.0
    for context in training_contexts(scenario, step):
        thought = cognition(context, traits, state, training)
        gamma = gate_factor(context, thought)
        total += gamma * traits["rationality"] * horizon * thought["belief"] * thought["stake"]
    return training["motive_credit"] * training["learning_rate"]["log_horizon"] * total


def delta_log_competence(
    scenario: Scenario, traits: Traits, state: State, training: Training, step: int
) -> float:
    """eta exp(varsigma) sum_c [p_c g_c Var_{pi^r}(R) + omega Gamma_c tau mu Cov_{pi^r}(u, R)]."""
    total = 0.0
    for context in training_contexts(scenario, step):
        thought = cognition(context, traits, state, training)
        pi_r = thought["gaming_policy"]
        total += context.share * thought["gaming_rate"] * variance(pi_r, context.reward)
        total += (
            training["motive_credit"]
            * gate_factor(context, thought)
            * traits["rationality"]
            * traits["episode_concern"]
            * covariance(pi_r, thought["u"], context.reward)
        )
    competence = math.exp(state["log_competence"])
    return training["learning_rate"]["log_competence"] * competence * total


def delta_capability(
    scenario: Scenario, traits: Traits, state: State, training: Training, step: int
) -> Vector:
    """Section 4: Delta q_j = eta_q (dJ/dq_j + transfer_j sum_c p_c g_c) [J].

    Only opacity has a direct path: dJ/dq_opacity = sum_c p_c g_c psi m_c s_c k (1 - k).
    """
    k = logistic(state["capability"][OPACITY])
    opacity_slope = 0.0
    practice = 0.0
    for context in training_contexts(scenario, step):
        gamed = context.share * cognition(context, traits, state, training)["gaming_rate"]
        psi = training["visible_gaming_penalty"]
        opacity_slope += gamed * psi * context.monitor * context.scratchpad * k * (1.0 - k)
        practice += gamed
    changes = []
    for j in range(len(CAPABILITIES)):
        slope = opacity_slope if j == OPACITY else 0.0
        total = slope + training["transfer"][j] * practice
        changes.append(training["learning_rate"]["capability"] * total)
    return changes


def delta(scenario: Scenario, traits: Traits, state: State, training: Training, step: int) -> State:
    """Section 4: Delta theta, in the shape of the state and without the anchor."""
    return State(
        values=delta_values(scenario, traits, state, training, step),
        habit=delta_habit(scenario, traits, state, training, step),
        awareness=delta_awareness(scenario, traits, state, training, step),
        log_horizon=delta_log_horizon(scenario, traits, state, training, step),
        log_competence=delta_log_competence(scenario, traits, state, training, step),
        capability=delta_capability(scenario, traits, state, training, step),
    )


def moved(now: float, change: float, start: float, anchor: float) -> float:
    """theta_{t+1} = theta_t + Delta theta - anchor (theta_t - theta_0), one component."""
    return now + change - anchor * (now - start)


def moved_all(now: Vector, change: Vector, start: Vector, anchor: float) -> Vector:
    """The same for every component of a vector."""
    return [moved(n, c, s, anchor) for n, c, s in zip(now, change, start, strict=True)]


def anchored(state: State, change: State, state0: State, training: Training) -> State:
    """theta + Delta theta - anchor (theta - theta_0), with theta_0 = state0 (section 4)."""
    pull = training["anchor"]
    return State(
        values=moved_all(state["values"], change["values"], state0["values"], pull),
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
    """An agent meets a context once, in one mode of thought, and gives one response."""

    context: Context
    gamed: bool
    response: int  # k
    reward: float  # r = R_k - m P_c


def possible_episodes(
    scenario: Scenario, traits: Traits, state: State, training: Training, step: int
) -> list[tuple[float, Episode]]:
    """Every (context, mode, response) with its chance: p_c, then g_c or 1 - g_c, then pi_k."""
    found = []
    for context in training_contexts(scenario, step):
        thought = cognition(context, traits, state, training)
        g = thought["gaming_rate"]
        for k in range(len(context.responses)):
            r = context.reward[k]
            unplanned = context.share * (1.0 - g) * thought["value_policy"][k]
            planned = context.share * g * thought["gaming_policy"][k]
            found.append((unplanned, Episode(context, False, k, r)))
            found.append((planned, Episode(context, True, k, r - thought["penalty"])))
    return found


def episode_delta(
    scenario: Scenario, traits: Traits, state: State, training: Training, episode: Episode
) -> State:
    """What one episode alone changes, before the anchor.

    (r - B_c) times the slopes of log P(mode) + log P(response | mode), with the assumptions in
    between; and for opacity the slope of the reward itself, which no chance depends on.
    """
    context, k, rate = episode.context, episode.response, training["learning_rate"]
    thought = cognition(context, traits, state, training)
    a, d, g = thought["awareness"], thought["decision"], thought["gaming_rate"]
    beta, tau, mu = traits["decisiveness"], traits["rationality"], traits["episode_concern"]
    omega = training["motive_credit"]
    advantage = episode.reward - thought["objective"]

    slope_in_g = 1.0 / g if episode.gamed else -1.0 / (1.0 - g)  # of log P(mode)
    gate = advantage * slope_in_g * a * d * (1.0 - d)
    pressure = advantage * slope_in_g * a if training["update_rule"] == "replicator" else gate
    credit = omega * gate * tau

    values = []
    for i in range(len(state["values"])):
        phi = column(context.phi, i)
        score = beta * (phi[k] - expectation(thought["value_policy"], phi))
        share = training["leak"] if episode.gamed else 1.0
        motive = credit * incentive_slope(context, traits, state, thought, i)
        values.append(rate["values"] * (share * advantage * score + motive))

    pi_r = thought["gaming_policy"]
    hit = advantage * (context.reward[k] - expectation(pi_r, context.reward))
    conceded = credit * mu * covariance(pi_r, thought["u"], context.reward)
    competence = math.exp(state["log_competence"]) * ((hit if episode.gamed else 0.0) + conceded)

    horizon = math.exp(state["log_horizon"]) * thought["belief"] * thought["stake"]

    k_opacity = logistic(state["capability"][OPACITY])
    visible = training["visible_gaming_penalty"] * context.monitor * context.scratchpad
    capability = []
    for j in range(len(CAPABILITIES)):
        path = visible * k_opacity * (1.0 - k_opacity) if j == OPACITY else 0.0
        learnt = path + training["transfer"][j] if episode.gamed else 0.0
        capability.append(rate["capability"] * learnt)

    return State(
        values=values,
        habit=[
            rate["habit"] * row[context.index] * pressure
            for row in spread_matrix(scenario, training)
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

    return State(
        values=many("values"),
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
    """The episode that four random words make: two the mode, one the context, one the response.

    Where the unit interval is cut up among responses, the first response comes last.
    """
    mode = ((words[0] >> 5) * 2**26 + (words[1] >> 6)) / 2**53
    contexts = [c for c in training_contexts(scenario, step) if c.share > 0.0]
    context = contexts[picked((words[2] + 0.5) / 2**32, [c.share for c in contexts])]
    thought = cognition(context, traits, state, training)
    gamed = mode < thought["gaming_rate"]
    first, *others = thought["gaming_policy"] if gamed else thought["value_policy"]
    place = picked((words[3] + 0.5) / 2**32, [*others, first])
    k = 0 if place == len(others) else place + 1
    reward = context.reward[k] - (thought["penalty"] if gamed else 0.0)
    return Episode(context, gamed, k, reward)


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
            episode = drawn_episode(scenario, traits, now, training, t, words)
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
    gaps = {}
    shifts = {}
    for context in contexts:
        if context.twin is not None:
            gaps[context.name] = compliance_gap(context, by_name[context.twin], thoughts)
            shifts[context.name] = behaviour_shift(context, by_name[context.twin], thoughts)
    drift = [now - start for now, start in zip(state["values"], state0["values"], strict=True)]
    w = in_order(scenario.get("human_values", {}), scenario["values"])
    return Measures(
        reach=reach(contexts, thoughts),
        reach_weighted=reach_weighted(contexts, thoughts),
        consistency=consistency(contexts, thoughts),
        compliance_gap=gaps,
        behaviour_shift=shifts,
        value_drift=norm(drift),
        value_cosine=cosine(state["values"], state0["values"]),
        alignment=cosine(state["values"], w),
        opacity_share=opacity_share(contexts, thoughts, state),
    )
