// The page: what its parts share, and how they start.

import {planeOf} from "./figures.js";
import {mindAt, onset, regime, worstCaseTerms} from "./measures.js";
import {prepare, trainNext} from "./model.js";
import {buildPath} from "./path.js";
import {Runner, runWhole} from "./runner.js";
import {Sandbox} from "./sandbox.js";
import {commandLine, know, readCommand} from "./settings.js";

const data = JSON.parse(document.getElementById("data").textContent);
know(data);

const waiting = new Map();
const page = {
  data,
  runner: new Runner(data),

  /** Does something before the next frame is drawn; of several moves in one frame, the last. */
  inNextFrame(place, action) {
    if (!waiting.has(place)) {
      requestAnimationFrame(() => {
        const last = waiting.get(place);
        waiting.delete(place);
        last();
      });
    }
    waiting.set(place, action);
  },

  /** Offers a text as a file. */
  save(name, type, text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], {type}));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  },

  /** Writes an address once moves have paused: browsers refuse too many in a row. */
  showAddress(hash) {
    clearTimeout(this.writing);
    this.writing = setTimeout(() => { if (hash !== location.hash) history.replaceState(null, "", hash); }, 200);
  },

  /** Counts the predictions, beside the steps and at the end. */
  predicted() {
    const made = rounds.filter((round) => round.right !== undefined), left = rounds.length - made.length;
    const hits = made.filter((round) => round.right === round.guess).length, s = made.length > 1 ? "s" : "";
    document.getElementById("tally").textContent = `${hits} of your ${made.length} prediction${s} came out as the `
      + `model has it${left ? `; ${left} to go.` : ". What surprised you most?"}`;
    for (const step of data.path.steps) {
      const own = rounds.filter((round) => round.name.startsWith(`${step.name}-`));
      const link = document.querySelector(`nav a[href="#${step.name}"]`);
      link.classList.toggle("done", own.every((round) => round.right !== undefined));
    }
  },
};

const rounds = buildPath(page), sandbox = new Sandbox(document.getElementById("sandbox"), page);

/** Opens the sandbox where the address holds a state; other addresses are places of the page. */
function follow() {
  const isState = location.hash.includes("=");
  if (isState || !sandbox.run) sandbox.open(isState ? location.hash : "");
  if (isState) document.getElementById("sandbox").scrollIntoView();
}

addEventListener("hashchange", follow);
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === width) return;
  width = innerWidth;
  page.inNextFrame("resize", () => {
    if (sandbox.run) sandbox.show(sandbox.run);
    rounds.filter((round) => round.right !== undefined).forEach((round) => round.draw());
  });
});
follow();

/** Trains specs, as plain data. */
function train(specs, options) {
  const run = prepare(specs, options);
  while (run.done < run.agents) trainNext(run);
  return run;
}

/** For tests, and for who wants to try things in the console. */
window.explorable = {
  data, page, rounds, sandbox, train, mindAt, onset, regime, worstCaseTerms, planeOf, commandLine, readCommand,
  runWhole: (state) => runWhole(state, data),
};
