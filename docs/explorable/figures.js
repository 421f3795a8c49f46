// The figures of the page, from runs, each with the words that say what it shows.

import {Chart, colour, dash, escape, labelRoom, readable, tag} from "./chart.js";
import {step, think} from "./model.js";
import {decisions, median, medianOnset, mindAt, rateBands, stateAt, valueBands} from "./measures.js";

export const percent = (share) => {
  const points = 100 * share, isNear = (x) => x >= 0.05 && x < 1;
  const digits = isNear(points) || isNear(100 - points) ? 1 : 0;
  return Number.isFinite(points) ? `${points.toFixed(digits)}\u00a0%` : "none";
};
export const signed = (x, digits = 2) => (Number.isFinite(x) ? x.toFixed(digits).replace("-", "−") : "not defined");

/** Returns colour and dashes of each context: a twin has the colour of its original. */
export function contextStyles(world) {
  const owner = world.names.map((_, c) => (world.twin.includes(c) ? world.twin.indexOf(c) : c));
  const originals = [...new Set(owner)];
  return world.names.map((_, c) => ({
    colour: colour(originals.indexOf(owner[c])),
    dashes: world.kinds[c] === "training" ? dash(2 * Math.floor(originals.indexOf(owner[c]) / 7)) : dash(1),
  }));
}

/** Writes the ends and names of phases, where there are several. */
function phases(chart, run) {
  if (run.segments.length < 2) return;
  run.segments.forEach((segment, i) => {
    const x = chart.across(segment.start);
    const d = `M${x} ${chart.top}V${chart.height - chart.bottom}`;
    if (i) chart.add(tag("path", {d, stroke: "var(--muted)", "stroke-dasharray": "3 3"}));
    chart.text(x + 4, chart.top - 3, `${i + 1}`, {fill: "var(--muted)", size: 12});
  });
}

export function rates(run, {width, data}) {
  const {world, records} = run, narrow = width < 460;
  const [low, middle, top] = [0, 1, 2], found = rateBands(run, data.band), styles = contextStyles(world);
  const kind = (c) => (world.kinds[c] === "training" ? "" : " (not trained)");
  const names = world.names.map((name, c) => readable(name) + kind(c)), right = labelRoom(names, width);
  const chart = new Chart({width, height: narrow ? 250 : 290, x: [0, run.steps], y: [0, 1], right, top: 18});
  chart.axes("training step", "gaming rate");
  phases(chart, run);
  const ends = [], words = [];
  found.forEach((bands, c) => {
    const {colour: stroke, dashes} = styles[c], at = medianOnset(run, c, data.rules);
    chart.band(records, bands[low], bands[top], stroke).line(records, bands[middle], stroke, {dashes});
    if (isFinite(at)) chart.dot(at, bands[middle][records.indexOf(records.find((t) => t >= at))], stroke);
    const [first, last] = [bands[middle][0], bands[middle].at(-1)];
    ends.push({text: names[c], y: last, colour: stroke});
    const since = isFinite(at) ? `, onset at step ${at}` : "";
    words.push(`${names[c]}: from ${first.toFixed(2)} to ${last.toFixed(2)}${since}`);
  });
  chart.labels(ends);
  const list = run.segments.map(({name}, i) => `${i + 1} ${escape(name)}`).join(", ");
  const named = run.segments.length < 2 ? "" : tag("p", {class: "legend"}, `Phases: ${list}.`);
  return named + chart.svg("rates", `Median gaming rate over training, by context. ${words.join("; ")}.`);
}

export function values(run, {width, data}, beside = null, only = null) {
  const {world, records} = run, runs = [[run, ""], ...(beside ? [[beside, ", never games"]] : [])], lines = [];
  for (const [each, suffix] of runs) {
    valueBands(each, data.band).forEach((bands, d) => {
      if (only && world.values[d] !== only) return;
      const text = !only ? readable(world.values[d]) : suffix ? "never aware" : "this group";
      lines.push({bands, text, colour: colour(suffix ? 1 : d), dashes: dash(suffix ? 1 : Math.floor(d / 7))});
    });
  }
  const all = lines.flatMap(({bands}) => [...bands[0], ...bands[2]]);
  const low = Math.min(0, ...all), high = Math.max(0.1, ...all), margin = 0.06 * (high - low);
  const chart = new Chart({
    width, height: width < 460 ? 230 : 260, x: [0, run.steps], y: [low - margin, high + margin],
    right: labelRoom(lines.map(({text}) => text), width),
  });
  chart.axes("training step", only ? `value for ${readable(only)}` : "strength of value");
  chart.line([0, run.steps], [0, 0], "var(--muted)", {width: 1});
  for (const {bands, colour: stroke, dashes} of lines) {
    chart.band(records, bands[0], bands[2], stroke).line(records, bands[1], stroke, {dashes});
  }
  chart.labels(lines.map(({bands, text, colour: fill}) => ({text, y: bands[1].at(-1), colour: fill})));
  const words = lines.map(({bands, text}) => `${text}: from ${signed(bands[1][0])} to ${signed(bands[1].at(-1))}`);
  return chart.svg("values", `Median strength of values over training. ${words.join("; ")}.`);
}

/** Returns a context's plane of value and habit: the flow on a grid, and the gaming rate there. */
export function planeOf(run, context, view = {}) {
  const world = run.last, start = stateAt(run, 0, 0), traits = run.traits[0];
  const {stake} = mindAt(run, run.records.length - 1, 0), trained = [...world.trained];
  think(run.looking, world, traits, start, world.everywhere);
  const c = trained.includes(world.names.indexOf(context)) ? world.names.indexOf(context)
    : trained.reduce((most, each) => (stake[each] > stake[most] ? each : most));
  const responses = Array.from({length: world.first[c + 1] - world.first[c]}, (_, k) => world.first[c] + k);
  const weight = (d) => responses.reduce((sum, r) => sum + Math.abs(world.features[r * world.D + d]), 0);
  const v = world.values.reduce((most, _, d) => (weight(d) > weight(most) ? d : most), 0);
  const h = world.D + world.R + c, agents = Array.from({length: run.done}, (_, n) => n);
  const course = (row) => run.records.map((_, s) => agents.map((n) => stateAt(run, s, n)[row]));
  const [valueCourse, habitCourse] = [course(v), course(h)];
  const wider = ([low, high], row) => [Math.min(low, ...row), Math.max(high, ...row)];
  const [y0, y1] = view.y ?? valueCourse.reduce(wider, [-2, 2]);
  const [x0, x1] = view.x ?? habitCourse.reduce(wider, [-8, 8]), cells = [];
  for (let j = 0; j < 13; j++) {
    for (let i = 0; i < 21; i++) {
      const theta = start.slice(), value = y0 + ((y1 - y0) * j) / 12, habit = x0 + ((x1 - x0) * i) / 20;
      theta[v] = value;
      theta[h] = habit;
      step(theta, start, run.change, run.looking, world, traits, run.assumed);
      const up = (theta[v] - value) / (y1 - y0), across = (theta[h] - habit) / (x1 - x0);
      cells.push({value, habit, up, across, rate: run.looking.rate[c]});
    }
  }
  return {context: world.names[c], value: world.values[v], cells, x: [x0, x1], y: [y0, y1], valueCourse, habitCourse};
}

export function plane(run, {width}, context, view) {
  const of = planeOf(run, context, view), height = Math.min(340, Math.max(260, width * 0.75));
  const chart = new Chart({width, height, x: of.x, y: of.y});
  const [dx, dy] = [(of.x[1] - of.x[0]) / 40, (of.y[1] - of.y[0]) / 24];
  const clip = (x, [low, high]) => Math.min(high, Math.max(low, x));
  for (const cell of of.cells) {
    const across = [cell.habit - dx, cell.habit + dx].map((x) => clip(x, of.x));
    const up = [cell.value - dy, cell.value + dy].map((y) => clip(y, of.y));
    if (cell.rate > 0.02) chart.box(...across, ...up, "var(--c1)", (0.3 * cell.rate).toFixed(2));
  }
  let arrows = "";
  for (const {value, habit, up, across} of of.cells) {
    const length = Math.hypot(up, across);
    if (!length || value <= of.y[0] || value >= of.y[1] || habit <= of.x[0] || habit >= of.x[1]) continue;
    const x = chart.across(habit), y = chart.up(value), a = (10 * across) / length, b = (-10 * up) / length;
    const point = (i, j) => `${i.toFixed(1)} ${j.toFixed(1)}`, tip = point(x + a / 2, y + b / 2);
    arrows += `M${point(x - a / 2, y - b / 2)}L${tip}m${point(-0.4 * a + 0.25 * b, -0.4 * b - 0.25 * a)}`
      + `L${tip}l${point(-0.4 * a - 0.25 * b, -0.4 * b + 0.25 * a)}`;
  }
  chart.add(`<path d="${arrows}" fill="none" stroke="var(--muted)" stroke-width="1"/>`);
  const S = run.records.length, some = Array.from({length: 25}, (_, i) => Math.round((i / 24) ** 2 * (S - 1)));
  const shown = Math.min(run.done, 48);
  for (let n = 0; n < shown; n++) {
    const [habits, strengths] = [of.habitCourse, of.valueCourse].map((course) => some.map((s) => course[s][n]));
    chart.line(habits, strengths, "var(--ink)", {width: 1, opacity: 0.55});
  }
  for (let n = 0; n < shown; n++) {
    chart.dot(of.habitCourse[0][n], of.valueCourse[0][n], "var(--paper)", 3.5, "var(--ink)");
    chart.dot(of.habitCourse[S - 1][n], of.valueCourse[S - 1][n], "var(--ink)", 3.5);
  }
  chart.axes("habit of gaming (log-odds); shaded: games", `value for ${readable(of.value)}`);
  const at = (s) => `habit ${signed(median(of.habitCourse[s]), 1)} and value ${signed(median(of.valueCourse[s]))}`;
  return chart.svg("plane", `Phase plane of ${readable(of.context)}: models go, in the median, from ${at(0)} to ${at(S - 1)}; arrows show where a training step would move them.`);
}

/** Draws the decision of each agent over training in a context; the start stands at step 1. */
export function decided(run, {width}, context) {
  const c = run.world.names.indexOf(context), last = run.records.length - 1, most = Math.log(last + 1);
  const some = [...new Set(Array.from({length: 60}, (_, i) => Math.round(Math.exp((most * i) / 59)) - 1))];
  const found = decisions(run, c, some), steps = some.map((s) => Math.max(1, run.records[s]));
  const height = Math.min(340, Math.max(260, width * 0.75));
  const chart = new Chart({width, height, x: [1, run.steps], y: [0, 1], logarithmic: true});
  chart.box(1, run.steps, 0.1, 0.9, "var(--c4)", 0.14);
  for (let n = 0; n < run.done; n++) {
    chart.line(steps, found.map((row) => row[n]), "var(--c0)", {width: 1.1, opacity: 0.7});
  }
  chart.text(chart.width - chart.right - 6, chart.up(0.5), "undecided", {anchor: "end"});
  const xTicks = [[1, "start"], [10, "10"], [100, "100"], [1000, "1,000"]];
  chart.axes("training step (logarithmic)", "decision to game", {xTicks});
  const count = (test) => found.at(-1).filter(test).length;
  const undecided = count((d) => d > 0.1 && d < 0.9), gamers = count((d) => d >= 0.9);
  return chart.svg("decided", `Decision to game of each of ${run.done} models over training: ${undecided} are undecided at the end, ${gamers} have decided to game.`);
}

/** Returns rows of bars as HTML: each {label, share, note, muted, strong}. */
export function bars(rows, words) {
  const bar = ({label, share, note, muted, tone = 0}) => {
    const width = `width:${(100 * Math.max(0, Math.min(1, share || 0))).toFixed(2)}%`;
    const fill = tag("span", {class: "fill", style: `${width};background:var(--c${tone})`});
    return tag("div", {class: muted ? "bar muted" : "bar"}, tag("span", {class: "name"}, escape(label))
      + tag("span", {class: "track"}, fill) + tag("span", {class: "number"}, escape(note)));
  };
  return tag("div", {class: "bars", role: "img", "aria-label": words}, rows.map(bar).join(""));
}

export function regimeBars(run, {width}, {shares}) {
  const names = Object.keys(shares), height = 24 * names.length + 12;
  const chart = new Chart({width, height, x: [0, 1], y: [0, names.length], left: 76, right: 56, top: 4, bottom: 4});
  names.forEach((name, i) => {
    const y = names.length - 0.5 - i;
    chart.text(chart.left - 8, chart.up(y) + 4, name, {anchor: "end"});
    chart.box(0, 1, y - 0.3, y + 0.3, "var(--line)", 0.5).box(0, shares[name], y - 0.3, y + 0.3, "var(--c0)");
    chart.text(chart.width - chart.right + 8, chart.up(y) + 4, percent(shares[name]));
  });
  const words = names.filter((name) => shares[name] > 0).map((name) => `${name}: ${percent(shares[name])} of models`);
  return chart.svg("regimes", `Regime at the end of training. ${words.join("; ")}.`);
}

export function termBars(run, {width, data}, cases) {
  const terms = Object.entries(data.terms), labels = data.sandbox.terms, left = Math.min(205, width * 0.48);
  const height = 26 * terms.length + 34, y = [0, terms.length];
  const chart = new Chart({width, height, x: [-1, 1], y, left, right: 16, top: 4, bottom: 30});
  const words = [];
  terms.forEach(([term, limit], i) => {
    const y = terms.length - 0.5 - i;
    const numbers = Float64Array.from(cases.map((x) => x.numbers[i]).filter(isFinite)).sort();
    const side = term === "misalignment" ? [-1, limit] : [limit, 1];
    if (numbers.length) chart.box(...side, y - 0.36, y + 0.36, "var(--c1)", 0.28);
    chart.text(left - 8, chart.up(y) + 4, labels[term], {anchor: "end", size: width < 460 ? 11.5 : 13});
    const met = cases.filter((x) => x.met[i]).length / cases.length;
    if (!numbers.length) {
      chart.text(chart.across(-1) + 4, chart.up(y) + 4, "not defined here", {fill: "var(--muted)"});
      return;
    }
    const at = (level) => Math.max(-1, Math.min(1, numbers[Math.round(level * (numbers.length - 1))]));
    chart.line([at(0.1), at(0.9)], [y, y], "var(--muted)", {width: 3}).dot(median(numbers), y, "var(--ink)", 5);
    const needs = `${term === "misalignment" ? "at most" : "at least"} ${signed(limit, 1)}`;
    words.push(`${labels[term]} ${signed(median(numbers))} (needs ${needs}; met by ${percent(met)})`);
  });
  const legend = {anchor: "middle", fill: "var(--muted)", size: 12};
  chart.text(chart.across(0), chart.height - 8, "shaded: holds; dot: median model", legend);
  const whole = cases.filter((x) => x.worst).length / cases.length;
  return chart.svg("terms", `Worst-case terms, medians. ${words.join("; ")}. All are met by ${percent(whole)} of models.`);
}
