// Charts as SVG text, as wide as the place where they stand. Colours are the page's own variables.

const ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"};
export const escape = (text) => String(text).replace(/[&<>"]/g, (c) => ESCAPES[c]);
/** Returns an element as text; values of attributes are escaped, its content is not. */
export function tag(name, attributes, content = "") {
  const stated = Object.entries(attributes).filter(([, value]) => value !== false);
  const head = stated.map(([key, value]) => ` ${key}="${escape(value)}"`).join("");
  return name === "input" ? `<input${head}>` : `<${name}${head}>${content}</${name}>`;
}

export const colour = (index) => `var(--c${index % 7})`;
export const readable = (name) => name.replaceAll("_", " ");
const DASHES = ["", "7 3", "2 3", "9 3 2 3"];
export const dash = (index) => DASHES[index % DASHES.length];
/** Letters are about so wide, of their height. */
const LETTER = 0.53, SIZE = 13;

/** Returns round ticks between two ends. */
export function ticks(low, high, count = 5) {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((x) => x * power).find((x) => x >= raw * 0.999);
  const found = [];
  for (let x = Math.ceil(low / step - 1e-9) * step; x <= high + step * 1e-9; x += step) {
    found.push(Math.abs(x) < step * 1e-9 ? 0 : Number(x.toPrecision(12)));
  }
  return found;
}

/** Returns a label in lines of at most so many letters. */
function wrap(text, most) {
  const lines = [""];
  for (const word of text.split(" ")) {
    const longer = `${lines.at(-1)} ${word}`.trim();
    if (longer.length <= most || !lines.at(-1)) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

export class Chart {
  /** Draws into a box of so many pixels; `x` and `y` are the ends of the axes. */
  constructor({width, height, x, y, left = 54, right = 12, top = 10, bottom = 40, logarithmic = false}) {
    Object.assign(this, {width, height, x, y, left, right, top, bottom, logarithmic, parts: []});
  }

  across(value) {
    const scale = this.logarithmic ? Math.log10 : Number;
    const [low, high] = this.x.map(scale);
    return this.left + ((scale(value) - low) / (high - low)) * (this.width - this.left - this.right);
  }

  up(value) {
    const [low, high] = this.y;
    return this.height - this.bottom - ((value - low) / (high - low)) * (this.height - this.top - this.bottom);
  }

  add(part) { this.parts.push(part); return this; }

  path(xs, ys) {
    let d = "";
    for (let i = 0; i < xs.length; i++) {
      d += `${i ? "L" : "M"}${this.across(xs[i]).toFixed(1)} ${this.up(ys[i]).toFixed(1)}`;
    }
    return d;
  }

  line(xs, ys, stroke, {width = 2, dashes = "", opacity = 1} = {}) {
    return this.add(tag("path", {
      d: this.path(xs, ys), fill: "none", stroke, "stroke-width": width, "stroke-dasharray": dashes, opacity,
      "stroke-linejoin": "round",
    }));
  }

  band(xs, low, high, fill) {
    const back = this.path([...xs].reverse(), [...high].reverse()).replace("M", "L");
    return this.add(`<path d="${this.path(xs, low)}${back}Z" fill="${fill}" opacity="0.16"/>`);
  }

  dot(x, y, fill, radius = 4, stroke = "var(--paper)") {
    const [cx, cy] = [this.across(x).toFixed(1), this.up(y).toFixed(1)];
    return this.add(tag("circle", {cx, cy, r: radius, fill, stroke, "stroke-width": 1.5}));
  }

  box(x0, x1, y0, y1, fill, opacity = 1) {
    const [a, b, c, d] = [this.across(x0), this.across(x1), this.up(y1), this.up(y0)];
    const [x, width, height] = [Math.min(a, b), Math.abs(b - a), d - c].map((z) => z.toFixed(1));
    return this.add(tag("rect", {x, y: c.toFixed(1), width, height, fill, opacity}));
  }

  text(x, y, text, {anchor = "start", fill = "var(--ink)", size = SIZE, weight = 400} = {}) {
    const place = {x: x.toFixed(1), y: y.toFixed(1), "text-anchor": anchor};
    return this.add(tag("text", {...place, fill, "font-size": size, "font-weight": weight}, escape(text)));
  }

  /** Draws the axes with their labels; ticks of x may have names. */
  axes(xLabel, yLabel, {xTicks, yTicks} = {}) {
    const low = this.height - this.bottom, end = this.width - this.right;
    const plain = ticks(...this.x, this.width < 460 ? 3 : 5).map((t) => [t, t.toLocaleString("en")]);
    for (const [at, name] of xTicks ?? plain) {
      const x = this.across(at);
      this.add(`<path d="M${x.toFixed(1)} ${low}v4" stroke="var(--muted)"/>`);
      this.text(x, low + 17, name, {anchor: "middle", fill: "var(--muted)", size: 12});
    }
    for (const at of yTicks ?? ticks(...this.y, 4)) {
      const y = this.up(at);
      this.parts.unshift(`<path d="M${this.left} ${y.toFixed(1)}H${end}" stroke="var(--line)"/>`);
      this.text(this.left - 6, y + 4, at, {anchor: "end", fill: "var(--muted)", size: 12});
    }
    this.add(`<path d="M${this.left} ${low}H${end}" stroke="var(--muted)"/>`);
    this.text((this.left + end) / 2, this.height - 6, xLabel, {anchor: "middle", fill: "var(--muted)", size: 12});
    const transform = `translate(12 ${(this.top + low) / 2}) rotate(-90)`;
    this.add(tag("text", {transform, "text-anchor": "middle", fill: "var(--muted)", "font-size": 12}, escape(yLabel)));
    return this;
  }

  /** Writes labels beside the ends of lines, apart from each other. */
  labels(ends) {
    const most = Math.max(6, Math.floor((this.right - 16) / (SIZE * LETTER)));
    const labels = ends.map((end) => ({...end, lines: wrap(end.text, most), at: this.up(end.y)}));
    labels.sort((a, b) => a.at - b.at);
    const height = (label) => label.lines.length * 14;
    const total = labels.reduce((sum, label) => sum + height(label) + 3, 0);
    let free = this.top;
    labels.forEach((label, i) => {
      const rest = labels.slice(i).reduce((sum, each) => sum + height(each) + 3, 0);
      const latest = this.height - this.bottom + 4 - rest;
      label.top = Math.max(free, Math.min(label.at - height(label) / 2, total < this.height ? latest : Infinity));
      free = label.top + height(label) + 3;
    });
    const x = this.width - this.right;
    for (const {lines, at, top, colour: fill} of labels) {
      const middle = top + (lines.length * 14) / 2;
      this.add(`<path d="M${x + 1} ${at.toFixed(1)}L${x + 9} ${middle.toFixed(1)}" stroke="${fill}" fill="none"/>`);
      lines.forEach((line, l) => this.text(x + 12, top + 11 + 14 * l, line, {fill}));
    }
    return this;
  }

  /** Returns the SVG, with words for who does not see it. */
  svg(name, words) {
    const {width, height} = this;
    return tag("svg", {
      xmlns: "http://www.w3.org/2000/svg", class: "chart", "data-figure": name, role: "img", "aria-label": words,
      viewBox: `0 0 ${width} ${height}`, width, height, "font-family": "system-ui, sans-serif",
    }, this.parts.join(""));
  }
}

/** Returns how much room labels need to the right of a chart. */
export function labelRoom(texts, width) {
  const longest = Math.max(0, ...texts.map((text) => text.length)) * SIZE * LETTER + 18;
  return Math.ceil(Math.min(longest, width * 0.34));
}
