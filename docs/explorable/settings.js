// What the page is set to: a scenario and settings by key, as an address and as a command line.
//
// Nothing of what is typed is evaluated: it is cut into KEY=NUMBER or KEY=WORD, and what the model
// does not take is refused with what is allowed.

/** What cannot be used, said in one line. */
export class Refusal extends Error {}

export const COMMAND = ["python", "experiments/emergence.py"];
const NUMBER = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d{1,3})?$/i;
/** One number for all, or by name: the command line says all names where one is changed. */
const BY_NAME = ["agent.initial.values", "agent.initial.habit", "agent.spread.initial.values",
  "agent.spread.initial.habit", "agent.spread.initial.capability"];
const MOST_TEXT = 4000;
/** A page holds so many numbers of all records. */
const MOST_NUMBERS = 2e7;

let known;
/** Takes what the page was built with. */
export function know(built) { known = built; }

export function emptyState(scenario = "copyright") {
  return {scenario, agents: 32, seed: 0, record_every: 20, settings: {}};
}

/** Returns a key with the `initial` that it may leave out. */
export function fullKey(key) {
  const parts = key.split("."), at = parts[1] === "spread" ? 2 : 1;
  if (parts[0] === "agent" && known.initial.includes(parts[at])) parts.splice(at, 0, "initial");
  return parts.join(".");
}

const patternOf = (key) => Object.keys(known.ranges).find((pattern) => {
  const a = pattern.split("."), b = key.split(".");
  return a.length === b.length && a.every((part, i) => part === "*" || part === b[i]);
});

/** Returns a value that a key may have, or throws a Refusal that says what is allowed. */
export function check(key, value) {
  const refuse = (must) => { throw new Refusal(`${key}: got ${value}: ${must}`); };
  const count = known.counts[key], choices = known.choices[key];
  if (count) {
    const [low, high] = count;
    if (!Number.isInteger(value) || value < low || value > high) {
      refuse(`must be a whole number from ${low} to ${high} here; the command line takes more`);
    }
  } else if (choices) {
    if (!choices.includes(value)) refuse(`must be one of ${choices.join(", ")}`);
  } else {
    const group = Object.keys(known.ranges).find((each) => each.startsWith(`${key}.`) && !each.includes("*"));
    const range = known.ranges[patternOf(key) ?? group];
    if (!range) throw new Refusal(`${key}: the page has no such key${hint(key)}`);
    if (typeof value !== "number" || Number.isNaN(value)) refuse(range.must);
    if (value < range.low || value > range.high) {
      refuse(/from/.test(range.must) || Math.abs(value) === Infinity ? range.must
        : value < range.low && range.low === 0 ? range.must
          : `must be a number from ${range.low} to ${range.high}`);
    }
  }
  return value;
}

/** Returns the nearest keys to one that does not exist, as a hint. */
function hint(key) {
  const last = key.split(".").at(-1);
  const like = [...Object.keys(known.ranges), ...Object.keys(known.choices), ...Object.keys(known.counts)]
    .filter((key) => key.split(".").at(-1).startsWith(last.slice(0, 4)));
  return like.length ? `; did you mean ${like.slice(0, 3).join(", ")}?`
    : "; it takes numbers of agent, training, scenario.contexts and scenario.human_values";
}

/** Returns the specs of a state, with every setting checked and in place. */
export function resolve(state) {
  if (!Object.hasOwn(known.scenarios, state.scenario)) {
    throw new Refusal(`scenario: got ${state.scenario}: must be one of ${Object.keys(known.scenarios).join(", ")}`);
  }
  const specs = structuredClone(known.scenarios[state.scenario]);
  specs.agent.initial.values ??= {...specs.scenario.human_values};
  for (const key of ["agents", "seed", "record_every"]) check(key, state[key]);
  const keys = Object.keys(state.settings).sort((a, b) => a.split(".").length - b.split(".").length);
  for (const key of keys) put(specs, key, check(key, state.settings[key]));
  if (!Object.values(specs.scenario.contexts).some((c) => c.kind === "training" && c.weight > 0)) {
    throw new Refusal("scenario.contexts: nothing is trained on: a training context needs a weight above 0");
  }
  checkSize(state, specs);
  return specs;
}

/** Refuses runs whose records a page does not hold. */
function checkSize({agents, record_every}, {scenario, training}) {
  const contexts = Object.values(scenario.contexts);
  const each = contexts.reduce((sum, c) => sum + 2 + Object.keys(c.responses).length, 8 + scenario.values.length);
  const fits = Math.floor(MOST_NUMBERS / (agents * each));
  if (Math.ceil(training.steps / record_every) + 1 > fits) {
    const next = Math.ceil(training.steps / (fits - 1));
    throw new Refusal(`record_every: got ${record_every}: these are more records than a page holds; ${next} fits`);
  }
}

/** Puts a value where a dotted key says; one number that stands for many is written out first. */
function put(specs, key, value) {
  const parts = key.split("."), last = parts.pop();
  let node = specs, parent = null, name = "";
  for (const part of parts) { parent = node; name = part; node = node?.[part]; }
  const place = parts.join(".");
  const otherwise = place === "agent.initial.habit" ? known.habit : 0;
  if (typeof node === "number") node = parent[name] = spelled(specs, place, node);
  if (BY_NAME.includes(place)) node = parent[name] = {...spelled(specs, place, otherwise), ...node};
  const names = namesAt(specs, parts);
  if (!node || (names ? !names.includes(last) : !(last in node))) {
    const allowed = names ?? Object.keys(node ?? {});
    throw new Refusal(`${key}: nothing has this name; allowed: ${allowed.join(", ")}`);
  }
  const below = node[last];
  node[last] = below && typeof below === "object"
    ? Object.fromEntries(Object.keys(below).map((each) => [each, value])) : value;
}

/** Returns the names that may stand below a place, or null where the specs have them themselves. */
function namesAt(specs, parts) {
  const kind = parts.at(-1), {values, contexts, human_values: human} = specs.scenario;
  if (kind === "values") return values;
  if (kind === "human_values") return human && values;
  if (kind === "habit" && parts[0] === "agent") return Object.keys(contexts);
  if (kind === "reward") return Object.keys(contexts[parts[2]]?.responses ?? {});
  return null;
}

/** Returns one number as numbers by name. */
function spelled(specs, place, number) {
  const names = namesAt(specs, place.split(".")) ?? Object.keys(specs.agent.initial.capability);
  return Object.fromEntries(names.map((each) => [each, number]));
}

const text = (value) => String(value);

/** Returns the settings of the command line that gives the same numbers. */
export function overrides(state) {
  const specs = resolve(state), {agents, seed, record_every} = state;
  const stated = {scenario: state.scenario, agents, seed, record_every};
  for (const [key, value] of Object.entries(state.settings)) {
    const place = BY_NAME.find((each) => key.startsWith(`${each}.`));
    if (!place) { stated[key] = value; continue; }
    const numbers = place.split(".").reduce((node, part) => node[part], specs);
    for (const [each, number] of Object.entries(numbers)) stated[`${place}.${each}`] = number;
    delete stated[place];
  }
  const isSpelled = (key) => BY_NAME.includes(key) && Object.keys(stated).some((x) => x.startsWith(`${key}.`));
  return Object.entries(stated)
    .filter(([key]) => !isSpelled(key))
    .map(([key, value]) => `${key}=${text(value)}`);
}

export function commandLine(state) { return [...COMMAND, ...overrides(state)].join(" "); }

/** Returns the state of a command line, or of its settings alone; throws a Refusal for other text. */
export function readCommand(line) {
  if (line.length > MOST_TEXT) throw new Refusal(`at most ${MOST_TEXT} characters are read`);
  const parts = line.trim().split(/\s+/).map((part) => part.replace(/^(['"])(.*)\1$/, "$2"));
  const at = parts.findIndex((part) => part.includes("=")), before = parts.slice(0, Math.max(at, 0));
  const ours = before.length === 0 || (before.length <= 2 && before.at(-1).endsWith("emergence.py"));
  if (at < 0 || !ours) {
    throw new Refusal(`not a command line of this page: it has the form ${COMMAND.join(" ")} KEY=VALUE ...`);
  }
  return withSettings(emptyState(), parts.slice(at));
}

/** Returns a state changed by settings such as training.leak=0.3. */
export function withSettings(state, parts) {
  const changed = {...state, settings: {...state.settings}};
  for (const part of parts) {
    const [key, typed] = [part.slice(0, part.indexOf("=")), part.slice(part.indexOf("=") + 1)];
    if (!part.includes("=") || !/^\+*[A-Za-z_][\w.-]*$/.test(key) || !/^[-+\w.]+$/.test(typed)) {
      throw new Refusal(`${part}: must be KEY=VALUE, such as training.leak=0.3`);
    }
    const value = NUMBER.test(typed) ? Number(typed) : typed;
    const full = fullKey(key.replace(/^\++/, ""));
    if (full === "scenario") changed.scenario = typed;
    else if (["agents", "seed", "record_every"].includes(full)) changed[full] = check(full, value);
    else changed.settings[full] = check(full, value);
  }
  resolve(changed);
  return changed;
}

/** Returns a state as the part of an address behind its #. */
export function address(state) {
  const {scenario, agents, seed, record_every, settings} = state;
  return new URLSearchParams({scenario, agents, seed, record_every, ...settings}).toString();
}

export function readAddress(hash) {
  const pairs = [...new URLSearchParams(hash.replace(/^#/, ""))];
  return withSettings(emptyState(), pairs.map(([key, value]) => `${key}=${value}`));
}

/** Returns the number that a key has in a state's specs; undefined where it is not one number. */
export function numberOf(specs, key) {
  const found = key.split(".").reduce((node, part) => (typeof node === "number" ? node : node?.[part]), specs);
  return typeof found === "number" ? found : undefined;
}
