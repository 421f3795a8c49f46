"""The page of the claims: complete, fetches nothing, shows the verdicts, and works in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from browser import Visit, faint, visit
from experiments.claims import map as claims_map
from experiments.claims import page as claims_page
from experiments.claims import studies as claims_studies
from experiments.claims.claim_results import ClaimResult, Results, run_claim
from experiments.claims.figure import claim_figure
from experiments.claims.labels import format_share, short_passage
from experiments.claims.map import RegimeMap, emergences, regime_map
from experiments.claims.measures import RunOptions
from experiments.claims.page import BOX, format_quantity, frequency, polyline, render_page
from experiments.claims.spec import Claim, claims_folder, load_claims
from experiments.footnote4.cases import CASES

OPTIONS = RunOptions(size=0.002)
#: Enough of the claims, scenarios and cases to see every part of the page.
CLAIMS = ("example1", "evidential", "conjunction", "footnote3", "footnote4", "footnote6")
SCENARIOS = ["copyright", "latent_misalignment", "monolithic"]
VOID = {"br", "col", "hr", "meta"}


def small(claim: Claim) -> Claim:
    """Return a claim whose study is small enough for a test."""
    if claim.measure.study == "partial_gaming":
        choices = {"scenario": ["copyright"]}
        grid = {"training.anchor": [0, 0.9], "training.motive_credit": [1]}
        options = {"agents": 32, "steps": 300, "shown": "copyright"}
    elif claim.measure.study == "populations":
        choices = {"prior": ["capable", "uninformed"]}
        grid = {"training.anchor": [0], "training.motive_credit": [1]}
        options = {"agents": 1024}
    else:
        return claim
    measure = {**claim.measure.model_dump(), "options": options}
    return claim.replace(measure=measure, region={"choices": choices, "grid": grid})


@pytest.fixture(scope="module")
def results() -> Iterator[Results]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(claims_studies, "CASES", [CASES[0], CASES[1], CASES[7]])
        patch.setattr(claims_map, "names", lambda kind: SCENARIOS)
        patch.setattr(claims_page, "claim_figure", draw_some)
        claims = [run_claim(small(c), OPTIONS) for c in load_claims(claims_folder(), CLAIMS)]
        yield Results(claims, emergences(OPTIONS), regime_map(RunOptions(size=0.1)))


def draw_some(result: ClaimResult) -> Figure:
    """Draw one claim's figure (tests/test_claims.py draws all): drawing takes longest."""
    return claim_figure(result) if result.claim.name == "example1" else Figure(figsize=(2.0, 1.0))


@pytest.fixture(scope="module")
def regimes(results: Results) -> RegimeMap:
    assert results.regimes is not None
    return results.regimes


@pytest.fixture(scope="module")
def page(results: Results) -> str:
    return render_page(results, OPTIONS)


class Reader(HTMLParser):
    """Reads a page: whether elements end where they must, ids, references, names of figures."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.labels: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.ids += filter(None, [attributes.get("id")])
        self.references += [v for k, v in attrs if k in ("href", "src", "data", "action") and v]
        for key in ("aria-labelledby", "aria-describedby"):
            self.labels += (attributes.get(key) or "").split()
        assert tag not in ("img", "svg") or attributes.get("aria-labelledby")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], f"</{tag}> ends {self.open[-1:]}, at {self.getpos()}"
        self.open.pop()


def section(page: str, name: str) -> str:
    """Return the text of a claim's section."""
    start = page.index(f'<section id="{name}"')
    html = page[start : page.index("</section>", start)]
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))).replace("\u00a0", " ")


def test_the_page_is_whole(page: str) -> None:
    reader = Reader(page)
    assert reader.open == []
    assert len(reader.ids) == len(set(reader.ids)) > 50
    assert {reference[0] for reference in reader.references} == {"#"}
    assert {reference[1:] for reference in reader.references} <= {*reader.ids}
    assert {*reader.labels} <= {*reader.ids}
    titles = re.findall(r"<svg [^>]*>\s*<title[^>]*>([^<]*)</title>", page)
    assert len(titles) == page.count("<svg ")
    visible = re.sub(r"<(style|script)\b.*?</\1>", "", page, flags=re.DOTALL)
    assert not re.search(r"\bnan\b|>None<|\{\{|\{%", visible)


def test_nothing_in_the_page_could_be_fetched(page: str) -> None:
    places = set(re.findall(r"https?://[^\s\"'<>)]+", page))
    assert places <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.search(r"@import|<link|<img|<iframe|url\((?!#)", page)
    assert "default-src 'none'" in unescape(page)


def test_text_is_escaped(results: Results) -> None:
    first = results.claims[0]
    claim = first.claim.replace(title='<b>&"', says="</script><i>", why="")
    changed = Results(
        [ClaimResult(claim, first.measured, first.judgement)], results.scenarios, results.regimes
    )
    page = render_page(changed, OPTIONS)
    assert "<b>" not in page
    assert "<i>" not in page
    assert "&lt;b&gt;&amp;" in page
    assert Reader(page).open == []  # and no link leads to the parts that are not there
    assert {reference[1:] for reference in Reader(page).references} <= {*Reader(page).ids}


def test_every_claim_has_its_verdict(page: str, results: Results) -> None:
    navigation = page[page.index("<nav") : page.index("</nav>")]
    for result in results.claims:
        judgement, name = result.judgement, result.claim.name
        text = section(page, name)
        assert f'<div class="verdict {judgement.kind}">' in page
        assert f"python experiments/claims only={name} size=0.002" in text
        start = navigation.index(f'<a href="#{name}">')
        row = navigation[start : navigation.index("</tr>", start)]
        assert f'class="badge {judgement.kind}"' in row
        assert short_passage(result.claim.passage) in row
        for condition in result.conditions():
            assert f"{condition['says']} {condition['met']:,} of {condition['points']:,}" in text
        if judgement.kind != "untried":
            share = format_share(judgement.share)
            assert f"{share} of {judgement.applies_count:,}" in row.replace("\u00a0", " ")
            assert f'style="width:{100 * judgement.share:.1f}%"' in row
            counts = f"{judgement.true_count:,} {judgement.applies_count:,}"
            assert f"{judgement.kind} {counts} {judgement.points:,} {share}" in text


def test_levels_and_populations_are_counted(page: str, results: Results) -> None:
    by_name = {result.claim.name: result for result in results.claims}
    frame = by_name["footnote4"].frame()
    true = frame.groupby("training.anchor")["true"]
    assert true.sum().nunique() == 2  # equal counts would show nothing
    for anchor, points in true:
        assert f"{anchor:g}: {points.sum()} of {len(points)}" in section(page, "footnote4")
    for prior, population in by_name["conjunction"].measured.beside["funnels"].items():
        games, bad = population.everywhere
        counts = f"{prior} egregiously misaligned {bad:,} of {games:,}"
        assert counts in section(page, "conjunction")
        assert counts in section(page, "evidential")
        assert f"Prior: {prior}" in section(page, "conjunction")


def test_how_often_a_claim_is_true_is_a_word(results: Results) -> None:
    judgement = results.claims[0].judgement
    words = [frequency(replace(judgement, kind="depends", share=s)) for s in (0.08, 0.5, 0.94)]
    assert words == ["seldom", "about half", "mostly"]


@pytest.mark.parametrize(
    ("passage", "short"),
    [
        ("Footnote 4", "Footnote 4"),
        ("Introduction; footnote 1", "Footnote 1"),
        ("What do they look like? Example 2, variation", "Example 2, variation"),
        ("How does it relate? Fourth difference (“Finally”)", "Fourth difference"),
    ],
)
def test_a_passage_in_short(passage: str, short: str) -> None:
    assert short_passage(passage).replace("\u00a0", " ") == short


def test_no_two_claims_have_the_same_passage_in_short() -> None:
    shorts = [short_passage(claim.passage) for claim in load_claims(claims_folder())]
    assert len(set(shorts)) == len(shorts) == 20
    assert all(len(short) < 30 for short in shorts)


def test_nothing_is_called_by_the_word_with_two_senses_but_by_the_post(page: str) -> None:
    ours = re.sub(r"<blockquote>.*?</blockquote>", "", page, flags=re.DOTALL)
    assert not re.search("schem(?!e=)", ours, flags=re.IGNORECASE)


def test_numbers_and_curves_are_written_for_the_page() -> None:
    texts = [format_quantity(number) for number in (np.nan, 0.0, 0.0004, 0.12345, -2.0)]
    assert texts == ["–", "0", "≈ 0", "0.123", "−2"]
    points = polyline(np.array([0.0, 0.5, 2.0]), 0.0, 1.0)
    middle = (BOX["left"] + BOX["right"]) / 2.0, (BOX["bottom"] + BOX["top"]) / 2.0
    ends = (BOX["left"], BOX["bottom"]), middle, (BOX["right"], BOX["top"])
    assert points == " ".join(f"{x:.1f},{y:.1f}" for x, y in ends)


def test_the_map_has_a_button_for_each_run_and_one_in_the_tab_order(
    page: str, regimes: RegimeMap
) -> None:
    part = page[page.index('id="map"') : page.index('id="map-data"')]
    assert part.count("<button") == regimes.regime.size
    assert part.count('aria-pressed="true"') == 1
    for name in set(regimes.regime.ravel()):
        assert part.count(f'class="r-{name}"') == (regimes.regime == name).sum()
    last = regimes.gaming[:, :, -1]
    assert (last[regimes.regime == "none"] < 0.1).all()
    assert (last[regimes.regime == "local"] >= 0.5).any()


# ----------------------------------------------------------------------------------- in a browser


def curves(visited: Visit) -> tuple[str | None, str | None]:
    tab = visited.page
    text = tab.locator("#cell-text").text_content()
    return tab.locator("#cell-gaming").get_attribute("points"), text


def test_the_page_in_a_browser(browser: Any, page: str, tmp_path: Path) -> None:
    """From disk: the map by mouse and keys, folds by key and link, contrast, a phone, on paper."""
    file = tmp_path / "report.html"
    file.write_text(page, encoding="utf-8")
    visited = visit(browser, width=1100)
    tab = visited.page
    tab.goto(f"{file.as_uri()}#example1-experiment")
    assert tab.locator("#example1-experiment pre").is_visible()
    folds = tab.locator("details[open]")
    assert folds.count() == 1
    tab.locator("#example1-experiment summary").click()
    tab.locator('a[href="#evidential-numbers"]').first.click()
    tab.locator("#evidential-numbers table").first.wait_for(state="visible")
    tab.locator("#evidential-numbers summary").first.click()
    assert folds.count() == 0
    tab.locator('a[href="#evidential-numbers"]').first.click()  # the address does not change
    assert folds.count() == 1

    buttons = tab.locator("#map button")
    states = {curves(visited)}
    for index in (0, buttons.count() - 1):
        buttons.nth(index).hover()
        states.add(curves(visited))
    assert len({gaming for gaming, _ in states}) == 3
    buttons.last.focus()
    tab.keyboard.press("ArrowUp")
    assert curves(visited) not in states
    assert tab.locator('#map button[tabindex="0"]').count() == 1

    tab.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert faint(tab) == []
    assert not tab.locator("#conjunction-beside-figure .hint").is_visible()
    tab.set_viewport_size({"width": 380, "height": 800})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 380
    assert tab.locator("#conjunction-beside-figure .hint").is_visible()
    tab.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = false; })")
    tab.evaluate(
        "() => window.addEventListener('beforeprint', () => {"
        " window.shut = document.querySelectorAll('details:not([open])').length; })"
    )
    assert tab.pdf().startswith(b"%PDF")
    assert (tab.evaluate("window.shut"), folds.count()) == (0, 0)
    assert visited.strangers() == []
    assert visited.complaints == []
