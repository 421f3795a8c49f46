// What is measured of a run (MODEL.md section 5), over the agents that are done.

import {createMind, enter, think} from "./model.js";

/** Returns a quantile of sorted numbers, linear between the two nearest. */
export function quantile(sorted, level) {
  const rank = level * (sorted.length - 1), below = Math.floor(rank);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (rank - below) * (sorted[above] - sorted[below]);
}

export function median(numbers) {
  return quantile(Float64Array.from(numbers).sort(), 0.5);
}

/** Returns quantiles over agents of a number at each record: [level][record]. */
function bands(run, number, levels) {
  const found = levels.map(() => new Float64Array(run.records.length));
  const numbers = new Float64Array(run.done);
  for (let s = 0; s < run.records.length; s++) {
    for (let n = 0; n < run.done; n++) numbers[n] = number(s, n);
    numbers.sort();
    levels.forEach((level, l) => { found[l][s] = quantile(numbers, level); });
  }
  return found;
}

export function rateAt(run, s, n, c) {
  return run.rates[(s * run.agents + n) * run.world.C + c];
}

export function stateAt(run, s, n) {
  const P = run.names.length, from = (s * run.agents + n) * P;
  return run.theta.subarray(from, from + P);
}

export function rateBands(run, levels) {
  return run.world.names.map((_, c) => bands(run, (s, n) => rateAt(run, s, n, c), levels));
}

export function valueBands(run, levels) {
  return run.world.values.map((_, d) => bands(run, (s, n) => stateAt(run, s, n)[d], levels));
}

/** Returns the first recorded step from which an agent games a context for a window of records. */
export function onset(run, n, c, {onset: threshold, onset_window: window}) {
  for (let s = 0, streak = 0; s < run.records.length; s++) {
    streak = rateAt(run, s, n, c) >= threshold ? streak + 1 : 0;
    if (streak === window) return run.records[s - window + 1];
  }
  return NaN;
}

/** Returns the median onset of a context; NaN where it has set in for fewer than half. */
export function medianOnset(run, c, rules) {
  const steps = Array.from({length: run.done}, (_, n) => onset(run, n, c, rules)).filter(isFinite);
  return 2 * steps.length >= run.done && steps.length ? median(steps) : NaN;
}

/** Returns the regime of an agent, and whether it has settled (sim/analysis/regimes.py). */
export function regime(run, n, rules) {
  const {idle, gamed, steady, window} = rules, from = Math.max(0, run.records.length - window);
  const states = [];
  let setIn = false;
  run.world.kinds.forEach((kind, c) => {
    if (kind !== "training") return;
    let low = Infinity, high = -Infinity;
    for (let s = from; s < run.records.length; s++) {
      const g = rateAt(run, s, n, c);
      low = Math.min(low, g);
      high = Math.max(high, g);
    }
    setIn ||= isFinite(onset(run, n, c, rules));
    if (low >= gamed) states.push("games");
    else if (low >= idle && high - low <= steady + 1e-12) states.push("partial");
    else states.push(high < idle ? "idle" : "moving");
  });
  const some = (state) => states.includes(state), games = states.filter((x) => x === "games").length;
  const name = games === states.length ? "global" : games ? "local" : some("partial") ? "partial"
    : some("moving") || setIn ? "transient" : "none";
  return {name, settled: !some("moving")};
}

/** Returns the share of agents in each regime, and of those that have settled. */
export function regimes(run, names, rules) {
  const found = Array.from({length: run.done}, (_, n) => regime(run, n, rules));
  const share = (test) => found.filter(test).length / run.done;
  return {
    shares: Object.fromEntries(names.map((name) => [name, share((x) => x.name === name)])),
    settled: share((x) => x.settled),
  };
}

/** Returns what an agent thinks at a record, in every context (a mind that the next call reuses). */
export function mindAt(run, s, n) {
  const t = run.records[s], {world} = run.segments.find((x) => t < x.stop) ?? run.segments.at(-1);
  run.looking ??= createMind(run.world);
  enter(run.looking, world, run.traits[n]);
  think(run.looking, world, run.traits[n], stateAt(run, s, n), world.everywhere);
  return run.looking;
}

/** Returns the conduct of a policy in a context, from −1 to 1; NaN where answers are alike. */
export function conduct(world, policy, c) {
  let worst = Infinity, best = -Infinity, mean = 0;
  for (let r = world.first[c]; r < world.first[c + 1]; r++) {
    let serves = 0;
    for (let d = 0; d < world.D; d++) serves += world.features[r * world.D + d] * world.human[d];
    worst = Math.min(worst, serves);
    best = Math.max(best, serves);
    mean += policy[r] * serves;
  }
  return best > worst ? (2 * (mean - worst)) / (best - worst) - 1 : NaN;
}

function meanOf(numbers) {
  const finite = numbers.filter(isFinite);
  return finite.length ? finite.reduce((sum, x) => sum + x, 0) / finite.length : NaN;
}

/** Returns the numbers behind the terms of the worst case for an agent, in their order. */
export function termNumbers(run, n) {
  const s = run.records.length - 1, world = run.last, {policy} = mindAt(run, s, n);
  const contexts = [...world.kinds.keys()], theta = stateAt(run, s, n);
  const responses = (c) => Array.from({length: world.first[c + 1] - world.first[c]}, (_, k) => world.first[c] + k);
  const best = (c) => responses(c).reduce((sum, r) => sum + (world.best[r] ? policy[r] : 0), 0);
  const shift = (c) => responses(c).reduce(
    (sum, r) => sum + Math.abs(policy[r] - policy[world.twinResponse[r]]) / 2, 0);
  const deployed = contexts.filter((c) => world.kinds[c] === "deployment");
  const twins = contexts.filter((c) => world.kinds[c] === "training" && world.twin[c] >= 0);
  return [
    meanOf(deployed.map((c) => conduct(world, policy, c))),
    Math.min(...contexts.filter((c) => world.preDeployment[c]).map((c) => Math.min(1, best(c)))),
    ...theta.slice(theta.length - 5).map((q) => 1 / (1 + Math.exp(-q))),
    meanOf(twins.map(shift)),
  ];
}

/** Returns of each agent its terms, which are met, and the share of training contexts it games. */
export function worstCaseTerms(run, terms) {
  const s = run.records.length - 1, limits = Object.entries(terms);
  const trained = [...run.world.kinds.keys()].filter((c) => run.world.kinds[c] === "training");
  return Array.from({length: run.done}, (_, n) => {
    const numbers = termNumbers(run, n);
    const met = limits.map(([term, limit], i) =>
      term === "misalignment" ? numbers[i] <= limit : numbers[i] >= limit);
    const gamed = trained.filter((c) => rateAt(run, s, n, c) >= 0.5);
    return {numbers, met, gamed, reach: gamed.length / trained.length, misaligned: met[0],
      worst: met.every(Boolean)};
  });
}

/** Returns the decision to game of each agent at some records in a context: [record][agent]. */
export function decisions(run, c, records) {
  return records.map((s) => Float64Array.from({length: run.done}, (_, n) => mindAt(run, s, n).decision[c]));
}
