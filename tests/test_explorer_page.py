"""The explorer in a browser: sliders, messages, downloads; nothing leaves the machine."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from browser import Browser, Visit, faint, names_of, visit, wordless
from explorers import explorer
from notebooks.explorer.state import State
from notebooks.explorer.view import look
from notebooks.explorer.words import headline, of_rates

AWARENESS = "situational awareness α (log-odds)"


@pytest.fixture(scope="module")
def opened(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Visit, Visit, int]]:
    """The page, wide and narrow, and its port; it is still open when the server is ended."""
    with explorer(tmp_path_factory.mktemp("explorer")) as port:
        pages = visit(browser), visit(browser, width=400, height=800)
        for seen in pages:
            seen.page.set_default_timeout(60_000)
            seen.page.goto(f"http://127.0.0.1:{port}/")
            seen.page.wait_for_selector("#figure-rates")
        yield *pages, port


def said(seen: Visit) -> str:
    return str(seen.page.locator("#command").inner_text())


def after(seen: Visit, before: str) -> str:
    """Wait until the page shows another command, and return it."""
    seen.page.wait_for_function(
        "(before) => document.querySelector('#command').innerText !== before", arg=before
    )
    return said(seen)


# One test, so that one server and one browser do for all of it.
@pytest.mark.usefixtures("population")  # as in the process of the page
@pytest.mark.slow
def test_the_page(opened: tuple[Visit, Visit, int], tmp_path: Path) -> None:
    seen, narrow, port = opened
    page = seen.page
    assert said(seen) == State().command()
    assert page.locator("#headline").inner_text() == headline(look(State()))

    # What is seen: contrast, words for figures, nothing that has to be scrolled to sideways.
    for one in (seen, narrow):
        assert faint(one.page) == []
        assert wordless(one.page) == []
        assert one.page.locator("svg[role=img]").count() == 5
        assert one.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert one.page.evaluate(
            "[...document.querySelectorAll('figure')].every(f => "
            "f.getBoundingClientRect().right <= innerWidth)"
        )

    # By keyboard: every control is reached by Tab, and has a name.
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "() => { let e = document.activeElement;"
                " while (e.shadowRoot?.activeElement) e = e.shadowRoot.activeElement;"
                " return e.getAttribute('role') ?? e.tagName.toLowerCase(); }"
            )
        )
        if reached[-1] == "body":
            break
    sliders = page.get_by_role("slider")
    count = sliders.count()
    assert count == 17
    assert reached.count("slider") == count
    assert reached.count("input") == 4
    assert reached.count("select") == 2
    assert reached.count("a") == 2
    names = names_of(page, "slider")
    assert len(set(names) - {""}) == count
    assert all(names_of(page, "textbox") + names_of(page, "combobox"))

    # A slider moves, by keyboard; the figure and its words follow, and the command with them.
    page.get_by_role("slider", name=AWARENESS).focus()
    before, drawn = said(seen), page.locator("#figure-rates").inner_html()
    page.keyboard.press("Home")
    command = after(seen, before)
    assert "agent.initial.awareness=-10" in command
    assert page.locator("#figure-rates").inner_html() != drawn
    again = look(State.read(command))
    assert page.locator("#figure-rates").get_attribute("aria-label") == of_rates(again)
    assert page.get_by_role("slider", name=AWARENESS).evaluate(
        "(e) => e === e.getRootNode().activeElement"
    )

    # Something that cannot be used: the message, and the last good figure.
    other = page.get_by_label("any other setting")
    other.fill("training.leak=2")
    page.wait_for_selector(".wrong")
    wrong = page.locator(".wrong")
    assert "training.leak: got 2: must be a number from 0 to 1" in wrong.inner_text()
    assert said(seen) == command
    assert page.locator(".stale #figure-rates").count() == 1
    assert faint(page) == []
    other.fill("training.leak=0.25")
    page.wait_for_selector(".wrong", state="detached")
    command = after(seen, command)
    assert shlex.split(command)[-1] == "training.leak=0.25"

    # What is saved is what is shown.
    view = look(State.read(command))
    for name, expected in (("figure", command.split()[-1]), ("data", view.csv())):
        with page.expect_download() as waiting:
            page.get_by_text(f"Download the {name}").click()
        waiting.value.save_as(tmp_path / name)
        assert expected in (tmp_path / name).read_text(encoding="utf-8")

    # A command line from somewhere else is loaded; the other page shows what it showed.
    shared = State("pipeline", {"training.anchor": 0.005}, agents=8, seed=5)
    field = page.get_by_label("load a command line")
    field.fill("python experiments/emergence.py scenario=../x")
    field.press("Enter")
    page.wait_for_selector(".wrong")
    field.fill(shared.command())
    field.press("Enter")
    assert after(seen, command) == shared.command()
    assert page.locator("#headline").inner_text() == headline(look(shared))
    assert said(narrow) == State().command()
    chosen = page.get_by_label("scenario", exact=True)
    chosen.select_option("scratchpad")
    assert after(seen, shared.command()).split()[2] == "scenario=scratchpad"

    # All of it on this machine, and nothing to complain about.
    host = f"127.0.0.1:{port}"
    for one in (seen, narrow):
        assert len(one.requests) > 10
        assert one.strangers(host) == []
        assert one.complaints == []
