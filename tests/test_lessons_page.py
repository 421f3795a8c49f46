"""The lessons in a browser, served as `make lessons` serves them; nothing leaves the machine."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Locator

from browser import Browser, Visit, faint, visit, wordless
from commands import port_of

ROOT = Path(__file__).parent.parent
LESSONS = sorted(path.name for path in (ROOT / "notebooks").glob("lesson_*.py"))
SLIDER = "how much it values copyright, v"

#: What is seen beyond the right edge. Formulas have a second form for screen readers, out of sight.
BEYOND = """() => {
  const found = [];
  const walk = (root) => {
    for (const one of root.querySelectorAll('*')) {
      if (one.shadowRoot) walk(one.shadowRoot);
      const box = one.getBoundingClientRect();
      if (!box.width || !box.height || box.right <= innerWidth + 1 || one.closest('math')) continue;
      found.push(`${one.tagName} ${one.textContent.slice(0, 40)}`);
    }
  };
  walk(document.body);
  return found;
}"""


@contextmanager
def lessons(*arguments: str) -> Iterator[int]:
    """Serve the lessons with the command of the Makefile, and yield their port."""
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").split("\nlessons:")[1].splitlines()[1]
    assert "marimo run notebooks/lesson_*.py --host 127.0.0.1" in recipe
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    files = [f"notebooks/{name}" for name in LESSONS]
    server = [sys.executable, "-m", "marimo", "run", *files, "--host", "127.0.0.1"]
    running = subprocess.Popen(
        [*server, "--headless", "--port", str(port), *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert running.stdout is not None
    try:
        yield port_of(running)
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(timeout=20)
        running.stdout.close()


@pytest.fixture(scope="module")
def opened(browser: Browser) -> Iterator[tuple[Visit, str]]:
    """A page, and where the lessons are."""
    with lessons() as port:
        seen = visit(browser)
        seen.page.set_default_timeout(60_000)
        yield seen, f"127.0.0.1:{port}"


def errors(seen: Visit) -> list[str]:
    """Return what cells show instead of their output where they failed."""
    shown = seen.page.locator(".marimo-error, [data-testid=marimo-error], .error-outline")
    said = [one.inner_text() for one in shown.all()]
    words = "internal error|Traceback|wasn't run because|raised an exception"
    return said + re.findall(words, seen.page.locator("body").inner_text())


def choose(seen: Visit, question: int, answer: str) -> None:
    seen.page.get_by_role("radiogroup").nth(question).get_by_label(answer).click()


def comes(locator: Locator, count: int) -> bool:
    """Wait for so many of something, which cells show one after the other; say if more came."""
    locator.nth(count - 1).wait_for()
    return bool(locator.count() == count)


def alt(seen: Visit, figure: int) -> str:
    return str(seen.page.locator("figure.lesson img").nth(figure).get_attribute("alt"))


# One test, so that one server and one browser do for all of it.
def test_a_lesson(opened: tuple[Visit, str]) -> None:
    seen, host = opened
    page = seen.page
    page.goto(f"http://{host}/")
    links = page.get_by_role("link")
    links.nth(len(LESSONS) - 1).wait_for()
    page.goto(str(links.filter(has_text="Lesson 1").get_attribute("href")))
    page.get_by_role("radiogroup").nth(1).wait_for()
    figures = page.locator("figure.lesson")
    answers = page.get_by_role("button", name="Answer to exercise")

    # Asked, and nothing told before an answer; formulas are drawn.
    assert page.get_by_role("heading", level=1).inner_text().startswith("Lesson 1")
    assert comes(page.get_by_text("appears here once you have answered"), 3)
    assert (figures.count(), answers.count(), page.get_by_role("slider").count()) == (0, 0, 0)
    assert comes(page.locator(".katex-display .katex-html"), 2)
    assert not re.search(r"\\(sigma|text|pi)|\$", page.locator("body").inner_text())

    # One answer opens one figure, and nothing else; two open what asks for both.
    choose(seen, 0, "hardly: 0.2")
    figures.nth(0).wait_for()
    assert comes(page.get_by_text("Not what the model computes."), 1)
    assert (figures.count(), answers.count()) == (1, 0)
    choose(seen, 1, "it cares more about the future (ℓ from −1 to 1)")
    figures.nth(2).wait_for()
    assert comes(page.get_by_text("As you predicted."), 1)

    # A slider moves, by keyboard; the figure and its words follow.
    slider = page.get_by_role("slider", name=SLIDER)
    said, drawn = alt(seen, 2), figures.nth(2).locator("img").get_attribute("src")
    assert "at a value of 1.0 " in said
    slider.focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(
        "(said) => document.querySelectorAll('figure.lesson img')[2].alt !== said", arg=said
    )
    assert "at a value of 0.9 " in alt(seen, 2)
    assert figures.nth(2).locator("img").get_attribute("src") != drawn

    # The third answer opens two more.
    assert comes(figures, 3)
    choose(seen, 2, "the first two")
    figures.nth(4).wait_for()
    assert comes(page.get_by_text("As you predicted."), 2)

    # The answer to an exercise is folded away until it is asked for, by keyboard too.
    assert comes(answers, 3)
    told = page.get_by_role("region", name="Answer to exercise 1")
    assert told.count() == 0
    answers.nth(0).focus()
    page.keyboard.press("Enter")
    told.get_by_text("Awareness adds nothing to the decision").wait_for()

    # What is seen, wide and on a telephone.
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert faint(page) == []
        assert wordless(page) == []
        # The words in a figure are of 11.5 points, 4/3 pixels each where it is not made smaller.
        shown = figures.locator("img").evaluate_all(
            "(all) => all.map((one) => one.clientWidth / one.naturalWidth)"
        )
        assert len(shown) == 5
        assert all(10 < 11.5 * 4 / 3 * scale < 20 for scale in shown)
    assert page.evaluate(BEYOND) == []

    assert errors(seen) == []
    assert len(seen.requests) > 10
    assert seen.strangers(host) == []
    assert seen.complaints == []


# The fifth has the widest formula. The rest are run by `test_lessons.py`, without a browser.
@pytest.mark.parametrize(
    "name", [LESSONS[4], *(pytest.param(name, marks=pytest.mark.slow) for name in LESSONS[1:4])]
)
def test_the_others_open(opened: tuple[Visit, str], name: str) -> None:
    seen, host = opened
    seen.complaints.clear()
    seen.page.set_viewport_size({"width": 390, "height": 900})
    seen.page.goto(f"http://{host}/?file={name}")
    seen.page.get_by_role("radiogroup").nth(1).wait_for()
    seen.page.get_by_text("What the model cannot say").first.wait_for()
    assert seen.page.locator("figure.lesson").count() == 0
    assert seen.page.evaluate(BEYOND) == []
    assert errors(seen) == []
    assert seen.strangers(host) == []
    assert seen.complaints == []
