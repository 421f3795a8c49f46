"""The documentation as a site: it builds, fetches nothing, and leaves nothing public out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

import sim
from sim.analysis.regimes import REGIMES, STATES
from sim.analysis.worst_case import TERMS
from sim.stability.fixed_points import KINDS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
GLOSSARY = (DOCS / "glossary.md").read_text(encoding="utf-8")
GUIDE = (DOCS / "reading-group.md").read_text(encoding="utf-8")
MODEL = (DOCS / "model.md").read_text(encoding="utf-8")
POST = ROOT.parent / "shared" / "POST.txt"
#: What makes a browser load something, by tag.
LOADS = {
    "script": "src",
    "link": "href",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "object": "data",
}


def build(folder: Path, *arguments: str, config: Path = ROOT / "mkdocs.yml") -> str:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "-f", str(config), "-d", str(folder), *arguments],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    return done.stderr if done.returncode else ""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    assert build(folder, "--strict") == ""
    return folder


class Page(HTMLParser):
    """What a page has a browser load, and its images without words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.wordless: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        if tag in LOADS and LOADS[tag] in told:
            self.loads.append(told[LOADS[tag]])
        if tag == "img" and not told.get("alt", "").strip():
            self.wordless.append(told.get("src", ""))


def test_a_page_that_loads_is_told() -> None:
    page = Page('<script src="https://x.org/a.js"></script><img src="b.png"><a href="//y">z</a>')
    assert page.loads == ["https://x.org/a.js", "b.png"]
    assert page.wordless == ["b.png"]


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 15
    for path in pages:
        page = Page(path.read_text(encoding="utf-8"))
        assert page.loads
        outside = [url for url in page.loads if re.match(r"(?:[a-z]+:)?//", url)]
        assert not outside, f"{path.name}: {outside}"
        assert not page.wordless, f"{path.name}: {page.wordless}"
    for path in site.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", text), path.name


def test_what_helps_to_build_is_no_part_of_the_site(site: Path) -> None:
    assert not list(site.rglob("*.py"))


def test_every_public_name_is_in_the_reference_once(site: Path) -> None:
    pages = [path.read_text(encoding="utf-8") for path in (site / "reference").glob("*.html")]
    found = {name: sum(f'id="sim.{name}"' in page for page in pages) for name in sim.__all__}
    assert found == dict.fromkeys(sim.__all__, 1)


def test_a_field_of_a_spec_is_described_with_its_default(site: Path) -> None:
    page = (site / "reference" / "specs.html").read_text(encoding="utf-8")
    described = re.search(r'id="sim.Context.info".*?id="sim', page, flags=re.DOTALL)
    assert described is not None
    text = re.sub(r"<[^>]+>", "", described[0])
    assert "= 0" in text
    assert sim.Context.model_fields["info"].description in text


def test_broken_links_are_refused(tmp_path: Path) -> None:
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    # without the reference and the navigation, which take time and pages
    config = re.sub(r"\nnav:\n(  .*\n)+", "\n", config)
    config = re.sub(r"  - mkdocstrings:\n(    .*\n)+", "", config)
    config = config.replace("hooks: [docs", f"hooks: [{DOCS.as_posix()}")
    (tmp_path / "mkdocs.yml").write_text(config, encoding="utf-8")
    (tmp_path / "docs" / "javascripts").mkdir(parents=True)
    (tmp_path / "docs" / "model.md").write_text("# A page\n", encoding="utf-8")
    broken = ("nowhere.md", "model.md#nowhere", "../nowhere.py")
    text = "\n".join(f"[x]({link})" for link in ("model.md#a-page", *broken))
    (tmp_path / "docs" / "index.md").write_text(text, encoding="utf-8")
    said = build(tmp_path / "site", "--strict", config=tmp_path / "mkdocs.yml")
    assert said.count("WARNING") == len(broken)
    assert all(link in said for link in broken)


# ------------------------------------------------------------------------------------- glossary


def entries() -> list[tuple[str, str]]:
    return re.findall(r"^- \*\*(.+?)\*\*(.*)$", GLOSSARY, flags=re.MULTILINE)


def section(title: str) -> str:
    found = re.search(rf"^## {title}.*?(?=^## |\Z)", MODEL, flags=re.MULTILINE | re.DOTALL)
    assert found, title
    return found[0]


def defined() -> set[str]:
    """Return every word in the first column of the tables that define what is measured."""
    rows: set[str] = set()
    for title in ("What is measured", "What lasts", "Stability", "The worst case"):
        for cell in re.findall(r"^\| (`[^|]+) \|", section(title), flags=re.MULTILINE):
            rows.update(re.findall(r"`(\w+)`", cell))
    paper = section("After training, on paper").partition("| number | definition |")[2]
    rows.update(re.findall(r"^\| `(\w+)` \|", paper, flags=re.MULTILINE))
    return rows


@pytest.mark.parametrize("term", sorted({*REGIMES, *STATES, *KINDS, *TERMS} | defined()))
def test_every_term_that_the_model_defines_is_in_the_glossary(term: str) -> None:
    heads = " ".join(name + body.partition(":")[0] for name, body in entries())
    assert f"`{term}`" in heads


def test_enough_terms_are_read_off_the_model() -> None:
    assert {"stick", "binding", "temptation", "saddle", "reach_weighted"} - {"binding"} <= defined()
    assert len(defined()) > 30


def test_the_glossary_is_in_alphabetical_order() -> None:
    names = [name.lower() for name, _ in entries()]
    assert len(names) > 70
    assert names == sorted(names)
    letters = re.findall(r"^## (\w)$", GLOSSARY, flags=re.MULTILINE)
    assert letters == sorted({name[0].upper() for name in names})


@pytest.mark.parametrize("page", ["glossary.md", "reading-group.md"])
def test_what_is_quoted_stands_in_the_post(page: str) -> None:
    if not POST.is_file():
        pytest.skip("the post (../shared/POST.txt) is not beside this checkout")
    post = " ".join(POST.read_text(encoding="utf-8").replace("’", "'").split())
    text = (DOCS / page).read_text(encoding="utf-8")
    quoting = (
        re.findall(r"\*(Post: .*?)\*", text)
        if page == "glossary.md"
        else re.findall(r"Read footnote 4 aloud: (.*)", text)
    )
    quotes = [quote for line in quoting for quote in re.findall(r'"([^"]+)"', line)]
    assert quotes
    assert not [quote for quote in quotes if quote not in post]


# ---------------------------------------------------------------------------------------- guide


def test_the_hour_of_the_guide_has_sixty_minutes_without_gaps() -> None:
    spans = re.findall(r"^\| (\d+)–(\d+) \|", GUIDE, flags=re.MULTILINE)
    assert spans[0][0] == "0"
    assert spans[-1][1] == "60"
    assert all(end == start for (_, end), (start, _) in pairwise(spans))
    told = re.findall(r"^### (\d+)–(\d+):", GUIDE, flags=re.MULTILINE)
    assert told == spans


@pytest.mark.parametrize("page", ["reading-group", "tutorial", "how-to", "index"])
def test_commands_and_scenarios_that_are_named_exist(page: str) -> None:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    assert set(re.findall(r"(?:`|^)make (\w+)", text, flags=re.MULTILINE)) <= set(targets)
    for script in re.findall(r"experiments/\w+\.py", text):
        assert (ROOT / script).is_file(), script
    assert set(re.findall(r"scenario=(\w+)", text)) <= {*sim.scenarios(), "flattery"}
    for claim in re.findall(r"only=(\w+)", text):
        assert (ROOT / "experiments" / "claims" / f"{claim}.yaml").is_file()
