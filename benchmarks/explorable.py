"""How long the explorable takes from a slider's move to what it draws, in a browser."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Column, Table

from browser import Visit, chromium
from explorables import build_module, open_page

SCENARIOS = ("copyright", "power_seeker", "monolithic", "lab_to_deployment")
MOVES, AGENTS = 24, 32
#: Moves the slider of awareness by a step, and resolves with two times, by the browser's own clock:
#: until a figure that came of it has been painted, and until one of all agents has.
_MOVE = """() => new Promise((resolve) => {
  const {sandbox} = explorable, before = sandbox.run, times = [];
  const input = document.querySelector('#sliders input[data-key="agent.initial.awareness"]');
  const start = performance.now();
  input.stepUp();
  input.dispatchEvent(new Event('input', {bubbles: true}));
  const painted = new MessageChannel(), since = () => performance.now() - start;
  const look = () => requestAnimationFrame(() => painted.port2.postMessage(0));
  painted.port1.onmessage = () => {  // the task that follows the painting of a frame
    const {run} = sandbox;
    if (run !== before && !times.length) times.push(since());
    if (run !== before && run.done === run.agents) resolve([times[0], since()]);
    else look();
  };
  look();
  setTimeout(() => resolve([NaN, NaN]), 10000);
})"""
_TO_THE_LEFT = """() => {
  const input = document.querySelector('#sliders input[data-key="agent.initial.awareness"]');
  input.value = input.min;
  input.dispatchEvent(new Event('input', {bubbles: true}));
}"""
_RUNS = """(state) => Array.from({length: 24}, () => {
  const start = performance.now();
  explorable.runWhole(state);
  return performance.now() - start;
})"""


@dataclass(frozen=True)
class MoveTimes:
    """The times of a scenario, in milliseconds.

    Attributes:
        scenario: Its name.
        first: From the move to the first figure that shows it, of each move.
        whole: From the move to the figure of all agents.
        runs: 1,000 steps of all agents, without drawing.
    """

    scenario: str
    first: list[float]
    whole: list[float]
    runs: list[float]


def measure(folder: Path) -> list[MoveTimes]:
    """Move the slider of awareness, step by step, in some scenarios (RuntimeError: no Chromium)."""
    text = str(build_module().page())
    with chromium() as browser:
        return [
            _measure_scenario(open_page(browser, text, folder), scenario) for scenario in SCENARIOS
        ]


def _measure_scenario(opened: Visit, scenario: str) -> MoveTimes:
    page = opened.page
    state = {"scenario": scenario, "agents": AGENTS, "seed": 0, "record_every": 20}
    page.evaluate("(hash) => { location.hash = hash; }", f"#scenario={scenario}&agents={AGENTS}")
    page.locator("summary", has_text="The model").click()
    page.evaluate(_TO_THE_LEFT)
    page.wait_for_timeout(1000)
    times = [page.evaluate(_MOVE) for _ in range(MOVES + 1)][1:]
    runs = page.evaluate(_RUNS, {**state, "settings": {"training.steps": 1000}})
    page.context.close()
    first, whole = np.array(times).T.tolist()
    return MoveTimes(scenario, first, whole, runs)


def explorable_table(times: list[MoveTimes]) -> Table:
    """Lay the times out."""
    table = Table(
        "scenario",
        *(
            Column(head, justify="right")
            for head in ("move to figure, median", "95 %", "to all agents, median", "1,000 steps")
        ),
        title=f"Explorable: {MOVES} moves of a slider, {AGENTS} agents, milliseconds",
        title_justify="left",
    )
    for each in times:
        middle, high = np.quantile(each.first, (0.5, 0.95))
        whole, run = np.median(each.whole), np.min(each.runs)
        table.add_row(each.scenario, *(f"{x:.0f}" for x in (middle, high, whole, run)))
    return table
