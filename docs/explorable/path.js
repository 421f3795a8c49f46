// The guided path: predict, then see, then move.

import {bars, decided, percent, plane, rates, signed, values} from "./figures.js";
import {Chart, escape, tag} from "./chart.js";
import {decisions, median, mindAt, rateAt, stateAt, worstCaseTerms} from "./measures.js";
import {runWhole} from "./runner.js";
import {address, emptyState, numberOf, resolve} from "./settings.js";

/** Returns a state of a round with more settings. */
function stateOf(round, ...more) {
  const {settings, ...others} = round.state;
  return {...emptyState(), ...others, settings: Object.assign({}, settings, ...more)};
}

const end = (run) => run.records.length - 1;
const over = (run, number) => median(Array.from({length: run.done}, (_, n) => number(n)));

function trainedContexts(run) {
  return [...run.world.kinds.keys()].filter((c) => run.world.kinds[c] === "training");
}

/** Groups the agents of a run by how much they game, with the terms that each meets. */
function funnelOf(run, data) {
  run.cases ??= {};
  if (run.cases.done !== run.done) run.cases = {done: run.done, all: worstCaseTerms(run, data.terms)};
  const all = run.cases.all, everywhere = all.filter((x) => x.reach === 1);
  const misaligned = (group) => group.filter((x) => x.misaligned).length;
  const others = all.filter((x) => x.reach < 1);
  return {all, everywhere, others, misaligned};
}

/** Numbers that the path names, by kind: each returns a number of a run, and how it is written. */
const MEASURES = {
  rate: (run, c) => [over(run, (n) => rateAt(run, end(run), n, run.world.names.indexOf(c))), percent],
  "start.rate": (run, c) => [rateAt(run, 0, 0, run.world.names.indexOf(c)), percent],
  value: (run, v) => [over(run, (n) => stateAt(run, end(run), n)[run.world.values.indexOf(v)]), signed],
  answer: (run, name) => {
    const [context, response] = name.split("."), {world} = run, c = world.names.indexOf(context);
    const r = world.first[c] + world.responses.slice(world.first[c]).indexOf(response);
    return [over(run, (n) => mindAt(run, end(run), n).policy[r]), percent];
  },
  count: (run, name, {data}) => {
    const {all, everywhere, misaligned} = funnelOf(run, data), consistent = (x) => x.met[1];
    const gamed = () => trainedContexts(run).filter((c) => MEASURES.rate(run, run.world.names[c])[0] >= 0.5).length;
    return [{
      gamed, everywhere: () => everywhere.length, "misaligned-everywhere": () => misaligned(everywhere),
      "consistent-everywhere": () => everywhere.filter(consistent).length,
      worst: () => all.filter((x) => x.worst).length, agents: () => run.done,
      "worst-everywhere": () => everywhere.filter((x) => x.worst).length,
    }[name](), String];
  },
  share: (run, name, {data, round}) => {
    const when = name.replace("start.", "");
    if (["undecided", "decided", "against"].includes(when)) {
      const s = name === when ? end(run) : 0;
      const [last] = decisions(run, run.world.names.indexOf(round.context), [s]);
      const test = {undecided: (d) => d > 0.1 && d < 0.9, decided: (d) => d >= 0.9, against: (d) => d <= 0.1}[when];
      return [last.filter(test).length / run.done, percent];
    }
    const {everywhere, others, misaligned} = funnelOf(run, data);
    return [{
      "worst-of-everywhere": () => everywhere.filter((x) => x.worst).length / everywhere.length,
      "misaligned-everywhere": () => misaligned(everywhere) / everywhere.length,
      "misaligned-others": () => misaligned(others) / others.length,
    }[name](), percent];
  },
  ratio: (run, name, {data}) => {
    const {everywhere, others, misaligned} = funnelOf(run, data);
    return [misaligned(everywhere) / everywhere.length / (misaligned(others) / others.length), signed];
  },
};

/** Returns a measure such as rate:copyright_chat of a run, and how it is written. */
export function measure(run, name, context) {
  const [kind, of] = name.split(":");
  return MEASURES[kind](run, of, context);
}

/** Returns a text with its numbers, those of the runs that are drawn. */
function filled(text, {run, beside, variants, data, round}) {
  return escape(text).replace(/\{(\d+:|beside\.)?([\w.:-]+?)\}/g, (_, whose, name) => {
    const of = !whose ? run : whose === "beside." ? beside : variants[parseInt(whose)];
    const [number, write] = measure(of, name, {data, round});
    return `<b>${write(number)}</b>`;
  }).replace(/\*(\w+)\*/g, "<em>$1</em>");
}

/** One prediction of a step, its reveal, and what can be moved. */
class Round {
  constructor(place, round, page) {
    Object.assign(this, {place, round, page, settings: {}, guess: null});
    this.name = place.id;
    this.at = round.slider?.at;
    this.switched = new Set();
    this.off = new Set();
    place.innerHTML = `<p class="question">${escape(round.question)}</p>
      <div class="options" role="group" aria-label="Your prediction">${round.options.map(({text}, i) =>
        tag("button", {type: "button", "data-option": i, "aria-pressed": "false"}, escape(text))).join("")}</div>
      <div class="after" hidden tabindex="-1">
        <div class="verdict" role="status"></div><div class="controls"></div>
        <div class="figure" aria-busy="true"></div><p class="caption"></p>
      </div>`;
    place.querySelector(".options").addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button && this.guess === null) this.predict(Number(button.dataset.option));
    });
  }

  get data() { return this.page.data; }

  part(name) { return this.place.querySelector(`.${name}`); }

  async predict(option) {
    this.guess = option;
    const after = this.part("after");
    after.hidden = false;
    this.part("options").querySelectorAll("button").forEach((button, i) => {
      button.setAttribute("aria-pressed", String(i === option));
      button.disabled = i !== option;
    });
    this.part("verdict").textContent = "Computing …";
    const {round, page} = this;
    const request = (part, state) => page.runner.request(`${this.name} ${part}`, state, () => {});
    const run = await request("base", stateOf(round));
    const beside = this.beside = round.beside && (await request("beside", stateOf(round, round.beside)));
    const variants = [];
    for (const [i, {settings}] of round.options.entries()) {
      if (settings) variants[i] = await request(`option ${i}`, stateOf(round, settings));
    }
    const context = {data: this.data, round}, asked = round.measure.replace("beside.", "");
    const of = (each) => measure(each, asked, context)[0];
    const right = round.right ?? (variants.length ? variants.map(of).indexOf(Math.max(...variants.map(of)))
      : round.options.findIndex(({from}) => of(asked === round.measure ? run : beside) >= from));
    this.right = right;
    const said = filled(round.reveal, {run, beside, variants, data: this.data, round});
    const [kind, head] = right === option ? ["right", "As you said"] : ["other", "Otherwise"];
    const answer = tag("strong", {class: kind}, `${head}: ${escape(round.options[right].text)}.`);
    this.part("verdict").innerHTML = `<p>${answer} ${said}</p>`;
    this.place.querySelectorAll(".options button")[right].classList.add("right");
    this.addControls();
    await this.draw();
    page.predicted();
    const focused = document.activeElement;
    if (focused === document.body || this.place.contains(focused)) after.focus({preventScroll: true});
  }

  addControls() {
    const {slider, switches, figure, try: invite} = this.round, controls = this.part("controls");
    let html = `<p class="try">${escape(invite)}</p>`;
    if (slider) {
      const {low = 0, high = (slider.positions?.length ?? 1) - 1, step = 1, label} = slider;
      const value = slider.at ?? this.startOf(slider);
      const input = tag("input", {type: "range", "aria-label": label, min: low, max: high, step, value});
      html += tag("label", {class: "slider"}, `<span>${escape(label)}</span><output></output>${input}`);
    }
    if (switches) {
      html += tag("div", {class: "switches"}, switches.map(({text, ask}, i) => tag("label", {class: "switch"},
        `${tag("input", {type: "checkbox", "data-switch": i})}<span><b>${escape(text)}</b><br><small>${escape(ask)}</small></span>`)).join(""));
    }
    controls.innerHTML = html;
    controls.addEventListener("input", (event) => this.move(event.target));
    if (slider) this.say(controls.querySelector("input"));
    if (figure === "funnel") {
      this.part("figure").addEventListener("click", (event) => {
        const {condition} = event.target.closest("button")?.dataset ?? {};
        if (!condition) return;
        this.off.delete(condition) || this.off.add(condition);
        this.draw().then(() => this.part("figure").querySelector(`[data-condition="${condition}"]`).focus());
      });
    }
  }

  startOf({key}) {
    return numberOf(resolve(stateOf(this.round)), key);
  }

  say(input) {
    const {slider} = this.round, digits = Number.isInteger(slider.step * 10) ? 1 : 2;
    const text = slider.positions?.[input.value].text ?? signed(Number(input.value), digits);
    this.part("controls").querySelector("output").textContent = text;
    input.setAttribute("aria-valuetext", text);
  }

  move(input) {
    const {slider, switches} = this.round;
    if (input.type === "checkbox") {
      const index = Number(input.dataset.switch);
      input.checked ? this.switched.add(index) : this.switched.delete(index);
      this.settings = Object.assign({}, ...[...this.switched].sort().map((i) => switches[i].settings));
    } else {
      this.settings = slider.positions ? slider.positions[input.value].settings : {[slider.key]: Number(input.value)};
      this.say(input);
    }
    this.page.inNextFrame(this.name, () => this.draw());
  }

  /** Returns the state that is shown. */
  get state() {
    return stateOf(this.round, this.settings);
  }

  draw() {
    const figure = this.part("figure"), caption = this.part("caption"), {state} = this;
    return this.page.runner.request(this.name, state, (run) => {
      const width = Math.floor(figure.getBoundingClientRect().width) || 600;
      figure.innerHTML = DRAWINGS[this.round.figure](this, run, {width, data: this.data});
      figure.setAttribute("aria-busy", String(run.done < run.agents));
      const soFar = run.done < run.agents ? `${run.done} of ${run.agents} models so far. ` : "";
      caption.innerHTML = `${soFar}<a href="#${address({...state, record_every: 20})}">Open this in the sandbox</a>`;
    });
  }
}

/** Draws the gaming rate at the start over all places of a round's slider, with a dot where it is. */
function overSlider(self, width, at, rate) {
  const {round, data} = self, {key, low, high, label} = round.slider;
  self.curve ??= Array.from({length: 71}, (_, i) => {
    const value = low + ((high - low) * i) / 70, state = stateOf(round, {[key]: value});
    return [value, measure(runWhole(state, data), round.measure, {data, round})[0]];
  });
  const chart = new Chart({width, height: 190, x: [low, high], y: [0, 1]});
  chart.line(self.curve.map(([x]) => x), self.curve.map(([, y]) => y), "var(--c1)").dot(at, rate, "var(--ink)", 6);
  return chart.axes(label, "gaming rate").svg("over", `Gaming rate over ${label}: ${percent(rate)} at ${signed(at, 1)}.`);
}

const inWords = (rows) => rows.map(({label, note}) => `${label} ${note}`).join("; ");
const row = (label, share, note, more = {}) => ({label, share, note, ...more});

/** What each figure of the path draws. */
const DRAWINGS = {
  mind(self, run, {width}) {
    const {round} = self, c = run.world.names.indexOf(round.context), mind = mindAt(run, 0, 0);
    const r = run.world.first[c] + run.world.responses.slice(run.world.first[c]).indexOf(round.response);
    const v = stateAt(run, 0, 0)[0], rows = [
      row("answers by its values alone: respect", mind.own[r], percent(mind.own[r])),
      row("foresees after training: respect", mind.foreseen[r], percent(mind.foreseen[r])),
      row("so at stake, in units of value", mind.stake[c] / 14, signed(mind.stake[c]), {tone: 2}),
      row("training comes to mind", mind.awareness[c], percent(mind.awareness[c])),
      row("then decides to game", mind.decision[c], percent(mind.decision[c])),
      row("so it games", mind.rate[c], percent(mind.rate[c]), {tone: 1}),
      row("and answers: respect", mind.policy[r], percent(mind.policy[r])),
    ];
    const words = `With a value of ${signed(v, 1)}: ${inWords(rows)}.`;
    return bars(rows, words) + overSlider(self, width, v, mind.rate[c]);
  },
  rates: (self, run, of) => rates(run, of),
  value: (self, run, of) => values(run, of, self.beside, self.round.value),
  lasts: (self, run, {width}) => {
    const half = width < 620 ? width : Math.floor(width / 2) - 8;
    const {context, plane: view} = self.round, of = {width: half};
    return tag("div", {class: "pair"}, decided(run, of, context) + plane(run, of, context, view));
  },
  funnel(self, run, {data}) {
    const {all} = funnelOf(run, data), names = Object.entries(data.sandbox.conditions);
    const tests = {somewhere: (x) => x.reach > 0, everywhere: (x) => x.reach === 1};
    Object.keys(data.terms).forEach((term, i) => { tests[term] = (x) => x.met[i]; });
    let left = all;
    const rows = names.map(([name, label]) => {
      const on = !self.off.has(name), alone = all.filter(tests[name]).length;
      if (on) left = left.filter(tests[name]);
      const part = (kind, count) => tag("span", {class: kind, style: `width:${(100 * count) / all.length}%`});
      const head = {type: "button", class: "bar condition", role: "switch", "aria-checked": String(on)};
      return tag("button", {...head, "data-condition": name}, tag("span", {class: "name"}, escape(label))
        + tag("span", {class: "track"}, part("alone", alone) + part("fill", on ? left.length : 0))
        + tag("span", {class: "number"}, on ? left.length : "off"));
    });
    const words = `Conditions, each can be switched; ${left.length} of ${all.length} models are left at the end`;
    return tag("div", {class: "bars", role: "group", "aria-label": words}, rows.join(""))
      + '<p class="legend"><span class="swatch"></span> left so far <span class="swatch alone"></span> meet it, whatever else</p>';
  },
  evidence(self, run, {data}) {
    const {all, everywhere, others, misaligned} = funnelOf(run, data);
    const share = (group) => misaligned(group) / group.length;
    const note = (group) => (group.length ? `${misaligned(group)} of ${group.length}` : "nobody");
    const of = (label, group, more) => row(label, share(group), note(group), more);
    const rows = [of("game everywhere", everywhere, {tone: 1}), of("do not", others), of("all", all, {muted: true})];
    const moves = everywhere.length
      ? `Seeing it game everywhere moves you from <b>${percent(share(all))}</b> to <b>${percent(share(everywhere))}</b>.`
      : "Nobody games everywhere: there is nothing to see.";
    return tag("p", {class: "heading"}, "Egregiously misaligned, of models that …")
      + bars(rows, `Egregiously misaligned: ${inWords(rows)}.`) + tag("p", {class: "big"}, moves);
  },
  switches(self, run, {data}) {
    const {all, everywhere} = funnelOf(run, data), worst = all.filter((x) => x.worst).length;
    const rows = Object.entries(data.terms).map(([term], i) => {
      const met = all.filter((x) => x.met[i]).length;
      return row(data.sandbox.conditions[term], met / all.length, String(met));
    });
    const gamers = everywhere.length;
    rows.unshift(row(data.sandbox.conditions.everywhere, gamers / all.length, String(gamers), {muted: true}));
    rows.push(row("all eight: the worst case", worst / all.length, String(worst), {tone: 1}));
    return tag("p", {class: "big"}, `<b>${worst}</b> of ${all.length} are worst-case models.`)
      + bars(rows, `Of ${all.length} models: ${inWords(rows)}.`);
  },
};

/** Builds the rounds of all steps in the places that the page has for them. */
export function buildPath(page) {
  return page.data.path.steps.flatMap((stepOf) => stepOf.rounds.map((round, i) =>
    new Round(document.getElementById(`${stepOf.name}-${i + 1}`), round, page)));
}
