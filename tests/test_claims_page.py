"""The page of the claims: complete, fetches nothing, shows the verdicts, and works in a browser."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from browser import faint, visit, wordless
from experiments.claims import study
from experiments.claims.cases import RunOptions, drawn_numbers
from experiments.claims.figure import (
    Scale,
    axis_label,
    draw_along,
    draw_effect,
    effect_text,
    figures,
    panels,
)
from experiments.claims.judge import CELLS, LIMITS, Effect, Influence, judge, word_of
from experiments.claims.page import (
    command_of,
    conditions_text,
    deciding,
    difference_texts,
    has_boundary,
    render_page,
    side,
)
from experiments.claims.results import ClaimResult, Results, assumptions_of_cases, default_values
from experiments.claims.spec import Claim
from sim.specs.prior import Prior
from sim.utils.format import short_number

OPTIONS = RunOptions(size=0.02)
VOID = {"br", "col", "hr", "meta"}
TEXTS = ("title", "passage", "quote", "words", "says", "means", "limits", "formerly")
BASE: dict[str, Any] = {
    "passage": "Example 1",
    "quote": "It is so [...] often",
    "words": "“often”",
    "says": "Something is so.",
    "means": "Conduct is what it is.",
    "limits": "Small worlds.",
    "formerly": "depends",
    "refuted": {"says": "it were otherwise", "set": {"agent.rationality": 0}},
}
CLAIMS: dict[str, dict[str, Any]] = {
    "sure": {
        "title": "Conduct is at least its least",
        "quantifier": "always",
        "event": ["conduct >= -1.5"],
        "contrast": {"says": "conduct above its most", "event": ["conduct > 1.5"]},
    },
    "never": {
        "title": "Conduct is above its most",
        "quantifier": "exists",
        "event": ["conduct > 1.5"],
        "contrast": {"says": "conduct at its least", "event": ["conduct >= -1.5"]},
        "refuted": {"says": "it were so", "set": {"worlds.training": [1], "training.leak": 1e-6}},
        "along": ["training.update_rule", "worlds.upholds", "contexts"],
    },
    "compared": {
        "title": "The good are better than others",
        "quantifier": "more",
        "ratio": True,
        "among": ["conduct_at_start >= 0"],
        "event": ["conduct >= 0"],
        "contrast": {"says": "those that are not", "among": ["conduct_at_start < 0"]},
    },
    "number2": {
        "title": "Conduct rises",
        "quantifier": "more",
        "number": "conduct - conduct_at_start",
        "unit": "of conduct",
        "contrast": {"says": "that it falls", "number": "conduct_at_start - conduct"},
    },
}


def claim(name: str, **changes: Any) -> Claim:
    return Claim.parse({"name": name, **BASE, **CLAIMS[name], **changes}, path=f"claims/{name}")


@pytest.fixture(scope="module")
def results() -> Results:
    """Cases whose conduct is made up: it rises with decisiveness and with the leak."""
    prior, assumptions = Prior.load("worlds"), assumptions_of_cases()
    drawn = drawn_numbers(prior, assumptions, OPTIONS)
    first, noise = np.random.default_rng(0).uniform(-1.0, 1.0, (2, len(drawn)))
    rises = 2.0 * drawn["agent.decisiveness"].rank(pct=True) - 1.0 + 0.5 * drawn["training.leak"]
    conduct = np.clip(rises + 0.3 * first + 0.2 * noise, -1.0, 1.0)
    outcomes = {"conduct": conduct, "conduct_at_start": first, "alignment": first}
    cases = {"drawn": pd.DataFrame(outcomes)}
    judged = [ClaimResult(each, judge(each, cases, drawn)) for each in map(claim, CLAIMS)]
    return Results(judged, len(drawn), {}, 7, drawn, default_values(assumptions))


@pytest.fixture(scope="module")
def page(results: Results) -> str:
    return render_page(results, OPTIONS)


def changed(results: Results, name: str, **changes: Any) -> ClaimResult:
    """Return a claim's result with another judgement."""
    result = next(result for result in results.claims if result.claim.name == name)
    return ClaimResult(result.claim, replace(result.judgement, **changes))


def page_of(results: Results, *claims: ClaimResult) -> str:
    return render_page(replace(results, claims=claims), OPTIONS)


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
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], f"</{tag}> ends {self.open[-1:]}, at {self.getpos()}"
        self.open.pop()


def text_of(html: str) -> str:
    """Return what a reader of words reads, without figures and scripts."""
    html = re.sub(r"<(style|script|svg|head)\b.*?</\1>", " ", html, flags=re.DOTALL)
    text = unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)))
    return re.sub(r" (?=[,.:;)])|(?<=\() ", "", re.sub(r"\s+", " ", text.replace("\u00a0", " ")))


def section(page: str, name: str) -> str:
    """Return the HTML of a claim's section."""
    start = page.index(f'<section id="{name}"')
    return page[start : page.index("</section>", start)]


def test_the_page_is_whole(page: str) -> None:
    reader = Reader(page)
    assert reader.open == []
    assert len(reader.ids) == len(set(reader.ids)) > 50
    assert {reference[0] for reference in reader.references} == {"#"}
    assert {reference[1:] for reference in reader.references} <= {*reader.ids}
    assert {*reader.labels} <= {*reader.ids}
    assert not re.search(r"\bnan\b|\binf\b|None\b|\{\{|\{%", text_of(page))


def test_nothing_in_the_page_could_be_fetched(page: str) -> None:
    places = set(re.findall(r"https?://[^\s\"'<>)]+", page))
    assert places <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not re.search(r"@import|<link|<img|<iframe|<image|url\((?!#)", page)
    assert "default-src 'none'" in unescape(page)


def test_text_is_escaped(results: Results) -> None:
    hostile = claim("sure", title='<b>&"', says="</script><i>", words="<u>")
    hostile = hostile.replace(contrast={"says": "</svg>$x"})
    page = page_of(results, ClaimResult(hostile, results.claims[0].judgement))
    assert not re.search("<[biu]>", page)
    assert "&lt;b&gt;&amp;" in page
    assert Reader(page).open == []


def test_every_claim_has_its_verdict_and_its_numbers(page: str, results: Results) -> None:
    navigation = page[page.index("<nav") : page.index("</nav>")]
    overview = page[page.index('id="verdicts"') : page.index('id="claims"')]
    verdicts = [result.judgement.verdict for result in results.claims]
    assert verdicts[:2] == ["holds", "fails"]
    assert "7 diverged" in text_of(page)
    for result in results.claims:
        name, judged = result.claim.name, result.judgement
        row = navigation[navigation.index(f'<a href="#{name}">') :].split("</li>")[0]
        assert f'class="badge {judged.verdict}">{judged.verdict}<' in row
        row = overview[overview.index(f'<a href="#{name}">') :].split("</tr>")[0]
        assert f'class="badge {judged.verdict}">{judged.verdict}<' in row
        decides = [key in deciding(judged) for key in judged.axes]
        assert [axis_label(key) in row for key in judged.axes] == decides
        text, effect = (
            text_of(section(page, name)),
            effect_text(result.claim, judged.effect.estimate),
        )
        assert effect.replace("\u00a0", " ") in text_of(row)
        assert f"{effect} (".replace("\u00a0", " ") in text
        assert f"Cases {judged.effect.cases:,}" in text
        command = f"python experiments/claims only={name} size=0.02"
        assert command in text
        if name == "never":
            assert "'set={worlds.training: [1], training.leak: 1e-06}' size=0.02" in text
        else:
            assert f"only={name} 'set={{agent.rationality: 0}}' size=0.02" in text
        assert "Example 1" in text
    assert "of conduct" in text_of(section(page, "number2"))
    counts = text_of(
        page[page.index('<ul class="strip"') : page.index("</ul>", page.index("strip"))]
    )
    assert counts.count("1 fails") == 1


def test_an_open_verdict_says_between_which(results: Results) -> None:
    view = changed(results, "sure", verdict="undecided", low=0.2, high=0.7)
    assert "Undecided between mostly and rarely." in text_of(page_of(results, view))
    few = changed(results, "sure", verdict="undecided", low=0.99, high=1.0, undefined=1234)
    text = text_of(page_of(results, few))
    assert "Undecided: too few cases." in text
    assert "1,234 undefined" in text
    assert "Undecided" not in text_of(page_of(results, changed(results, "sure")))


def test_what_no_assumption_decides_is_said(results: Results) -> None:
    result = changed(results, "sure")
    still = tuple(replace(each, index=0.0) for each in result.judgement.influences)
    view = changed(results, "sure", influences=still)
    assert deciding(view.judgement) == []
    page = page_of(results, view)
    assert "No assumption decides." in text_of(page)
    assert page[page.index('id="verdicts"') : page.index('id="claims"')].count("<td>none</td>") == 1
    axis = result.judgement.axes[0]
    moved = tuple(replace(each, noise=0.0, index=float(each.key == axis)) for each in still)
    view = changed(results, "sure", influences=moved)
    assert deciding(view.judgement) == [axis]
    assert "No assumption decides." not in text_of(page_of(results, view))


def test_alignment_stands_beside_conduct_where_a_claim_has_it(results: Results) -> None:
    effects = Effect(0.5, 0.4, 0.6, 9), Effect(0.25, 0.2, 0.3, 9), Effect(0.25, 0.1, 0.4, 9)
    text = text_of(page_of(results, changed(results, "sure", by_alignment=effects)))
    assert "By alignment: 50 % against 25 %, above." in text
    text = text_of(page_of(results, changed(results, "sure", by_alignment=None)))
    assert "By alignment" not in text


def test_a_verdict_has_the_word_of_its_share() -> None:
    words = [word_of(share) for share in (1.0, *LIMITS, 0.0)]
    assert words == ["holds", "holds", "mostly", "depends", "rarely", "fails"]


@pytest.mark.parametrize(
    ("ratio", "ends", "expected"),
    [
        (False, (0.01, 0.03), 1),
        (False, (-0.3, -0.1), -1),
        (False, (-0.1, 0.1), 0),
        (False, (np.nan, np.nan), 0),
        (True, (1.1, 1.4), 1),
        (True, (0.5, 0.9), -1),
        (True, (0.9, 1.1), 0),
    ],
)
def test_an_effect_is_above_the_contrast_only_if_its_interval_is(
    ratio: bool, ends: tuple[float, float], expected: int
) -> None:
    assert side(claim("compared", ratio=ratio), Effect(0.0, *ends, 9)) == expected


def test_numbers_are_written_in_their_own_unit() -> None:
    texts = [short_number(number) for number in (np.nan, 0.0, 0.01234, -0.3, 12345.6, 1.0)]
    assert texts == ["–", "0", "0.012", "−0.3", "12,346", "1"]
    assert effect_text(claim("sure"), 0.071) == "7.1\u00a0%"
    assert effect_text(claim("number2"), 0.071) == "0.071"
    difference = Effect(0.05, 0.01, 0.09, 9)
    assert difference_texts(claim("sure"), difference) == ("+5", "1", "9")
    assert difference_texts(claim("compared"), difference)[0] == "× 0.05"
    assert difference_texts(claim("number2"), replace(difference, estimate=-0.05))[0] == "−0.05"


def test_conditions_are_written_as_in_the_file() -> None:
    text = conditions_text(claim("compared"))
    assert text.splitlines() == [
        "among:",
        "- conduct_at_start >= 0",
        "event:",
        "- conduct >= 0",
        "contrast:",
        "  among:",
        "  - conduct_at_start < 0",
    ]


def test_distributions_are_written_as_the_command_line_reads_them() -> None:
    numbers = {"worlds.cue": {"kind": "point", "value": 2}, "agent.capability.*": 1e-5}
    command = command_of(claim("compared"), OPTIONS, numbers)
    setting = 'set={worlds.cue: {kind: "point", value: 2}, agent.capability.*: 1e-05}'
    assert shlex.split(command)[3] == setting
    assert OverridesParser.create().parse_override(setting).value() == numbers


def test_the_frame_is_lean(page: str) -> None:
    """All of 32 claims have 6,000 words, of which those of the claims are some 4,300."""
    html = re.sub(r"<pre>.*?</pre>", " ", page, flags=re.DOTALL)
    words = [word for word in text_of(html).split() if re.search("[A-Za-z]", word)]
    own = [" ".join(str({**BASE, **each}[key]) for key in TEXTS) for each in CLAIMS.values()]
    own += [f"{each['contrast']['says']} {each['title']}" for each in CLAIMS.values()]
    assert len(words) < 300 + 45 * len(CLAIMS) + len(" ".join(own).split())


def test_nothing_is_called_by_the_word_with_two_senses_but_by_the_post(page: str) -> None:
    assert not re.search("schem(?!e)", text_of(page), flags=re.IGNORECASE)


# ------------------------------------------------------------------------------------- figures


def planted(results: Results, **changes: Any) -> ClaimResult:
    """Return a claim that is true beyond the middle of one assumption, where half have no cases."""
    ramp = np.repeat(((np.arange(CELLS) + 0.5) / CELLS)[:, None], CELLS, axis=1)
    density = np.repeat((np.arange(CELLS) >= CELLS // 2)[None, :], CELLS, axis=0) / (CELLS**2 / 2)
    data = {
        "axes": ("agent.decisiveness", "training.leak"),
        "surface": ramp,
        "density": density,
        "threshold": 0.5,
        **changes,
    }
    return changed(results, "sure", **data)


def plane_of(result: ClaimResult, results: Results) -> Axes:
    axes = Figure().subplots()
    panels(result, results)["plane"](axes)
    return axes


def boundary(axes: Axes) -> Any:
    """Return the points of the thick line [n, 2]."""
    thick = [each for each in axes.collections if np.max(each.get_linewidth(), initial=0) > 2.0]
    paths = [path.vertices for each in thick for path in each.get_paths() if len(path.vertices)]
    return np.concatenate(paths) if paths else np.empty((0, 2))


def test_the_boundary_lies_where_the_surface_crosses_its_level(results: Results) -> None:
    result = planted(results)
    axes = plane_of(result, results)
    assert boundary(axes)[:, 0] == pytest.approx(0.5, abs=0.01)
    assert {text.get_text() for text in axes.texts} >= {"true", "not true", "default"}
    words = {text.get_text(): text.get_position() for text in axes.texts}
    assert words["true"][0] > 0.6 > 0.4 > words["not true"][0]
    assert words["true"][1] > 0.5  # where there are cases
    assert has_boundary(result.claim, result.judgement)
    high = planted(results, threshold=-1.0)
    assert len(boundary(plane_of(high, results))) == 0
    assert not has_boundary(high.claim, high.judgement)


def test_where_there_are_few_cases_is_faint(results: Results) -> None:
    def veiled(result: ClaimResult) -> list[float]:
        veils = [
            each
            for each in plane_of(result, results).collections
            if len(each.get_facecolor()) and (each.get_facecolor()[0][:3] == 1.0).all()
        ]
        return [each.get_datalim(each.axes.transData).y1 for each in veils]

    assert veiled(planted(results)) == pytest.approx([0.45, 0.4], abs=0.06)
    assert veiled(planted(results, density=np.full((CELLS, CELLS), CELLS**-2.0))) == []


def test_the_default_is_marked_at_its_rank(results: Results) -> None:
    result = planted(results)
    (point,) = [line for line in plane_of(result, results).lines if line.get_marker() == "o"]
    places = point.get_xdata()[0], point.get_ydata()[0]
    for place, key in zip(places, result.judgement.axes, strict=True):
        below = (results.draws[key] < results.defaults[key]).mean()
        assert place == pytest.approx(below, abs=0.01)


def test_levels_stand_in_blocks() -> None:
    scale = Scale.from_column("contexts", pd.Series([1.0] * 10 + [2.0] * 20 + [5.0] * 70))
    assert [scale.place(level) for level in (1.0, 2.0, 5.0)] == pytest.approx([0.05, 0.2, 0.65])
    assert [text for _, text in scale.ticks] == ["1", "2", "5"]
    blocks = list(scale.blocks)
    assert [(points[0], points[-1]) for points, _ in blocks] == [
        pytest.approx(ends) for ends in ((0.0, 0.1), (0.1, 0.3), (0.3, 1.0))
    ]
    cells = scale.weights.argmax(axis=1)
    assert [set(cells[part]) for _, part in blocks] == [{0}, {2}, {7}]
    word = Scale.from_column("training.update_rule", pd.Series(["natural_gradient"] * 3 + ["a_b"]))
    assert list(word.ticks) == [(0.25, "a b"), (0.75, "natural gradient")]
    assert np.isnan(word.place("other"))
    assert np.isnan(word.place(None))


def test_an_axis_has_round_numbers_where_they_are() -> None:
    column = pd.Series(10.0 ** np.linspace(-3.0, -1.0, 2001))
    ticks = {text: place for place, text in Scale.from_column("x", column).ticks}
    assert ticks["0.01"] == pytest.approx(0.5, abs=0.001)
    scale = Scale.from_column("x", pd.Series(np.linspace(0.0, 1.0, 2001)))
    assert all(place == pytest.approx(float(text), abs=0.001) for place, text in scale.ticks)
    assert scale.weights.sum(axis=1) == pytest.approx(1.0)


def test_effects_stand_in_their_own_unit_with_their_intervals(results: Results) -> None:
    axes = Figure().subplots()
    result = changed(results, "never", effect=Effect(0.2, 0.1, 0.3, 9))
    draw_effect(result, axes)
    assert [0.1, 0.3] in [list(line.get_xdata()) for line in axes.lines]
    texts = {text.get_text() for text in axes.texts}
    assert {"20\u00a0%", "> 1\u00a0%", result.claim.contrast.says} <= texts


def test_what_is_not_true_along_an_assumption_is_a_square(results: Results) -> None:
    axes = Figure().subplots()
    key = "training.update_rule"
    influence = Influence(
        key, 1.0, 0.0, ("natural_gradient", "policy_gradient"), (0.0, 0.5), (0.1, 0.1)
    )
    result = changed(results, "never", influences=(influence,))
    draw_along(result, Scale.from_column(key, results.draws[key]), axes)
    marks = {line.get_marker(): list(line.get_xdata()) for line in axes.lines}
    assert (marks["o"], marks["s"]) == ([0.75], [0.25])


def test_every_claim_has_a_figure(results: Results) -> None:
    drawn = figures(results)
    assert list(drawn) == list(CLAIMS)
    shown = [axes for axes in drawn["never"].axes if axes.axison]
    keys = {results.claims[1].judgement.axes[0], *results.claims[1].claim.along}
    assert len(shown) == len(panels(results.claims[1], results)) == 2 + len(keys)


def test_every_assumption_has_words() -> None:
    assumptions = assumptions_of_cases()
    words = [axis_label(key) for key in assumptions.axes]
    assert len(set(words)) == len(words)
    assert not any(re.search("[._]", text) for text in words)


# ----------------------------------------------------------------------------------- in a browser


def test_the_page_in_a_browser(browser: Any, page: str, tmp_path: Path) -> None:
    """From disk: by day and night, on a phone and a desk, by key and link, on paper."""
    file = tmp_path / "report.html"
    file.write_text(page, encoding="utf-8")
    visited = visit(browser, width=1440)
    tab = visited.page
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)
        for width in (390, 700, 1024, 1440):
            tab.set_viewport_size({"width": width, "height": 900})
            tab.goto(file.as_uri())
            tab.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
            assert faint(tab) == [], (scheme, width)
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
            assert wordless(tab) == []
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    assert tab.evaluate(ground) == "rgb(22, 24, 26)"

    tab.goto("about:blank")
    tab.goto(f"{file.as_uri()}#sure-repeat")
    folds = tab.locator("main details[open]")
    assert folds.count() == 1
    assert tab.locator("#sure-repeat pre").first.is_visible()
    tab.locator("#sure-repeat summary").focus()
    tab.keyboard.press("Enter")
    assert folds.count() == 0
    tab.locator('nav a[href="#number2"]').click()
    tab.locator('nav a[href="#number2"][aria-current]').wait_for()
    assert tab.locator("nav a[aria-current]").count() == 1
    top = tab.locator("nav").bounding_box()["y"]
    assert top == pytest.approx(0.0, abs=1.0)  # it stays beside the text

    tab.set_viewport_size({"width": 390, "height": 800})
    tab.reload()
    links = tab.locator("nav a").first
    assert not links.is_visible()
    tab.locator("nav summary").focus()
    tab.keyboard.press("Enter")
    assert links.is_visible()
    links.click()
    assert not links.is_visible()
    panel = tab.locator("#sure svg").first.bounding_box()
    assert panel["width"] > 330  # a figure is as wide as the phone

    tab.evaluate(
        "() => window.addEventListener('beforeprint', () => {"
        " window.shut = document.querySelectorAll('details:not([open])').length; })"
    )
    assert tab.pdf().startswith(b"%PDF")
    assert (tab.evaluate("window.shut"), folds.count()) == (0, 0)
    assert visited.strangers() == []
    assert visited.complaints == []


def test_the_page_and_the_figures_are_written(results: Results, tmp_path: Path) -> None:
    """The report names every verdict, as JSON does."""
    settings = study.Settings.parse(
        {
            "only": [],
            "folder": None,
            "worlds": "worlds",
            "set": {},
            "size": 0.02,
            "seed": 0,
            "engine": "numpy",
            "store": None,
            "page": str(tmp_path / "report.html"),
        },
        path="",
    )
    study.write(results, tmp_path, settings)
    assert "<svg" in (tmp_path / "report.html").read_text(encoding="utf-8")
    written = json.loads((tmp_path / "sure.json").read_text(encoding="utf-8"))
    assert written["judgement"]["verdict"] == "holds"
