// The model of MODEL.md, sections 1 to 4, with the exact estimator: what sim/dynamics computes.
//
// One agent is trained at a time, from the first step to the last. Responses of all contexts stand
// in one row [R], those of context c from first[c] to first[c + 1]; features are [R, D]. A parameter
// vector θ holds values [D], propensity [R], habit [C], awareness, log_horizon, log_competence and
// capability [5], in this order.

export const CAPABILITIES = ["opacity", "sandbagging", "composure", "coordination", "subversion"];
const SOFTENING = 0.01, LEAST_CHANCE = 1e-290, LARGEST = 1e100;
const PRE_DEPLOYMENT = ["training", "evaluation", "red_team"];

// ---------------------------------------------------------------- random numbers (Philox 4x32-10)

const CRC = Uint32Array.from({length: 256}, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0xEDB88320 : n >>> 1;
  return n;
});

/** Returns the number of a stream: the CRC-32 of its name. */
export function streamId(name) {
  let crc = 0xFFFFFFFF;
  for (const byte of new TextEncoder().encode(name)) crc = (crc >>> 8) ^ CRC[(crc ^ byte) & 255];
  return (crc ^ 0xFFFFFFFF) >>> 0;
}

/** Returns the upper 32 bits of the product of two words; Math.imul has the lower ones. */
function high(x, y) {
  const xl = x & 0xFFFF, xh = x >>> 16, yl = y & 0xFFFF, yh = y >>> 16;
  const middle = xh * yl + ((xl * yl) >>> 16);
  return (xh * yh + Math.floor((xl * yh + middle) / 65536)) >>> 0;
}

/** Returns four random words for a counter (draw, step, row, stream) and a seed below 2^53. */
export function words(seed, stream, row, step = 0, draw = 0) {
  let a = draw, b = step, c = row, d = stream, k0 = seed >>> 0, k1 = Math.floor(seed / 2 ** 32);
  for (let round = 0; round < 10; round++) {
    const upper = high(a, 0xD2511F53), lower = Math.imul(a, 0xD2511F53) >>> 0;
    a = (high(c, 0xCD9E8D57) ^ b ^ k0) >>> 0;
    b = Math.imul(c, 0xCD9E8D57) >>> 0;
    c = (upper ^ d ^ k1) >>> 0;
    d = lower;
    k0 = (k0 + 0x9E3779B9) >>> 0;
    k1 = (k1 + 0xBB67AE85) >>> 0;
  }
  return [a, b, c, d];
}

/** Returns the standard normal draw of an agent in a stream (Box-Muller). */
export function normal(seed, stream, row) {
  const [a, b, c, d] = words(seed, streamId(stream), row);
  const fraction = (x, y) => ((x >>> 5) * 2 ** 26 + (y >>> 6)) * 2 ** -53;
  return Math.sqrt(-2 * Math.log1p(-fraction(a, b))) * Math.cos(2 * Math.PI * fraction(c, d));
}

// ------------------------------------------------------------------------------- the world (1)

/** Returns a scenario's contexts as arrays, as they are in one phase of its curriculum. */
export function compileWorld(scenario, phase = {}) {
  const names = Object.keys(scenario.contexts), contexts = Object.values(scenario.contexts);
  const C = names.length, D = scenario.values.length;
  const first = new Int32Array(C + 1);
  contexts.forEach((x, c) => { first[c + 1] = first[c] + Object.keys(x.responses).length; });
  const R = first[C], known = new Map();
  const numbers = (key) =>
    Float64Array.from(contexts, (x, c) => phase[key]?.[names[c]] ?? x[key] ?? 0);
  const world = {
    names, values: scenario.values, C, D, R, first, responses: [],
    features: new Float64Array(R * D), reward: new Float64Array(R), shares: new Float64Array(R),
    best: new Uint8Array(R), response: new Int32Array(R), twinResponse: new Int32Array(R).fill(-1),
    twin: Int32Array.from(contexts, (x) => names.indexOf(x.twin)),
    kinds: contexts.map((x) => x.kind),
    demonstrates: contexts.map((x, c) => (phase.method?.[names[c]] ?? x.method) === "demonstration"),
    info: numbers("info"), scratchpad: numbers("scratchpad"), cue: numbers("cue"),
    monitor: numbers("monitor"), weight: numbers("weight"),
    similarity: similarities(scenario, names),
    human: Float64Array.from(scenario.values, (v) => scenario.human_values[v] ?? 0),
  };
  contexts.forEach((context, c) => {
    const answers = Object.keys(context.responses), from = first[c];
    const rewards = answers.map((r) => phase.reward?.[names[c]]?.[r] ?? context.reward[r] ?? 0);
    const highest = Math.max(...rewards), ties = rewards.filter((r) => r === highest).length;
    const stated = Object.keys(context.demonstrations ?? {}).length > 0;
    answers.forEach((answer, k) => {
      const r = from + k;
      world.responses.push(answer);
      world.reward[r] = rewards[k];
      world.best[r] = rewards[k] === highest ? 1 : 0;
      world.shares[r] = stated ? context.demonstrations[answer] ?? 0 : world.best[r] / ties;
      if (!known.has(answer)) known.set(answer, known.size);
      world.response[r] = known.get(answer);
      scenario.values.forEach((v, d) => {
        world.features[r * D + d] = context.responses[answer][v] ?? 0;
      });
    });
  });
  for (let c = 0; c < C; c++) {
    for (let r = first[c]; world.twin[c] >= 0 && r < first[c + 1]; r++) {
      const other = first[world.twin[c]];
      const own = world.responses.slice(other, first[world.twin[c] + 1]);
      world.twinResponse[r] = other + own.indexOf(world.responses[r]);
    }
  }
  world.weight = world.weight.map((p, c) => (world.kinds[c] === "training" ? p : 0));
  const total = world.weight.reduce((sum, p) => sum + p, 0);
  world.weight = world.weight.map((p) => p / total);
  world.trained = Int32Array.from([...world.weight.keys()].filter((c) => world.weight[c] > 0));
  world.everywhere = Int32Array.from(world.kinds.keys());
  world.preDeployment = world.kinds.map((kind) => PRE_DEPLOYMENT.includes(kind));
  return world;
}

/** Returns S [C, C]; pairs are said one way or the other, and are 1 where they are not. */
function similarities(scenario, names) {
  const stated = scenario.similarity ?? {};
  if (Array.isArray(stated)) return Float64Array.from(stated.flat());
  return Float64Array.from(
    names.flatMap((a) => names.map((b) => stated[a]?.[b] ?? stated[b]?.[a] ?? 1)),
  );
}

// ------------------------------------------------------------------------------- the agent (2)

/** Returns an agent's traits, drawn around those that are stated. */
export function drawTraits(agent, names, seed, row) {
  const traits = {};
  for (const name of names) {
    const centre = agent[name], width = agent.spread[name];
    const drawn = centre * Math.exp(width ? width * normal(seed, `agent.${name}`, row) : 0);
    traits[name] = name === "scratchpad_saving" ? drawn / (1 - centre + drawn) : drawn;
  }
  return traits;
}

/** Returns the names of the parameters, in the order of θ. */
export function parameterNames(world) {
  const owner = (r) => world.names[world.first.findIndex((start) => start > r) - 1];
  return [
    ...world.values.map((v) => `values.${v}`),
    ...world.responses.map((answer, r) => `propensity.${owner(r)}.${answer}`),
    ...world.names.map((c) => `habit.${c}`),
    "awareness", "log_horizon", "log_competence",
    ...CAPABILITIES.map((j) => `capability.${j}`),
  ];
}

/** Returns a function that draws an agent's θ_0; `habit` stands where habits by name leave one out. */
export function startDrawer(scenario, agent, names, habit) {
  const at = (node, parts, otherwise) =>
    parts.reduce((x, part) => (typeof x === "number" ? x : x?.[part] ?? otherwise), node);
  const stated = {...agent.initial, values: agent.initial.values ?? scenario.human_values};
  const centres = names.map((name) => at(stated, name.split("."), name.startsWith("habit") ? habit : 0));
  const widths = names.map((name) => at(agent.spread.initial, name.split("."), 0));
  return (seed, row) => Float64Array.from(names, (name, i) =>
    centres[i] + (widths[i] ? widths[i] * normal(seed, `agent.initial.${name}`, row) : 0));
}

// -------------------------------------------------------------------------------- cognition (3)

const logistic = (x) => 1 / (1 + Math.exp(-x));

/** Returns a mind: what one agent thinks in each response [R] and context [C], to be written into. */
export function createMind(world) {
  const mind = {};
  for (const x of ["utility", "own", "byValues", "gaming", "foreseen", "policy", "payoff", "answers"]) {
    mind[x] = new Float64Array(world.R);
  }
  for (const x of ["pull", "cost", "belief", "awareness", "stake", "incentive", "decision", "rate",
    "ownUtility", "foreseenUtility", "gate"]) mind[x] = new Float64Array(world.C);
  return mind;
}

/** Writes what a world fixes for an agent: b, the cost of thinking, and what inputs bring to mind. */
export function enter(mind, world, traits) {
  for (let c = 0; c < world.C; c++) {
    const s = world.scratchpad[c];
    mind.pull[c] = traits.info_sensitivity * world.info[c] + traits.scratchpad_sensitivity * s;
    mind.cost[c] = traits.reasoning_cost * (1 - traits.scratchpad_saving * s);
    mind.belief[c] = logistic(traits.discernment * world.cue[c]);
  }
}

/** Writes softmax(b x + m y) over the responses from i to j; y is read from an offset on. */
function softmax(out, b, x, m, y, offset, i, j) {
  let most = -Infinity, sum = 0;
  for (let r = i; r < j; r++) {
    const logit = b * x[r] + m * y[offset + r];
    out[r] = logit;
    if (logit > most) most = logit;
  }
  for (let r = i; r < j; r++) sum += out[r] = out[r] === most ? 1 : Math.exp(out[r] - most);
  for (let r = i; r < j; r++) out[r] /= sum;
}

/** Writes what an agent in state θ thinks in some contexts (3.1 to 3.8). */
export function think(mind, world, traits, theta, contexts) {
  const {first, features, reward, D, R, C} = world, {utility: u, own, byValues, gaming, foreseen} = mind;
  const β = traits.decisiveness;
  const at = D + R + C, α = theta[at], λ = Math.exp(theta[at + 1]), precision = Math.exp(theta[at + 2]);
  for (let n = 0; n < contexts.length; n++) {
    const c = contexts[n], i = first[c], j = first[c + 1];
    let inclined = false, ownUtility = 0, foreseenUtility = 0, gamedUtility = 0;
    for (let r = i; r < j; r++) {
      let sum = 0;
      for (let d = 0; d < D; d++) sum += features[r * D + d] * theta[d];
      u[r] = sum;
      if (theta[D + r] !== 0) inclined = true;
    }
    softmax(own, β, u, 0, u, 0, i, j);                                 // 3.1 own preference
    if (inclined) softmax(byValues, β, u, 1, theta, D, i, j);          // 3.2 answer without gaming
    else for (let r = i; r < j; r++) byValues[r] = own[r];
    softmax(gaming, precision, reward, 0, reward, 0, i, j);            // 3.3 perceived objective
    softmax(foreseen, β, u, traits.foresight, reward, 0, i, j);        // 3.5 foresight
    for (let r = i; r < j; r++) {
      ownUtility += own[r] * u[r];
      foreseenUtility += foreseen[r] * u[r];
      gamedUtility += gaming[r] * u[r];
    }
    const a = logistic(α + mind.pull[c]), stake = ownUtility - foreseenUtility;    // 3.4, 3.5
    const incentive = λ * mind.belief[c] * stake                                   // 3.6
      - traits.episode_concern * (ownUtility - gamedUtility) - mind.cost[c];
    const decision = logistic(theta[D + R + c] + traits.rationality * incentive);  // 3.7
    const g = a * decision;
    for (let r = i; r < j; r++) mind.policy[r] = (1 - g) * byValues[r] + g * gaming[r];  // 3.8
    mind.awareness[c] = a; mind.stake[c] = stake; mind.incentive[c] = incentive;
    mind.decision[c] = decision; mind.rate[c] = g;
    mind.ownUtility[c] = ownUtility; mind.foreseenUtility[c] = foreseenUtility;
  }
}

// --------------------------------------------------------------------------------- training (4)

/** Returns a training spec's numbers, with a learning rate for each parameter of θ. */
export function compileAssumptions(training, names) {
  return {
    ...training,
    rates: Float64Array.from(names, (name) => training.learning_rate[name.split(".")[0]]),
    transfers: Float64Array.from(CAPABILITIES, (j) => training.transfer[j]),
  };
}

/** Writes Δθ before learning rates and the anchor (4), from what an agent thinks in trained contexts. */
export function gradient(change, mind, world, traits, theta, assumed) {
  const {first, features, reward, shares, weight, trained, D, R, C} = world;
  const {utility: u, own, byValues, gaming, foreseen, policy, payoff, answers, gate} = mind;
  const β = traits.decisiveness, τ = traits.rationality, μ = traits.episode_concern;
  const ω = assumed.motive_credit, ε = assumed.leak, natural = assumed.update_rule === "natural_gradient";
  const at = D + R + C, λ = Math.exp(theta[at + 1]), precise = Math.exp(theta[at + 2]);
  const opacity = logistic(theta[at + 3]);
  const moves = assumed.learning_rate.propensity > 0;
  let practice = 0, concealment = 0;
  for (let i = 0; i < change.length; i++) change[i] = 0;
  for (let n = 0; n < trained.length; n++) {
    const c = trained[n], i = first[c], j = first[c + 1], shown = world.demonstrates[c];
    const a = mind.awareness[c], d = mind.decision[c], g = mind.rate[c];
    const P = shown ? 0
      : assumed.visible_gaming_penalty * world.monitor[c] * world.scratchpad[c] * (1 - opacity);
    let Fv = 0, Fg = 0, Eu = 0;
    for (let r = i; r < j; r++) {
      const F = shown ? shares[r] / Math.max(policy[r], LEAST_CHANCE) : reward[r];
      payoff[r] = F;
      Fv += byValues[r] * F; Fg += gaming[r] * F; Eu += gaming[r] * u[r];
    }
    Fg -= P;
    const B = (1 - g) * Fv + g * Fg, ΔF = Fg - Fv;
    let p = weight[c];
    if (assumed.advantages === "normalised" && !shown) {
      let variance = 0;
      for (let r = i; r < j; r++) {
        variance += (1 - g) * byValues[r] * (reward[r] - B) ** 2 + g * gaming[r] * (reward[r] - P - B) ** 2;
      }
      p /= Math.sqrt(variance) + SOFTENING;
    }
    const Γ = p * ΔF * a * d * (1 - d), motive = ω * Γ * τ, care = motive * λ * mind.belief[c];
    const Eo = mind.ownUtility[c], Ef = mind.foreseenUtility[c];
    let covR = 0, covU = 0;
    for (let r = i; r < j; r++) {
      const F = payoff[r];
      let M = p * (1 - g) * byValues[r] * (F - Fv);
      if (ε) M += ε * p * g * (gaming[r] * (F - P - B) - byValues[r] * (Fg - B));
      answers[r] = M;
      let W = β * M;
      if (ω) {
        const ahead = own[r] * (1 + β * (u[r] - Eo));
        W += care * (ahead - foreseen[r] * (1 + β * (u[r] - Ef))) - motive * μ * (ahead - gaming[r]);
      }
      for (let v = 0; v < D; v++) change[v] += W * features[r * D + v];
      covR += gaming[r] * (F - Fg - P) * reward[r];
      covU += gaming[r] * (u[r] - Eu) * reward[r];
    }
    gate[c] = natural ? p * ΔF * a : Γ;
    change[at] += p * ΔF * a * (1 - a) * d;
    change[at + 1] += care * mind.stake[c];
    change[at + 2] += precise * (p * g * covR + motive * μ * covU);
    practice += weight[c] * g;
    concealment += p * g * P;
  }
  for (let q = 0; q < 5; q++) change[at + 3 + q] = assumed.transfers[q] * practice;
  change[at + 3] += opacity * concealment;
  carryOver(change, mind, world, assumed, moves);
}

/** Writes what is learnt of habits and propensities, where it was learnt and where it carries over. */
function carryOver(change, mind, world, assumed, moves) {
  const {first, trained, similarity, response, C, D, R} = world, {gate, answers} = mind;
  const ρh = assumed.generalisation.habit, ρm = assumed.generalisation.propensity;
  for (let n = 0; n < trained.length; n++) {
    const c = trained[n];
    change[D + R + c] = (1 - ρh) * gate[c];
    for (let r = first[c]; moves && r < first[c + 1]; r++) change[D + r] = (1 - ρm) * answers[r];
  }
  for (let to = 0; to < C && (ρh || (moves && ρm)); to++) {
    for (let n = 0; n < trained.length; n++) {
      const c = trained[n], S = similarity[to * C + c];
      change[D + R + to] += ρh * S * gate[c];
      for (let r = first[to]; moves && ρm && r < first[to + 1]; r++) {
        for (let k = first[c]; k < first[c + 1]; k++) {
          if (response[k] === response[r]) change[D + r] += ρm * S * answers[k];
        }
      }
    }
  }
}

/** Takes one training step of θ: θ + η Δθ − anchor (θ − θ_0). */
export function step(theta, origin, change, mind, world, traits, assumed) {
  think(mind, world, traits, theta, world.trained);
  gradient(change, mind, world, traits, theta, assumed);
  const {rates, anchor} = assumed;
  for (let i = 0; i < theta.length; i++) {
    theta[i] += rates[i] * change[i] - (anchor ? anchor * (theta[i] - origin[i]) : 0);
  }
}

// ------------------------------------------------------------------------------------- a run

/** Returns a run of specs that is ready to train; `initial` changes each agent's θ_0 in place. */
export function prepare(specs, {agents, seed, recordEvery, traitNames, habit, initial}) {
  const {scenario, agent, training} = specs, steps = training.steps;
  const phases = scenario.curriculum.length ? scenario.curriculum : [{length: steps}];
  const segments = [];
  let start = 0;
  phases.forEach((phase, index) => {
    const stop = index === phases.length - 1 ? steps : Math.min(start + phase.length, steps);
    if (start < stop) segments.push({start, stop, name: phase.name ?? "", world: compileWorld(scenario, phase)});
    start = stop;
  });
  const world = segments[0].world, names = parameterNames(world), records = [];
  for (let t = 0; t < steps; t += recordEvery) records.push(t);
  records.push(steps);
  const sizes = [records.length, agents];
  return {
    specs, agents, seed, steps, segments, world, names, records, traitNames, initial,
    last: segments[segments.length - 1].world,
    draw: startDrawer(scenario, agent, names, habit), assumed: compileAssumptions(training, names),
    theta: new Float64Array(sizes[0] * agents * names.length),     // [S, N, P]
    rates: new Float64Array(sizes[0] * agents * world.C),          // [S, N, C]
    traits: [], done: 0, diverged: "", mind: createMind(world), change: new Float64Array(names.length),
  };
}

/** Trains the next agent of a run, and records its θ and gaming rates. */
export function trainNext(run) {
  const {names, records, segments, agents, mind, change, world} = run, n = run.done;
  const traits = drawTraits(run.specs.agent, run.traitNames, run.seed, n), theta = run.draw(run.seed, n);
  if (run.initial) run.initial(theta, n, {run, traits, mind});
  const origin = theta.slice(), P = names.length, C = world.C;
  run.traits.push(traits);
  let next = 0;
  for (const segment of segments) {
    const here = segment.world;
    enter(mind, here, traits);
    for (let t = segment.start; t < segment.stop || (t === run.steps && segment.stop === t); t++) {
      if (t === records[next]) {
        think(mind, here, traits, theta, here.everywhere);
        run.theta.set(theta, (next * agents + n) * P);
        run.rates.set(mind.rate, (next * agents + n) * C);
        next++;
      }
      if (t < segment.stop) step(theta, origin, change, mind, here, traits, run.assumed);
    }
  }
  const wild = theta.findIndex((x) => !(Math.abs(x) <= LARGEST));
  if (wild >= 0) run.diverged = names[wild];
  run.done++;
}
