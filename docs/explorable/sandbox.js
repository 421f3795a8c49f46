// The sandbox: everything that can be moved, what comes of it, and how to take it along.

import {escape, readable, tag} from "./chart.js";
import {percent, plane, rates, regimeBars, termBars, values} from "./figures.js";
import {rateBands, regimes, valueBands, worstCaseTerms} from "./measures.js";
import {
  address, check, commandLine, emptyState, numberOf, readAddress, readCommand, Refusal, resolve, withSettings,
} from "./settings.js";

/** The figures, those first that are drawn while models are still being trained. */
const FIGURES = ["rates", "values", "plane", "terms", "regimes"];
const RUN_KEYS = ["agents", "seed", "record_every"];

export class Sandbox {
  constructor(place, page) {
    Object.assign(this, {place, page, state: emptyState(), run: null, context: null});
    place.querySelector("#scenario").innerHTML = Object.keys(page.data.scenarios)
      .map((name) => `<option value="${name}">${readable(name)}</option>`).join("");
    place.addEventListener("input", (event) => this.moved(event.target, false));
    place.addEventListener("change", (event) => this.moved(event.target, true));
    place.addEventListener("click", (event) => this.clicked(event.target.closest("[data-do]")?.dataset.do));
    place.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target.id === "command-in") this.clicked("load");
    });
  }

  part(name) { return this.place.querySelector(`#${name}`); }

  /** Takes a change if it can be used; else says why, and leaves everything as it was. */
  attempt(change) {
    try {
      const state = change();
      resolve(state);
      this.refuse("");
      this.state = state;
      return true;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.refuse(error.message);
      return false;
    }
  }

  refuse(message) {
    const place = this.part("refusal");
    place.textContent = message;
    place.hidden = !message;
  }

  /** Shows the state of an address; an empty one is the state that the page begins with. */
  open(hash) {
    if (this.attempt(() => (hash ? readAddress(hash) : emptyState())) || !this.run) this.renew(hash !== "");
  }

  /** Writes the controls anew for the state, and runs it. */
  renew(remember = true) {
    this.buildControls();
    this.update(remember);
  }

  buildControls() {
    const {data} = this.page, specs = resolve(this.state), {sliders, counts, choices} = data.sandbox;
    const own = specs.scenario.values.map((name) =>
      ({key: `agent.initial.values.${name}`, label: readable(name), ...data.sandbox.value_slider}));
    this.part("scenario").value = this.state.scenario;
    const {contexts} = specs.scenario, trained = Object.keys(contexts).filter((c) => contexts[c].kind === "training");
    if (!trained.includes(this.context)) this.context = null;
    const labelled = (label, control) => tag("label", {}, `<span>${escape(label)}</span>${control}`);
    const select = (head, at, options) => tag("select", head, options.map(([value, text]) =>
      tag("option", {value, ...(value === at ? {selected: ""} : {})}, escape(text))).join(""));
    const places = [["", "the context with most at stake"], ...trained.map((c) => [c, readable(c)])];
    this.part("counts").innerHTML = [
      ...counts.map(({key, label}) => labelled(label, tag("input",
        {type: "text", inputmode: "numeric", "data-key": key, value: this.valueOf(specs, key)}))),
      ...choices.map(({key, label}) => labelled(label, select({"data-key": key}, this.valueOf(specs, key),
        data.choices[key].map((word) => [word, readable(word)])))),
      labelled("phase plane of", select({id: "context"}, this.context ?? "", places)),
    ].join("");
    this.part("sliders").innerHTML = Object.entries({[data.sandbox.values]: own, ...sliders}).map(([group, each], g) =>
      tag("details", g ? {} : {open: ""}, `<summary>${escape(group)}</summary>`
        + each.map((slider) => this.slider(specs, slider)).join(""))).join("");
    this.place.querySelectorAll("#sliders input").forEach((input) => this.say(input));
    const {passage} = data.scenarios[this.state.scenario].scenario;
    this.part("passage").textContent = passage;
    this.part("contexts").innerHTML = Object.entries(contexts).map(([name, {kind, description}]) =>
      `<li><b>${readable(name)}</b> (${readable(kind)}): ${escape(description ?? "")}</li>`).join("");
  }

  slider(specs, {key, label, low, high, step, scale = 1}) {
    const at = numberOf(specs, key);
    if (at === undefined) return "";
    const ends = {min: Math.min(low, at), max: Math.max(high, at), step, value: at};
    const head = {type: "range", "aria-label": label, "data-key": key, "data-scale": scale};
    return tag("label", {class: "slider"},
      `<span>${escape(label)}</span><output></output>${tag("input", {...head, ...ends})}`);
  }

  say(input) {
    const {scale, key} = input.dataset, shown = Number((Number(input.value) * Number(scale)).toFixed(6));
    input.closest("label").querySelector("output").textContent = String(shown).replace("-", "−");
    input.setAttribute("aria-valuetext", `${shown}, ${key}`);
  }

  valueOf(specs, key) {
    return RUN_KEYS.includes(key) ? this.state[key] : key.split(".").reduce((node, part) => node[part], specs);
  }

  moved(input, whole) {
    const {key} = input.dataset;
    if (input.type === "range") {
      if (whole) return;
      this.say(input);
      if (this.attempt(() => this.changed(key, Number(Number(input.value).toFixed(9))))) this.later();
    } else if (input.id === "scenario" && whole) {
      const {agents, seed, record_every} = this.state;
      this.attempt(() => ({...emptyState(input.value), agents, seed, record_every}));
      this.context = null;
      this.renew();
    } else if (input.id === "context" && whole) {
      this.context = input.value || null;
      this.update();
    } else if (key && whole) {
      const typed = input.value.trim(), number = typed === "" ? NaN : Number(typed);
      const value = input.tagName === "SELECT" ? typed : Number.isNaN(number) ? typed : number;
      if (this.attempt(() => this.changed(key, value))) this.update();
    }
  }

  /** Returns the state with a key set; what is as the scenario has it is not said. */
  changed(key, value) {
    check(key, value);
    if (RUN_KEYS.includes(key)) return {...this.state, [key]: value};
    const settings = {...this.state.settings, [key]: value};
    const own = resolve({...this.state, settings: {}});
    if (key.split(".").reduce((node, part) => node?.[part], own) === value) delete settings[key];
    return {...this.state, settings};
  }

  clicked(what) {
    const {data} = this.page, name = `${this.state.scenario}-${this.state.seed}`;
    if (what === "load") {
      if (this.attempt(() => readCommand(this.part("command-in").value))) this.renew();
    } else if (what === "set") {
      const typed = this.part("more").value.trim();
      if (typed && this.attempt(() => withSettings(this.state, typed.split(/\s+/)))) this.renew();
    } else if (what === "reset") {
      this.attempt(() => emptyState(this.state.scenario));
      this.renew();
    } else if (what === "svg") {
      this.page.save(`${name}.svg`, "image/svg+xml", this.svg());
    } else if (what === "csv") {
      this.page.save(`${name}.csv`, "text/csv", csv(this.run, data.band));
    } else if (what === "copy") {
      navigator.clipboard?.writeText(this.part("command").textContent);
    }
  }

  later() { this.page.inNextFrame("sandbox", () => this.update()); }

  update(remember = true) {
    this.part("command").textContent = commandLine(this.state);
    if (remember) this.page.showAddress(`#${address(this.state)}`);
    return this.page.runner.request("sandbox", this.state, (run) => this.show(run));
  }

  show(run) {
    const {data} = this.page;
    if (run.diverged) {
      const [kind] = run.diverged.split(".");
      this.refuse(`${run.diverged} grew out of all bounds; lower training.learning_rate.${kind}`);
      return;
    }
    this.run = run;
    const isWhole = run.done === run.agents, names = isWhole ? FIGURES : FIGURES.slice(0, 2);
    const places = names.map((name) => this.part(`figure-${name}`));
    const widths = places.map((place) => Math.floor(place.getBoundingClientRect().width));
    const ended = regimes(run, data.regimes, data.rules), cases = worstCaseTerms(run, data.terms);
    const draw = {
      rates: (width) => rates(run, {width, data}), values: (width) => values(run, {width, data}),
      plane: (width) => plane(run, {width}, this.context), terms: (width) => termBars(run, {width, data}, cases),
      regimes: (width) => regimeBars(run, {width}, ended),
    };
    names.forEach((name, i) => { if (widths[i] > 0) places[i].innerHTML = draw[name](widths[i]); });
    const [regime, share] = Object.entries(ended.shares).sort((a, b) => b[1] - a[1])[0];
    const whole = cases.filter((x) => x.worst).length;
    const models = isWhole ? `${run.agents} models after ${run.steps} steps` : `${run.done} of ${run.agents} models so far`;
    this.part("headline").textContent = `${models}: regime ${regime} in ${percent(share)} of them (settled: `
      + `${percent(ended.settled)}); all worst-case terms are met by ${whole}.`;
    this.part("figures").setAttribute("aria-busy", String(!isWhole));
  }

  /** Returns all figures below each other as one SVG, in the colours that are seen. */
  svg() {
    const charts = [...this.place.querySelectorAll("svg.chart")], style = getComputedStyle(document.documentElement);
    let y = 0;
    const parts = charts.map((chart) => {
      const {textContent: title} = chart.closest("figure").querySelector("figcaption");
      const head = tag("text", {x: 0, y: -8, "font-size": 14, "font-weight": 700, fill: "var(--ink)"}, escape(title));
      const part = tag("g", {transform: `translate(0 ${y + 24})`}, head + chart.innerHTML.replaceAll("&nbsp;", "\u00a0"));
      y += Number(chart.getAttribute("height")) + 40;
      return part;
    });
    const command = commandLine(this.state);
    const width = Math.max(6.8 * command.length, ...charts.map((chart) => Number(chart.getAttribute("width"))));
    const note = tag("text", {x: 0, y: y + 14, "font-size": 11, fill: "var(--ink)"}, escape(command));
    const paper = tag("rect", {x: -8, y: -8, width: "100%", height: "100%", fill: "var(--paper)"});
    const whole = tag("svg", {
      xmlns: "http://www.w3.org/2000/svg", viewBox: `-8 -8 ${width + 16} ${y + 32}`, "font-family": "system-ui, sans-serif",
    }, paper + parts.join("") + note);
    return whole.replace(/var\((--[\w]+)\)/g, (_, name) => style.getPropertyValue(name).trim());
  }
}

/** Returns the curves as a table: a row for each record, its columns what is drawn. */
export function csv(run, band) {
  const columns = [["step", run.records]];
  const add = (kind, names, found) => names.forEach((name, i) =>
    band.forEach((level, l) => columns.push([`${kind}.${name}.${level}`, found[i][l]])));
  add("gaming_rate", run.world.names, rateBands(run, band));
  add("values", run.world.values, valueBands(run, band));
  const rows = run.records.map((_, s) => columns.map(([, numbers]) => numbers[s]).join(","));
  return [columns.map(([name]) => name).join(","), ...rows, ""].join("\n");
}
