// Runs in slices of time: what a slider moved is seen in the next frame, with the models done so far.

import {prepare, trainNext} from "./model.js";
import {address, resolve} from "./settings.js";

/** Milliseconds of a slice: the first is drawn in the frame that follows the move. */
const FIRST_SLICE = 9, SLICE = 12, BETWEEN_DRAWINGS = 90, MOST_FINISHED = 16;

/** Returns a run of a state, ready to train. */
export function runOf(state, data) {
  const {agents, seed, record_every: recordEvery} = state;
  return prepare(resolve(state), {agents, seed, recordEvery, traitNames: data.traits, habit: data.habit});
}

/** Trains all agents of a state at once. */
export function runWhole(state, data) {
  const run = runOf(state, data);
  while (run.done < run.agents) trainNext(run);
  return run;
}

export class Runner {
  constructor(data) {
    this.data = data;
    this.finished = new Map();
    this.latest = new Map();
  }

  /** Trains a state and shows it as it grows; a newer request of the same place ends an older one. */
  async request(place, state, show) {
    const token = {}, key = address(state);
    this.latest.set(place, token);
    const current = () => this.latest.get(place) === token;
    const run = this.finished.get(key) ?? runOf(state, this.data);
    let drawn = -Infinity;
    for (let slice = FIRST_SLICE; run.done < run.agents; slice = SLICE) {
      const start = performance.now();
      do trainNext(run); while (run.done < run.agents && performance.now() - start < slice);
      if (run.diverged) break;
      if (run.done < run.agents && performance.now() - drawn > BETWEEN_DRAWINGS) {
        show(run);
        drawn = performance.now();
      }
      if (run.done < run.agents) await new Promise((resume) => setTimeout(resume));
      if (!current()) return null;
    }
    this.finished.set(key, run);
    if (this.finished.size > MOST_FINISHED) this.finished.delete(this.finished.keys().next().value);
    show(run);
    return run;
  }
}
