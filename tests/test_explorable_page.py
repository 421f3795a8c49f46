"""The explorable as a reader has it: from disk, by keyboard, on a phone's width, in the dark."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from browser import Browser, Visit, faint, names_of, wordless
from explorables import open_page, page_text, path, result_of, specs_of, state_of
from sim.analysis.worst_case import worst_case
from sim.cli.application import open_sections
from sim.cli.compose import read_run
from sim.cli.keys import CONFIGS
from sim.result import Result
from sim.specs.agent import Agent
from sim.specs.errors import SpecError
from test_configs import POST, unquoted

pytestmark = pytest.mark.usefixtures("population")
ROUNDS = [(step, i, r) for step in path() for i, r in enumerate(step["rounds"], 1)]
AWARENESS = "#sliders input[data-key='agent.initial.awareness']"


@pytest.fixture(scope="module")
def text(typical_agents: Callable[[], Agent]) -> str:
    return page_text(typical_agents)


def tab_to(opened: Visit, is_there: str) -> None:
    """Press Tab until what has the focus fulfils a condition, and assert that the focus is seen."""
    for _ in range(80):
        opened.page.keyboard.press("Tab")
        focused = "(() => { const e = document.activeElement; return HERE; })()"
        if opened.page.evaluate(focused.replace("HERE", is_there)):
            style = "getComputedStyle(document.activeElement)"
            assert opened.page.evaluate(f"parseFloat({style}.outlineWidth)") >= 2
            return
    raise AssertionError(f"Tab does not reach {is_there}")


def run_of(described: dict[str, Any], *more: dict[str, Any]) -> Result:
    return result_of(state_of(described, *more))


def number(result: Result, name: str, context: str | None) -> float:
    """Return a number that the path names, from a run of the package."""
    kind, _, of = name.rpartition(":")
    last = result.data.isel(step=0 if "start." in name else -1)
    decision = last["decision"].sel(context=context or last["context"].values[0])
    met = worst_case(result)["met"]
    everywhere = last["reach"].values == 1.0
    gamed = (last["gaming_rate"].median("agent") >= 0.5) & (last["kind"] == "training")
    bad, all_terms = met.sel(term="misalignment").values, met.all("term").values
    simple: dict[str, Callable[[], Any]] = {
        "rate": lambda: last["gaming_rate"].sel(context=of).median(),
        "start.rate": lambda: last["gaming_rate"].sel(context=of).median(),
        "value": lambda: last["values"].sel(value=of).median(),
        "count:gamed": lambda: gamed.sum(),
        "count:everywhere": lambda: everywhere.sum(),
        "count:worst-everywhere": lambda: all_terms[everywhere].sum(),
        "count:misaligned-everywhere": lambda: bad[everywhere].sum(),
        "count:consistent-everywhere": lambda: met.sel(term="consistency").values[everywhere].sum(),
        "share:start.undecided": lambda: ((decision > 0.1) & (decision < 0.9)).mean(),
        "share:undecided": lambda: ((decision > 0.1) & (decision < 0.9)).mean(),
        "share:decided": lambda: (decision >= 0.9).mean(),
        "share:against": lambda: (decision <= 0.1).mean(),
        "share:misaligned-everywhere": lambda: bad[everywhere].mean(),
        "share:misaligned-others": lambda: bad[~everywhere].mean(),
        "ratio:misaligned": lambda: bad[everywhere].mean() / bad[~everywhere].mean(),
        "share:worst-of-everywhere": lambda: all_terms[everywhere].mean(),
    }
    if kind == "answer":
        where, response = of.split(".")
        specs = result.provenance["scenario"]["contexts"][where]["responses"]
        k = list(specs).index(response)
        return float(last["policy"].sel(context=where).isel(response=k).median())
    return float(simple.get(name, simple.get(kind))())  # type: ignore[misc]


def named_numbers(described: dict[str, Any]) -> tuple[int, list[float]]:
    """Return the right option of a round, and the numbers of its reveal, from the package."""
    base, context = run_of(described["state"]), described.get("context")
    beside = run_of(described["state"], described["beside"]) if "beside" in described else None
    options = described["options"]
    variants = [run_of(described["state"], o["settings"]) for o in options if "settings" in o]
    asked = described["measure"].removeprefix("beside.")
    if "right" in described:
        right = described["right"]
    elif variants:
        right = int(np.argmax([number(each, asked, context) for each in variants]))
    else:
        at = number(base if asked == described["measure"] else beside or base, asked, context)
        right = next(i for i, option in enumerate(options) if at >= option["from"])
    numbers = []
    for whose, name in re.findall(r"\{(\d+:|beside\.)?([\w.:-]+?)\}", described["reveal"]):
        run = base if not whose else beside if whose == "beside." else variants[int(whose[:-1])]
        assert run is not None
        numbers.append(number(run, name, context))
    return right, numbers


def shown_number(text: str) -> tuple[float, float]:
    """Return a number as the page writes it, and by how much it may be rounded."""
    plain = text.replace("−", "-").replace("\u00a0", "").rstrip("%").strip()
    digits = len(plain.partition(".")[2])
    scale = 0.01 if "%" in text else 1.0
    return float(plain) * scale, 0.5000001 * 10.0**-digits * scale


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_the_path_is_walked_by_keyboard(
    browser: Browser, text: str, tmp_path: Path, width: int, scheme: str
) -> None:
    opened = open_page(browser, text, tmp_path, width=width, scheme=scheme)
    page = opened.page
    assert faint(page) == []
    for step, i, described in ROUNDS:
        place = page.locator(f"#{step['name']}-{i}")
        assert place.locator(".question").inner_text() == described["question"]
        assert not place.locator(".after").is_visible(), "seen before it is asked"
        tab_to(opened, f"e.dataset.option === '0' && e.closest('#{step['name']}-{i}')")
        page.keyboard.press("Enter")
        place.locator(".verdict p").wait_for()
        place.locator(".figure[aria-busy=false]").wait_for()
        if width == 1440:
            right, numbers = named_numbers(described)
            marked = place.locator(".options button.right")
            assert marked.get_attribute("data-option") == str(right)
            written = place.locator(".verdict b").all_inner_texts()
            assert len(written) == len(numbers)
            for said, exact in zip(written, numbers, strict=True):
                value, rounding = shown_number(said)
                assert abs(value - exact) <= rounding, (step["name"], said, exact)
        before = place.locator(".figure").inner_html()
        if "slider" in described:
            tab_to(opened, f"e.type === 'range' && e.closest('#{step['name']}-{i}')")
            at_left = place.locator("input[type=range]").evaluate("e => e.value === e.min")
            page.keyboard.press("ArrowRight" if at_left else "ArrowLeft")
        else:
            kind = "e.type === 'checkbox'" if "switches" in described else "e.dataset.condition"
            tab_to(opened, f"{kind} && e.closest('#{step['name']}-{i}')")
            page.keyboard.press("Space")
        page.wait_for_function(
            "([id, before]) => document.querySelector(`#${id} .figure`).innerHTML !== before"
            " && document.querySelector(`#${id} .figure`).ariaBusy === 'false'",
            arg=[f"{step['name']}-{i}", before],
        )
    assert f"of your {len(ROUNDS)} predictions" in page.locator("#tally").inner_text()
    assert page.locator("nav a.done").count() == 8
    assert faint(page) == []
    assert wordless(page) == []
    assert all(names_of(page, "slider") + names_of(page, "button") + names_of(page, "combobox"))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("#evidence-1 .caption a").click()
    settle(opened)
    assert "scenario=lab_to_deployment agents=600" in command(opened)
    assert opened.strangers() == []
    assert opened.complaints == []


def test_a_claim_is_linked_and_a_quote_is_in_the_post(browser: Browser, text: str) -> None:
    places = [place for step in path() for place in (step, *step["rounds"]) if "quote" in place]
    assert len(places) == 10
    assert len({place["claim"] for place in places}) == 10
    for place in places:
        assert f"report.html#{place['claim']}" in text
    for step in path():
        assert (Path(__file__).parent.parent / "notebooks" / step["lesson"]["file"]).is_file()
    if not POST.is_file():
        pytest.skip("the post (../shared/POST.txt) is not beside this checkout")
    post = unquoted(POST.read_text(encoding="utf-8"))
    for place in places:
        assert unquoted(place["quote"]) in post


def command(opened: Visit) -> str:
    return opened.page.locator("#command").inner_text()


def settle(opened: Visit) -> None:
    """Wait until the sandbox has drawn all models of its state, and written its address."""
    opened.page.wait_for_function(
        "explorable.sandbox.run?.done === explorable.sandbox.state.agents"
        " && document.querySelector('#figures').ariaBusy === 'false'"
    )
    opened.page.wait_for_timeout(300)


STATES = {
    "a slider": "scenario=scratchpad agents=5 seed=3 record_every=50 training.steps=400"
    " agent.initial.awareness=-2.5 training.leak=0.2",
    "one of many": "scenario=copyright agents=4 record_every=100 training.steps=300"
    " agent.habit.coding=-1 agent.initial.values.helpfulness=0.3 training.advantages=normalised",
    "a group": "scenario=lab_to_deployment agents=3 record_every=100 training.steps=200"
    " agent.capability=1 agent.spread.initial.values=0.5"
    " scenario.contexts.song_request.reward.respect=1 training.update_rule=natural_gradient",
}


@pytest.mark.parametrize("stated", STATES)
def test_the_address_and_the_command_line_give_the_same_numbers(
    browser: Browser, text: str, tmp_path: Path, stated: str
) -> None:
    opened = open_page(browser, text, tmp_path)
    opened.page.locator("summary", has_text="a command line").click()
    field = opened.page.locator("#command-in")
    field.fill(f"python experiments/emergence.py {STATES[stated]}")
    field.press("Enter")
    settle(opened)
    line, headline = command(opened), opened.page.locator("#headline").inner_text()
    program, script, *settings = shlex.split(line)
    assert (program, script) == ("python", "experiments/emergence.py")
    open_sections()
    with initialize_config_dir(config_dir=str(CONFIGS), version_base="1.3"):
        config = compose("emergence", overrides=settings)
    name = str(config.scenario.get("name", settings[0].partition("=")[2]))
    result = read_run(config, scenario_name=name).execute()
    rates = np.array(opened.page.evaluate("[...explorable.sandbox.run.rates]"))
    expected = result.data["gaming_rate"].values
    np.testing.assert_allclose(rates.reshape(expected.shape), expected, atol=1e-9)

    again = open_page(browser, text, tmp_path)
    again.page.goto(opened.page.url)
    again.page.reload()
    settle(again)
    assert command(again) == line
    assert again.page.locator("#headline").inner_text() == headline


def test_what_cannot_be_used_says_what_is_allowed_and_changes_nothing(
    browser: Browser, text: str, tmp_path: Path
) -> None:
    opened = open_page(browser, text, tmp_path)
    page = opened.page
    settle(opened)
    line = command(opened)
    for summary in ("Run and rules", "Any other setting"):
        page.locator("summary", has_text=summary).click()
    for typed, says in (
        ("training.leak=2", "training.leak: got 2: must be a number from 0 to 1"),
        ("training.leek=0.2", "training.leek: the page has no such key"),
        ("agent.foresight=-1", "agent.foresight: got -1: must be a number of 0 or more"),
        ("agent.habit.codign=1", "nothing has this name; allowed: copyright_chat,"),
        ("training.estimator=sampled", "training.estimator: the page has no such key"),
        ("agents=2000 record_every=1", "more records than a page holds; "),
        ("training.update_rule=x", "must be one of policy_gradient, natural_gradient"),
    ):
        page.locator("#more").fill(typed)
        page.locator("[data-do=set]").click()
        assert says in page.locator("#refusal").inner_text()
        assert command(opened) == line
    for typed in ("", "hello", "rm -rf / x=1", "sim scenario=copyright", "javascript:alert(1)"):
        page.locator("#command-in").fill(typed)
        page.locator("[data-do=load]").click()
        assert "not a command line of this page" in page.locator("#refusal").inner_text()
        assert command(opened) == line
    page.locator("#counts input[data-key=agents]").fill("0")
    page.keyboard.press("Tab")
    assert "agents: got 0: must be a whole number from 1" in page.locator("#refusal").inner_text()
    assert command(opened) == line
    page.locator("#more").fill("training.leak=0.25")
    page.locator("[data-do=set]").click()
    assert not page.locator("#refusal").is_visible()
    assert command(opened) == f"{line} training.leak=0.25"
    assert faint(page) == []


@pytest.mark.parametrize(
    "setting", ["training.leak=1.01", "agent.foresight=-0.1", "agent.log_horizon=21",
                "scenario.contexts.coding.scratchpad=2", "agent.spread.rationality=6"]
)  # fmt: skip
def test_the_page_refuses_what_the_package_refuses(
    browser: Browser, text: str, tmp_path: Path, setting: str
) -> None:
    key, _, value = setting.partition("=")
    with pytest.raises(SpecError):
        specs_of(state_of({"scenario": "copyright"}, {key: float(value)}))
    opened = open_page(browser, text, tmp_path)
    refused = opened.page.evaluate(
        "(t) => { try { explorable.readCommand(t); } catch (error) { return error.message; } }",
        f"scenario=copyright {setting}",
    )
    assert "must be a number" in refused


def test_a_figure_and_its_data_are_taken_along(browser: Browser, text: str, tmp_path: Path) -> None:
    opened = open_page(browser, text, tmp_path)
    page = opened.page
    settle(opened)
    page.locator("summary", has_text="The model").click()
    page.locator(AWARENESS).focus()
    page.keyboard.press("Home")
    settle(opened)
    assert "agent.initial.awareness=-10" in command(opened)
    saved = {}
    for kind in ("svg", "csv"):
        with page.expect_download() as waiting:
            page.locator(f"[data-do={kind}]").click()
        waiting.value.save_as(tmp_path / kind)
        saved[kind] = (tmp_path / kind).read_text(encoding="utf-8")
    assert command(opened) in saved["svg"]
    assert "copyright excerpt" in saved["svg"]
    assert "var(" not in saved["svg"]
    ElementTree.fromstring(saved["svg"])
    heads, *rows = (line.split(",") for line in saved["csv"].splitlines())
    assert len(rows) == 101
    result = run_of({"scenario": "copyright"}, {"agent.initial.awareness": -10.0})
    median = result.data["values"].sel(value="copyright").median("agent").values
    column = heads.index("values.copyright.0.5")
    np.testing.assert_allclose([float(row[column]) for row in rows], median, atol=1e-9)
