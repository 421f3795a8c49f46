"""The report: a valid page with every claim, whose verdicts are computed; it fetches nothing.

Looked at by a browser as well: Debian's chromium, which `.ci/run` installs.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from sim.analysis.claims import Answer, answer
from sim.analysis.claims_map import Emergence, RegimeMap, emergences, regime_map
from sim.analysis.claims_measures import How
from sim.report.markup import Html, joined, tag
from sim.report.page import report_page, tally_text
from sim.report.regimes import regime_section
from sim.report.style import PAIRS, contrast
from sim.spec.claim import Claim, claims_folder, load_claims

HOW = How(size=0.01)
_VOID = {"br", "col", "hr", "meta", "path", "use", "rect"}


def quick(claim: Claim) -> Claim:
    """Return a claim whose study is small enough for a test."""
    if claim.measure.study == "partial_gaming":
        region = {
            "choices": {"scenario": ["copyright"]},
            "grid": {"training.anchor": [0, 0.1], "training.motive_credit": [0, 1]},
        }
        options = {"agents": 32, "steps": 400, "shown": "copyright"}
    elif claim.measure.study == "populations":
        region = {
            "choices": {"prior": ["capable", "uninformed"]},
            "grid": {"training.motive_credit": [1], "training.anchor": [0, 0.01]},
        }
        options = {"agents": 1024}
    else:
        return claim
    measure = {**claim.measure.model_dump(), "options": options}
    return claim.replace(measure=measure, region=region)


@pytest.fixture(scope="module")
def answers() -> list[Answer]:
    claims = load_claims(claims_folder())
    return [answer(quick(claim), HOW) for claim in claims]


@pytest.fixture(scope="module")
def regimes() -> RegimeMap:
    return regime_map(How(size=0.1))


@pytest.fixture(scope="module")
def scenarios() -> list[Emergence]:
    return emergences(HOW)


@pytest.fixture(scope="module")
def page(answers: list[Answer], scenarios: list[Emergence], regimes: RegimeMap) -> str:
    return report_page(answers, HOW, scenarios=scenarios, regimes=regimes)


class Reader(HTMLParser):
    """Reads a page: whether elements end where they must, ids, references, and what is named."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.labels: list[str] = []
        self.unnamed: list[str] = []
        self.text: list[str] = []
        self._title_of: list[str] = []

    def handle_starttag(self, name: str, given: list[tuple[str, str | None]]) -> None:
        attributes = dict(given)
        self.ids += [value for key, value in given if key == "id" and value]
        self.references += [v for k, v in given if k in ("href", "src", "data", "action") and v]
        self.labels += (attributes.get("aria-labelledby") or "").split()
        self.labels += (attributes.get("aria-describedby") or "").split()
        if name in ("img", "svg") and not (
            attributes.get("alt") or attributes.get("aria-labelledby")
        ):
            self.unnamed.append(name)
        if name not in _VOID - {"path", "use", "rect"}:
            self.open.append(name)

    def handle_startendtag(self, name: str, given: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(name, given)
        if name not in _VOID - {"path", "use", "rect"}:
            self.open.pop()

    def handle_endtag(self, name: str) -> None:
        assert self.open, f"</{name}> ends nothing"
        assert self.open[-1] == name, f"</{name}> ends <{self.open[-1]}>, at {self.getpos()}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


# ----------------------------------------------------------------------------------- the markup


def test_elements_end_where_they_must_and_ids_are_unique(read: Reader) -> None:
    assert read.open == []
    assert len(read.ids) > 100
    repeated = {one for one in read.ids if read.ids.count(one) > 1}
    assert not repeated


def test_whatever_is_referred_to_is_in_the_page(read: Reader) -> None:
    assert {one[0] for one in read.references} == {"#"}
    assert {one[1:] for one in read.references} <= {*read.ids}
    assert {*read.labels} <= {*read.ids}


def test_nothing_in_the_page_could_be_fetched(page: str) -> None:
    places = set(re.findall(r"https?://[^\s\"'<>)]+", page))
    assert places <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.search(r"@import|<link|<img|<iframe|url\((?!#)", page)
    assert "default-src 'none'" in unescape(page)


def test_every_figure_has_a_text_for_those_who_do_not_see_it(page: str, read: Reader) -> None:
    assert read.unnamed == []
    titles = re.findall(r"<svg [^>]*><title[^>]*>([^<]*)</title>", page)
    assert len(titles) == page.count("<svg ")
    assert all(len(title) > 15 for title in titles)


def test_text_is_escaped() -> None:
    assert tag("p", "a < b & c", title='"') == '<p title="&quot;">a &lt; b &amp; c</p>'
    assert joined(["<i>", Html("<b>x</b>")]) == "&lt;i&gt;<b>x</b>"
    assert tag("br") == "<br>"


def test_every_claim_is_there_with_its_verdict(page: str, answers: list[Answer]) -> None:
    assert len(answers) == 20
    for one in answers:
        start = page.index(f'id="{one.claim.name}"')
        section = page[start : page.index("</section>", start)]
        assert f'class="verdict {one.judged.kind}"' in section
        assert f"only={one.claim.name}" in section
        assert f'<a href="#{one.claim.name}">' in page[: page.index('id="reading"')]
    assert tally_text(answers) in page


def test_what_a_page_says_follows_the_verdict(
    answers: list[Answer], scenarios: list[Emergence], regimes: RegimeMap
) -> None:
    """Moving an assumption or a threshold turns a verdict, and the page says so."""
    claim = next(one.claim for one in answers if one.claim.name == "example1")

    def shown(changed: Claim) -> str:
        return report_page([answer(changed, HOW)], HOW, scenarios=scenarios[:1], regimes=regimes)

    impossible = claim.replace(test=[{"quantity": "elsewhere", "below": 0.0}])
    nowhere = claim.replace(given=[{"quantity": "about_copyright", "above": 1.0}])
    habits = {**claim.measure.model_dump(), "settings": {"agent.initial.habit": 8}}
    for changed, kind in (
        (claim, "holds"),
        (impossible, "fails"),
        (nowhere, "untried"),
        (claim.replace(measure=habits), "depends"),
    ):
        assert f'class="verdict {kind}"' in shown(changed)


def test_nothing_is_called_by_the_word_with_two_senses_but_by_the_post(page: str) -> None:
    ours = re.sub(r"<blockquote>.*?</blockquote>", "", page, flags=re.DOTALL)
    assert not re.search("schem(?!e=)", ours, flags=re.IGNORECASE)


def test_the_map_has_a_button_for_each_run_and_one_in_the_tab_order(regimes: RegimeMap) -> None:
    section = regime_section(regimes)
    assert section.count("<button") == regimes.regime.size
    assert section.count('tabindex="0"') == 1
    for name in set(regimes.regime.ravel()):
        assert section.count(f'class="r-{name}"') == (regimes.regime == name).sum()


def test_regimes_are_those_of_the_curves(regimes: RegimeMap) -> None:
    last = regimes.gaming[:, :, -1]
    assert (last[regimes.regime == "none"] < 0.1).all()
    assert (last[regimes.regime == "local"] >= 0.5).any()
    assert (regimes.regime == "none").any()


@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_colours_stand_out(text: str, ground: str) -> None:
    assert contrast(text, ground) >= 4.5


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21.0)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)


# ----------------------------------------------------------------------------------- in a browser

BROWSER = shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not Path(BROWSER).is_file():
        pytest.fail("there is no chromium: `apt-get install chromium` (.ci/run does it)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=BROWSER, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def file(page: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


@pytest.fixture
def opened(browser: Any, file: Path) -> Iterator[Any]:
    tab = browser.new_page(viewport={"width": 1100, "height": 900})
    tab.asked = []
    tab.problems = []
    tab.on("request", lambda request: tab.asked.append(request.url))
    tab.on("pageerror", lambda error: tab.problems.append(str(error)))
    tab.on("console", lambda said: tab.problems.append(said.text))
    tab.goto(file.as_uri())
    yield tab
    tab.close()


def test_it_opens_from_disk_and_asks_for_nothing_else(opened: Any, file: Path) -> None:
    opened.keyboard.press("End")
    opened.wait_for_timeout(100)
    assert opened.asked == [file.as_uri()]
    assert opened.problems == []
    assert opened.locator("h1").is_visible()


def drawn(tab: Any) -> tuple[str, str]:
    gaming = tab.locator("#cell-gaming").get_attribute("points")
    return gaming, tab.locator("#cell-told").text_content()


def test_hover_on_the_map_shows_the_curves_of_the_cell(opened: Any) -> None:
    buttons = opened.locator("#map button")
    seen = {drawn(opened)}
    for index in (0, buttons.count() - 1):
        buttons.nth(index).hover()
        assert drawn(opened)[1].startswith(buttons.nth(index).get_attribute("aria-label"))
        seen.add(drawn(opened))
    assert len({gaming for gaming, _ in seen}) == len(seen) == 3


def test_the_keyboard_reaches_every_control_and_moves_in_the_map(opened: Any) -> None:
    reachable = opened.evaluate(
        "() => [...document.querySelectorAll('a[href],button,input,select,summary,[tabindex]')]"
        ".filter(e => e.tabIndex >= 0).length"
    )
    reached, before = [], None
    for _ in range(reachable + 5):
        opened.keyboard.press("Tab")
        now = opened.evaluate(
            "() => { const e = document.activeElement;"
            " return [...document.querySelectorAll('*')].indexOf(e) + ' ' + e.tagName; }"
        )
        if now.endswith("BODY"):
            break
        reached.append(now)
        if now.endswith("BUTTON"):
            before = drawn(opened)
            opened.keyboard.press("ArrowRight")
            after = drawn(opened)
            opened.keyboard.press("ArrowUp")
            assert len({before, after, drawn(opened)}) == 3
    assert before is not None
    assert len(set(reached)) >= reachable


def test_all_text_stands_out_from_what_is_behind_it(opened: Any) -> None:
    """The contrast of every piece of text, as the browser paints it."""
    found = opened.evaluate(
        """() => {
          const seen = {};
          const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
          while (walker.nextNode()) {
            const node = walker.currentNode, of = node.parentElement;
            if (!node.textContent.trim() || of.closest('script,title')) { continue; }
            const style = getComputedStyle(of);
            const inSvg = of.namespaceURI.endsWith('svg');
            let ground = 'rgb(255, 255, 255)';
            for (let up = of; up; up = up.parentElement) {
              const colour = getComputedStyle(up).backgroundColor;
              if (!colour.startsWith('rgba(0, 0, 0, 0')) { ground = colour; break; }
            }
            const text = inSvg ? style.fill : style.color;
            seen[text + '|' + ground] = node.textContent.trim().slice(0, 40);
          }
          return seen;
        }"""
    )
    assert len(found) > 5

    def hexed(colour: str) -> str:
        return "#" + "".join(f"{int(c):02X}" for c in re.findall(r"\d+", colour)[:3])

    for pair, example in found.items():
        text, ground = map(hexed, pair.split("|"))
        assert contrast(text, ground) >= 4.5, (pair, example)


def test_a_phone_shows_it_without_scrolling_sideways(browser: Any, file: Path) -> None:
    tab = browser.new_page(viewport={"width": 380, "height": 800})
    tab.goto(file.as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") <= 380
    tab.close()


def test_it_prints(browser: Any, file: Path) -> None:
    tab = browser.new_page()
    tab.goto(file.as_uri())
    assert tab.pdf().startswith(b"%PDF")
    tab.close()


def test_without_scripts_the_map_is_there_all_the_same(browser: Any, file: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(file.as_uri())
    assert tab.locator("#map button").count() > 5
    assert tab.locator("#cell-gaming").get_attribute("points")
    context.close()
