"""The documents and the code say the same; as a site they fetch nothing and leave nothing out."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest
import yaml

import sim
from sim.analysis.regimes import REGIMES, STATES
from sim.analysis.worst_case import TERMS
from sim.dynamics.observe import VARIABLES
from sim.specs import agent, oversight, scenario, training
from sim.specs.deployment import Deployment, Graph
from sim.specs.intervention import SUBJECTS, Intervention
from sim.stability.fixed_points import KINDS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
POST = ROOT.parent / "shared" / "POST.txt"
PAGES = {path.name: path.read_text(encoding="utf-8") for path in DOCS.glob("*.md")}
README = (ROOT / "README.md").read_text(encoding="utf-8")
MODEL, GLOSSARY, GUIDE = PAGES["model.md"], PAGES["glossary.md"], PAGES["reading-group.md"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORDS = {*REGIMES, *STATES, *KINDS}
SPECS = [
    *(agent.Agent, agent.Initial, scenario.Scenario, scenario.Context, scenario.Phase),
    *(training.Training, training.LearningRate, training.Generalisation, training.Selection),
    *(Deployment, Intervention),
    *(oversight.Oversight, oversight.Inspection, oversight.OversightStep, oversight.Retraining),
]
KEYS = {*agent.CAPABILITIES, *(key for spec in SPECS for key in spec.model_fields)}


# ------------------------------------------------------------------------------ names and numbers


def test_every_key_is_explained_and_every_word_that_is_explained_exists() -> None:
    named = set(re.findall(r"`([a-z_]+)`", MODEL))
    assert KEYS - {"initial"} <= named
    measures = {name for name, v in VARIABLES.items() if v.meaning.endswith(("(5)", "(6)"))}
    assert measures <= named
    assert len(measures) == 15
    options = """training evaluation red_team deployment reinforcement demonstration exact sampled
        policy_gradient natural_gradient raw normalised episode equilibria takeover caught dormant
        pass stick success gain attempts shortfall binding onset"""
    words = {*options.split(), *TERMS, *SUBJECTS, *get_args(oversight.Action), *get_args(Graph)}
    assert named <= KEYS | WORDS | words | set(VARIABLES)
    for word in WORDS:
        assert re.search(rf"^\| (`\w+`, )?`{word}`", MODEL, flags=re.MULTILINE), word


def test_a_key_has_the_symbol_of_its_spec() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (\S*) ?\|", MODEL, flags=re.MULTILINE))
    symbols = {
        name: field.description.partition(": ")[0]
        for spec in (agent.Agent, agent.Initial, scenario.Context, training.Training)
        for name, field in spec.model_fields.items()
        if ": " in (field.description or "")
    }
    assert {name: rows[name] for name in symbols} == symbols
    assert len(symbols) > 25
    row = re.search(r"^\| `generalisation` .*", MODEL, flags=re.MULTILINE)
    assert row is not None
    for name, field in training.Generalisation.model_fields.items():
        symbol = str(field.description).partition(": ")[0]
        assert f"`generalisation.{name}` {symbol}" in row[0]


#: Pages that hooks write into the site.
GENERATED = {"explorable.html"}
#: How text cites an equation of section 3: in parentheses, or by the page.
CITATION = re.compile(r"\((3\.\d+)(?: to (3\.\d+))?\)|MODEL\.md (?:section )?(3\.\d+)")


def test_every_equation_that_is_cited_stands_in_the_model() -> None:
    equations = re.findall(r"^### (3\.\d) ", MODEL, flags=re.MULTILINE)
    assert equations == [f"3.{n}" for n in range(1, 9)]
    cited: dict[str, str] = {}
    for folder in ("sim", "experiments", "notebooks", "docs", "configs", "hydra_plugins"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".md", ".yaml", ".j2"}:
                for match in CITATION.finditer(path.read_text(encoding="utf-8")):
                    cited.update({number: str(path) for number in match.groups() if number})
    assert {"3.5", "3.8"} <= set(cited)
    assert {number: path for number, path in cited.items() if number not in equations} == {}


def test_a_variable_is_cited_by_the_equation_that_names_it() -> None:
    texts = dict(re.findall(r"^### (3\.\d) (.*?)(?=^#)", MODEL, flags=re.MULTILINE | re.DOTALL))
    numbers = {name: CITATION.search(v.meaning) for name, v in VARIABLES.items()}
    found = {name: match[1] for name, match in numbers.items() if match}
    assert len(found) == 11
    for name, number in found.items():
        assert f"`{name}`" in texts[number], (name, number)


def test_every_scenario_is_listed() -> None:
    table = PAGES["how-to.md"].partition("## Choose a scenario")[2].partition("\n## ")[0]
    changes = PAGES["what-changed.md"].partition("| scenario | what the post says")[2]
    for listing in (table, changes.partition("\n\n")[0]):
        listed = re.findall(r"^\| `(\w+)` \|", listing, flags=re.MULTILINE)
        assert sorted(listed) == sorted(sim.scenarios())


def test_every_dependency_has_its_reason_and_no_file_is_listed_by_hand() -> None:
    extras = PROJECT["optional-dependencies"].values()
    needs = [*PROJECT["dependencies"], *(name for extra in extras for name in extra)]
    for need in needs:
        assert re.split(r"[\[<>=]", need)[0] in PAGES["architecture.md"], need
    assert re.findall(r"sim/\w+/\w+\.py", PAGES["architecture.md"]) == []


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["version"]
    assert citation["authors"] == PROJECT["authors"]
    assert citation["references"][0]["title"] in README


def test_the_readme_is_short_and_its_examples_run_as_scripts_and_print(tmp_path: Path) -> None:
    assert len(README.split()) <= 1200
    examples = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert examples
    for example in examples:
        (tmp_path / "example.py").write_text(example, encoding="utf-8")
        command = [sys.executable, "example.py"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        run = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        assert len(run.stdout.splitlines()) >= example.count("print(")
    assert sim.Result.load(tmp_path / "copyright.nc").provenance["agents"] == 64


def test_the_gallery_is_what_the_scenarios_say() -> None:
    page = runpy.run_path(str(DOCS / "hooks" / "gallery.py"))["page"]()
    assert PAGES["scenarios.md"] == page, "python docs/hooks/gallery.py --page"
    assert set(re.findall(r"`scenario=(\w+)`", page)) == set(sim.scenarios())
    for name in sim.scenarios():
        assert sim.Scenario.load(name).passage in page


def test_links_commands_scenarios_and_claims_that_are_named_exist() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for name, text in {**PAGES, "../README.md": README, "../CONTRIBUTING.md": contributing}.items():
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            is_there = ((DOCS / name).parent / link).exists() or link in GENERATED
            assert is_there, f"{name}: {link}"
        assert set(re.findall(r"(?:`|^)make (\w+)", text, flags=re.MULTILINE)) <= {*targets}, name
        for path in re.findall(r"\b(?:sim|tests|configs|benchmarks)/[\w/]+\.\w+", text):
            assert (ROOT / path).exists() or "NAME" in path, f"{name}: {path}"
        for path in re.findall(r"experiments/[a-z]\w*(?:\.py)?", text):
            assert (ROOT / path).exists(), f"{name}: {path}"
        named = set(re.findall(r"\bscenario=([a-z_]+)\b(?!/)", text))
        assert named <= {*sim.scenarios(), "flattery", "glob"}, name
        for claims in re.findall(r"only=\[?([\w,]+)", text):
            for claim in {*claims.split(",")} - {"NAME"}:
                assert (ROOT / "experiments/claims/claims" / f"{claim}.yaml").is_file(), claim


# --------------------------------------------------------------------------------------- the site


def build(folder: Path, config: Path = ROOT / "mkdocs.yml") -> str:
    """Build the site; returns what it complains about."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(config)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    run = subprocess.run(
        [*command, "-d", str(folder)], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    return run.stderr if run.returncode else ""


class Page(HTMLParser):
    """What a page has a browser load, and its images without words."""

    LOADS = dict.fromkeys(("script", "img", "iframe", "source"), "src") | {
        "link": "href",
        "object": "data",
    }

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.wordless: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if self.LOADS.get(tag) in values:
            self.loads.append(values[self.LOADS[tag]])
        if tag == "img" and not values.get("alt", "").strip():
            self.wordless.append(values.get("src", ""))


def test_the_site_fetches_nothing_and_has_every_public_name(tmp_path: Path) -> None:
    assert build(tmp_path) == ""
    planted = Page('<script src="https://x.org/a.js"></script><img src="b"><a href="//y">z</a>')
    assert (planted.loads, planted.wordless) == (["https://x.org/a.js", "b"], ["b"])
    pages = {path: path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.html")}
    assert len(pages) > 15
    for path, text in pages.items():
        page = Page(text)
        assert page.loads
        assert not [url for url in page.loads if re.match(r"(?:[a-z]+:)?//", url)], path.name
        assert not page.wordless, path.name
    for path in tmp_path.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", text), path.name
    assert not list(tmp_path.rglob("*.py"))
    assert {path.name for path in pages} >= GENERATED
    reference = "".join(text for path, text in pages.items() if path.parent.name == "reference")
    counts = {name: reference.count(f'id="sim.{name}"') for name in sim.__all__}
    assert counts == dict.fromkeys(sim.__all__, 1)
    model = (tmp_path / "model.html").read_text(encoding="utf-8")
    anchors = re.findall(r'<h3 id="eq-(3\.\d)"', model)
    assert anchors == [f"3.{n}" for n in range(1, 9)]
    assert "<sub>π<sup>φ</sup></sub>" in model
    glossary = (tmp_path / "glossary.html").read_text(encoding="utf-8")
    assert '(<a href="model.html#eq-3.5">3.5</a>)' in glossary
    field = re.search(r'id="sim.Context.info".*?id="sim', reference, flags=re.DOTALL)
    assert field is not None
    text = re.sub(r"<[^>]+>", "", field[0])
    assert "= 0" in text
    assert str(sim.Context.model_fields["info"].description) in text


def test_broken_links_are_refused(tmp_path: Path) -> None:
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    # without the reference and the navigation, which take time and pages
    config = re.sub(r"\nnav:\n(  .*\n)+", "\n", config)
    config = re.sub(r"  - mkdocstrings:\n(    .*\n)+", "", config)
    config = config.replace("docs/hooks/", f"{DOCS.as_posix()}/hooks/")
    (tmp_path / "mkdocs.yml").write_text(config, encoding="utf-8")
    (tmp_path / "docs" / "javascripts").mkdir(parents=True)
    (tmp_path / "docs" / "model.md").write_text("# A page\n", encoding="utf-8")
    broken = ("nowhere.md", "model.md#nowhere", "../nowhere.py")
    text = "\n".join(f"[x]({link})" for link in ("model.md#a-page", *broken))
    (tmp_path / "docs" / "index.md").write_text(text, encoding="utf-8")
    complaints = build(tmp_path / "site", tmp_path / "mkdocs.yml")
    assert complaints.count("WARNING") == len(broken)
    assert all(link in complaints for link in broken)


def test_formulas_are_typeset_and_cited_equations_are_links() -> None:
    hook = runpy.run_path(str(DOCS / "hooks" / "equations.py"))
    assert hook["typeset"]("E_{π^u} u − v_d e^ς `a_b` [x](a_b.md)") == (
        "E<sub>π<sup>u</sup></sub> u − v<sub>d</sub> e<sup>ς</sup> `a_b` [x](a_b.md)"
    )
    text = '<p title="(3.5)">the stake (3.5) of (3.1 to 3.4), <a href="x">(3.6)</a></p>'
    assert hook["link"](text, "m.html") == (
        '<p title="(3.5)">the stake (<a href="m.html#eq-3.5">3.5</a>) of '
        '(<a href="m.html#eq-3.1">3.1</a> to 3.4), <a href="x">(3.6)</a></p>'
    )


# ----------------------------------------------------------------------------- glossary and guide


def section(title: str) -> str:
    pattern = rf"^##+ (?:\d\. )?{title}.*?(?=^##|\Z)"
    match = re.search(pattern, MODEL, flags=re.MULTILINE | re.DOTALL)
    assert match, title
    return match[0]


def test_the_glossary_has_every_term_of_the_model_in_alphabetical_order() -> None:
    terms = {*WORDS, *TERMS}
    for title in ("What is measured", "What lasts", "Stability", "The worst case"):
        for cell in re.findall(r"^\| (`[^|]+) \|", section(title), flags=re.MULTILINE):
            terms.update(re.findall(r"`(\w+)`", cell))
    paper = section("On paper").partition("| number | definition |")[2]
    terms.update(re.findall(r"^\| `(\w+)` \|", paper, flags=re.MULTILINE))
    assert {"stick", "temptation", "saddle", "reach_weighted"} <= terms
    entries = re.findall(r"^- \*\*(.+?)\*\*(.*)$", GLOSSARY, flags=re.MULTILINE)
    heads = " ".join(name + body.partition(":")[0] for name, body in entries)
    assert [term for term in terms if f"`{term}`" not in heads] == []
    names = [name.lower() for name, _ in entries]
    assert len(names) > 70
    assert names == sorted(names)
    letters = re.findall(r"^## (\w)$", GLOSSARY, flags=re.MULTILINE)
    assert letters == sorted({name[0].upper() for name in names})


def test_what_is_quoted_stands_in_the_post() -> None:
    if not POST.is_file():
        pytest.skip("the post (../shared/POST.txt) is not beside this checkout")
    post = " ".join(POST.read_text(encoding="utf-8").replace("’", "'").split())
    for lines in (
        re.findall(r"\*(Post: .*?)\*", GLOSSARY),
        re.findall(r"Read footnote 4 aloud: (.*)", GUIDE),
    ):
        quotes = [quote for line in lines for quote in re.findall(r'"([^"]+)"', line)]
        assert quotes
        assert [quote for quote in quotes if quote not in post] == []


def test_the_hour_of_the_guide_has_sixty_minutes_without_gaps() -> None:
    spans = re.findall(r"^\| (\d+)–(\d+) \|", GUIDE, flags=re.MULTILINE)
    assert (spans[0][0], spans[-1][1]) == ("0", "60")
    assert all(end == start for (_, end), (start, _) in pairwise(spans))
    assert re.findall(r"^### (\d+)–(\d+):", GUIDE, flags=re.MULTILINE) == spans
