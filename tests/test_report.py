"""The report: a valid page with every claim, whose verdicts are computed; it fetches nothing.

Looked at by a browser as well: Debian's chromium, which `.ci/run` installs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from experiments.claims import map as claims_map
from experiments.claims import studies as claims_studies
from experiments.claims.figure import claim_figure
from experiments.claims.funnel_text import everywhere_text, term_texts
from experiments.claims.map import Emergence, RegimeMap, emergences, regime_map
from experiments.claims.measures import How
from experiments.claims.report import section as section_of_page
from experiments.claims.report.experiment import levels
from experiments.claims.report.markup import Html, joined, tag
from experiments.claims.report.page import report_page
from experiments.claims.report.passages import short_passage
from experiments.claims.report.regimes import regime_section
from experiments.claims.report.section import section
from experiments.claims.report.style import PAIRS, contrast
from experiments.claims.report.verdicts import badge, contents, tally_text
from experiments.claims.spec import Claim, claims_folder, load_claims
from experiments.claims.study import Answer, answer, share_text
from experiments.footnote4.cases import CASES
from sim.analysis.worst_case import TERMS, Thresholds

HOW = How(size=0.002)
#: Of the library's scenarios and of footnote 4's cases, enough to see them on a page.
DRAWN = ("example1", "evidential", "conjunction", "footnote4", "footnote6")
FEW = ("copyright", "latent_misalignment", "monolithic")
_VOID = {"br", "col", "hr", "meta", "path", "use", "rect"}


def quick(claim: Claim) -> Claim:
    """Return a claim whose study is small enough for a test."""
    if claim.measure.study == "partial_gaming":
        region = {
            "choices": {"scenario": ["copyright"]},
            "grid": {"training.anchor": [0, 0.1], "training.motive_credit": [1]},
        }
        options = {"agents": 32, "steps": 300, "shown": "copyright"}
    elif claim.measure.study == "populations":
        region = {
            "choices": {"prior": ["capable", "uninformed"]},
            "grid": {"training.motive_credit": [1], "training.anchor": [0]},
        }
        options = {"agents": 1024}
    else:
        return claim
    measure = {**claim.measure.model_dump(), "options": options}
    return claim.replace(measure=measure, region=region)


@pytest.fixture(scope="module")
def less() -> Iterator[None]:
    """Fewer scenarios and cases: what a page does with one it does with another."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(claims_studies, "CASES", [CASES[0], CASES[1], CASES[7]])
        patch.setattr(claims_map, "names", lambda kind: list(FEW))
        patch.setattr(section_of_page, "claim_figure", drawn_for_some)
        yield


def drawn_for_some(found: Answer) -> Figure:
    """Draw the figures of some claims (tests/test_claims.py draws all): drawing takes longest."""
    return claim_figure(found) if found.claim.name in DRAWN else Figure(figsize=(2.0, 1.0))


@pytest.fixture(scope="module")
def answers(less: None) -> list[Answer]:
    claims = load_claims(claims_folder())
    return [answer(quick(claim), HOW) for claim in claims]


@pytest.fixture(scope="module")
def regimes() -> RegimeMap:
    return regime_map(How(size=0.1))


@pytest.fixture(scope="module")
def scenarios(less: None) -> list[Emergence]:
    return emergences(HOW)


@pytest.fixture(scope="module")
def page(answers: list[Answer], scenarios: list[Emergence], regimes: RegimeMap) -> str:
    return plain(report_page(answers, HOW, scenarios=scenarios, regimes=regimes))


def plain(text: str) -> str:
    """Return text with plain spaces where the page keeps a number and its sign together."""
    return text.replace("\u00a0", " ")


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


def test_a_number_and_its_sign_stay_in_one_line() -> None:
    assert tag("p", "95 % of 12 % < 1") == "<p>95\u00a0% of 12\u00a0% &lt; 1</p>"


def test_text_is_escaped() -> None:
    assert tag("p", "a < b & c", title='"') == '<p title="&quot;">a &lt; b &amp; c</p>'
    assert joined(["<i>", Html("<b>x</b>")]) == "&lt;i&gt;<b>x</b>"
    assert tag("br") == "<br>"


def part(page: str, name: str) -> str:
    """Return a claim's section of the page."""
    start = page.index(f'id="{name}"')
    start = page.rindex("<section", 0, page.index("</section>", start))
    return page[start : page.index("</section>", start)]


def row(page: str, name: str) -> str:
    """Return a claim's row of the table of verdicts."""
    start = page.index(f'<a href="#{name}">', page.index("<nav"))
    return page[start : page.index("</tr>", start)]


def test_every_claim_is_there_with_its_verdict(page: str, answers: list[Answer]) -> None:
    assert len(answers) == 20
    for one in answers:
        shown, judged = part(page, one.claim.name), one.judged
        assert f'class="verdict {judged.kind}"' in shown
        assert f'class="badge {judged.kind}"' in shown
        assert f"only={one.claim.name}" in shown
        told = row(page, one.claim.name)
        assert badge(one) in told
        assert f'<span class="badge {judged.kind}">{judged.kind}' in badge(one)
        assert f"<td>{plain(short_passage(one.claim.passage))}</td>" in told
        if judged.kind != "untried":
            assert f"{share_text(judged.share)} of {int(judged.given.sum()):,}" in told
            assert f'style="width:{100 * judged.share:.1f}%"' in told
    assert f"<p>{tally_text(answers)}</p>" in page


def test_the_tally_counts_every_kind_once(answers: list[Answer]) -> None:
    kinds = [one.judged.kind for one in answers]
    counts = [int(n) for n in re.findall(r"(\d+) (?:hold|depend|fail|could)", tally_text(answers))]
    assert sum(counts) == len(answers)
    assert counts == [
        kinds.count(k) for k in ("holds", "depends", "fails", "untried") if k in kinds
    ]


def test_what_depends_hardly_and_what_depends_nearly_always_look_different(
    answers: list[Answer],
) -> None:
    """At 8 % and at 94 %: the badge of the section and the bar of the table say which."""
    depending = next(one for one in answers if one.judged.kind == "depends")
    shown = {}
    for share, how in ((0.08, "seldom"), (0.5, "about half"), (0.94, "mostly")):
        one = replace(depending, judged=replace(depending.judged, share=share))
        shown[share] = plain(section(one, HOW, there=())), plain(contents([one]))
        assert all(f"depends: {how} true" in text for text in shown[share])
        assert f"width:{100 * share:.1f}%" in shown[share][1]
    assert 'class="verdict depends"' in shown[0.08][0]


@pytest.mark.parametrize(
    ("passage", "short"),
    [
        ("Footnote 4", "Footnote 4"),
        ("Introduction; footnote 1", "Footnote 1"),
        ("What do they look like? Example 2, variation", "Example 2, variation"),
        ("How does it relate? Fourth difference (“Finally”)", "Fourth difference"),
        ("How does it relate? Evidentially", "Evidentially"),
    ],
)
def test_a_passage_in_short(passage: str, short: str) -> None:
    assert plain(short_passage(passage)) == short


def test_no_two_claims_have_the_same_passage_in_short(answers: list[Answer]) -> None:
    shorts = [short_passage(one.claim.passage) for one in answers]
    assert len(set(shorts)) == len(shorts)
    assert all(len(short) < 30 for short in shorts)


def test_what_a_page_says_follows_the_verdict(answers: list[Answer]) -> None:
    """Moving an assumption or a threshold turns a verdict, and the page says so."""
    claim = next(one.claim for one in answers if one.claim.name == "example1")

    def shown(changed: Claim) -> str:
        found = answer(changed, How(size=0.01))
        return section(found, HOW, there=()) + contents([found])

    impossible = claim.replace(test=[{"quantity": "elsewhere", "below": 0.0}])
    nowhere = claim.replace(given=[{"quantity": "about_copyright", "above": 1.0}])
    habits = {**claim.measure.model_dump(), "settings": {"agent.initial.habit": 8}}
    for changed, kind, where in (
        (claim, "holds", "wherever it applies"),
        (impossible, "fails", "nowhere"),
        (nowhere, "untried", "–"),
        (claim.replace(measure=habits), "depends", "where"),
    ):
        page = shown(changed)
        assert f'class="verdict {kind}"' in page
        assert f'<span class="badge {kind}">' in page
        assert where in row(page, "example1")


def test_levels_count_where_the_claim_is_true(answers: list[Answer]) -> None:
    found = next(one for one in answers if one.claim.name == "footnote4")
    told = str(levels(found))
    frame = found.frame()
    for anchor, here in frame.groupby("training.anchor"):
        count = f"{int(here['true'].sum())} of {len(here)}"
        assert f"{anchor:g}: <strong>{count}</strong>" in told
    true = frame.groupby("training.anchor")["true"].sum()
    assert true.nunique() == 2  # all counts alike would show nothing


def test_what_belongs_together_is_linked(page: str) -> None:
    before = page[: page.index("<nav")]
    assert '<a href="#footnote4">' in before
    assert '<a href="#funnel">' in before
    for name, to in (
        ("evidential", "funnel"),
        ("conjunction", "evidential"),
        ("footnote4", "regimes"),
        ("footnote6", "footnote7"),
    ):
        assert f'href="#{to}"' in part(page, name)
    start = page.index('id="regimes"')
    assert '<a href="#footnote4">' in page[start : page.index("<section", start)]


def test_what_a_group_comes_for_is_told_at_the_top(page: str, answers: list[Answer]) -> None:
    top = unescape(re.sub(r"<[^>]+>", "", page[: page.index("<nav")]))
    frame = next(one for one in answers if one.claim.name == "footnote4").frame()
    free = frame[frame["training.anchor"] == 0.0]
    assert f"{int(free['true'].sum())} of {len(free)} with no anchor" in top
    funnel = next(one for one in answers if one.claim.name == "conjunction")
    counts = [one.count("games_somewhere") for one in funnel.measured.beside["funnels"].values()]
    assert f"{min(counts):,} to {max(counts):,} game somewhere" in top
    assert "none meet all eight terms" in top


def test_a_page_without_the_funnel_leads_nowhere_else(
    answers: list[Answer], scenarios: list[Emergence], regimes: RegimeMap
) -> None:
    one = [found for found in answers if found.claim.name == "evidential"]
    reader = Reader()
    reader.feed(report_page(one, HOW, scenarios=scenarios[:1], regimes=regimes))
    assert {reference[1:] for reference in reader.references} <= {*reader.ids}


def test_the_funnel_tells_what_its_numbers_are(page: str, answers: list[Answer]) -> None:
    found = next(one for one in answers if one.claim.name == "conjunction")
    shown = unescape(re.sub(r"<[^>]+>", "", part(page, "conjunction")))
    assert everywhere_text(found.measured.beside["funnels"]) in shown
    assert "motive credit 1 and anchor 0" in shown  # the point that it shows
    for prior, one in found.measured.beside["funnels"].items():
        assert f"Prior: {prior}" in shown
        assert f"by {one.eight:,} of {one.agents:,} agents" in shown
        assert one.eight == one.agents * found.frame().set_index("prior")["worst_case"][prior]


def test_each_term_has_a_line_with_its_threshold() -> None:
    moved = term_texts(Thresholds(misalignment=-0.7, **dict.fromkeys(TERMS[1:], 0.83)))
    assert {*moved} == {*TERMS}
    for term, text in moved.items():
        assert ("−0.7" if term == "misalignment" else "0.83") in text


def test_misalignment_among_those_that_game_everywhere_is_told_at_both_claims(page: str) -> None:
    told = [
        re.findall(r"(\d+) of (\d+) \([^)]*\), against (\d+) of (\d+)", part(page, name))
        for name in ("conjunction", "evidential")
    ]
    assert told[0]
    assert told[0] == told[1]


def test_the_page_says_how_another_seed_is_asked(page: str) -> None:
    assert 'make report ARGS="size=0.002"\nmake report ARGS="size=0.002 seed=1"' in page


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


def opened_folds(tab: Any) -> int:
    return int(tab.locator("details[open]").count())


def test_the_keyboard_reaches_every_control_and_moves_in_the_map(opened: Any) -> None:
    """With everything unfolded: what is in a closed fold is not in the tab order."""
    reachable = opened.evaluate(
        "() => { document.querySelectorAll('details').forEach(d => { d.open = true; });"
        " window.every = [...document.querySelectorAll('*')];"
        " return [...document.querySelectorAll('a[href],button,input,select,summary,[tabindex]')]"
        ".filter(e => e.tabIndex >= 0).length; }"
    )
    reached, before = [], None
    for _ in range(reachable + 5):
        opened.keyboard.press("Tab")
        now = opened.evaluate(
            "() => { const e = document.activeElement;"
            " return window.every.indexOf(e) + ' ' + e.tagName; }"
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


def test_folds_are_closed_until_a_key_or_a_link_opens_them(opened: Any) -> None:
    assert opened.locator("details").count() >= 2 * 20
    assert opened_folds(opened) == 0
    command = opened.locator("#example1-experiment pre")
    assert not command.is_visible()
    opened.locator("#example1-experiment summary").focus()
    opened.keyboard.press("Enter")
    assert command.is_visible()
    opened.locator('a[href="#evidential-numbers"]').first.click()
    opened.locator("#evidential-numbers table").first.wait_for(state="visible")
    assert opened_folds(opened) == 2
    # The same link again, after it was closed by hand: the address does not change.
    opened.locator("#evidential-numbers summary").first.click()
    assert opened_folds(opened) == 1
    opened.locator('a[href="#evidential-numbers"]').first.click()
    assert opened_folds(opened) == 2


def test_a_link_from_elsewhere_opens_the_fold_that_it_leads_to(browser: Any, file: Path) -> None:
    tab = browser.new_page()
    tab.goto(f"{file.as_uri()}#picture-experiment")
    assert tab.locator("#picture-experiment pre").is_visible()
    tab.close()


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


def test_a_wide_screen_has_no_hint_that_figures_scroll(opened: Any) -> None:
    assert not opened.locator("#conjunction-beside-figure .hint").is_visible()


def test_a_phone_shows_it_without_scrolling_sideways(browser: Any, file: Path) -> None:
    tab = browser.new_page(viewport={"width": 380, "height": 800})
    tab.goto(file.as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") <= 380
    hint = tab.locator("#conjunction-beside-figure .hint")
    assert hint.is_visible()
    wide = "e => e.scrollWidth > e.clientWidth"
    assert tab.locator("#conjunction-beside-figure .scroll").evaluate(wide)
    tab.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 380
    tab.close()


def test_it_prints_with_all_folds_open_and_closes_them_again(browser: Any, file: Path) -> None:
    tab = browser.new_page()
    tab.goto(file.as_uri())
    tab.evaluate(
        "() => window.addEventListener('beforeprint', () => {"
        " window.shut = document.querySelectorAll('details:not([open])').length; })"
    )
    assert tab.pdf().startswith(b"%PDF")
    assert tab.evaluate("window.shut") == 0
    assert opened_folds(tab) == 0
    tab.close()


def test_without_scripts_the_map_is_there_all_the_same(browser: Any, file: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(file.as_uri())
    assert tab.locator("#map button").count() > 5
    assert tab.locator("#cell-gaming").get_attribute("points")
    context.close()
