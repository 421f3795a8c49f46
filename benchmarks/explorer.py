"""How long the explorer's page takes from a slider's move to the new figure, in a browser."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from rich.table import Column, Table

from browser import chromium, visit
from explorers import explorer
from notebooks.explorer.figures import draw
from notebooks.explorer.state import State
from notebooks.explorer.view import look

SCENARIOS = ("copyright", "power_seeker", "monolithic", "lab_to_deployment")
MOVES = 24
#: Presses a key on the slider that has the focus, and resolves when the figure that came of it has
#: been painted; by the browser's own clock.
_PRESS = """() => new Promise((resolve) => {
  const start = performance.now(), before = document.querySelector('#command').innerText;
  const look = () => {
    const now = document.querySelector('#command');
    if (now && now.innerText !== before) {
      requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - start), 0));
    } else { requestAnimationFrame(look); }
  };
  let at = document.activeElement;
  while (at.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
  const told = {key: 'ArrowRight', code: 'ArrowRight', bubbles: true, composed: true};
  at.dispatchEvent(new KeyboardEvent('keydown', told));
  at.dispatchEvent(new KeyboardEvent('keyup', told));
  requestAnimationFrame(look);
})"""


@dataclass(frozen=True)
class MoveTimes:
    """The figures of a scenario, in milliseconds.

    Attributes:
        scenario: Its name.
        browser: From key to painted figure, of each move.
        view: The run and everything that is read from it, without page and browser.
        drawing: Its figures.
    """

    scenario: str
    browser: list[float]
    view: float
    drawing: float


def measure(folder: Path) -> list[MoveTimes]:
    """Move the slider of awareness, step by step, in every scenario.

    Raises:
        RuntimeError: There is no Chromium.
    """
    figures = []
    with chromium() as browser, explorer(folder) as port:
        for scenario in SCENARIOS:
            visitor = visit(browser)
            page = visitor.page
            page.goto(f"http://127.0.0.1:{port}/")
            page.wait_for_selector("#figure-rates")
            if scenario != State().scenario:
                page.get_by_label("scenario").select_option(label=scenario)
                page.wait_for_function(
                    "(name) => document.querySelector('#command').innerText.includes(name)",
                    arg=f"scenario={scenario}",
                )
            page.get_by_role("slider").first.focus()
            page.keyboard.press("Home")
            page.wait_for_timeout(1000)
            times = [float(page.evaluate(_PRESS)) for _ in range(MOVES + 1)][1:]
            page.context.close()
            figures.append(MoveTimes(scenario, times, *_alone(scenario)))
    return figures


def _alone(scenario: str) -> tuple[float, float]:
    view = look(State(scenario))
    times = [perf_counter()]
    for awareness in np.linspace(-8.0, 2.0, MOVES):
        view = look(State(scenario, {"agent.initial.awareness": float(awareness)}))
    times.append(perf_counter())
    for _ in range(MOVES):
        draw(view)
    times.append(perf_counter())
    viewing, drawing = np.diff(times) * 1000.0 / MOVES
    return float(viewing), float(drawing)


def explorer_table(figures: list[MoveTimes]) -> Table:
    """Lay the figures out."""
    table = Table(
        "scenario",
        Column("key to figure, median", justify="right"),
        Column("95 %", justify="right"),
        Column("run and measures", justify="right"),
        Column("drawing", justify="right"),
        title=f"Explorer: {MOVES} moves of a slider, {State().agents} agents, milliseconds",
        title_justify="left",
    )
    for times in figures:
        low, high = np.quantile(times.browser, (0.5, 0.95))
        table.add_row(
            times.scenario,
            f"{low:.0f}",
            f"{high:.0f}",
            f"{times.view:.0f}",
            f"{times.drawing:.0f}",
        )
    return table
