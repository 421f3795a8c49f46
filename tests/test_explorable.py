"""The model in the browser is the engine's; what the page measures, the analyses measure."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sim
from browser import Browser, Visit
from explorables import (
    SOURCE,
    open_page,
    page_text,
    path,
    result_of,
    specs_of,
    state_of,
    trained,
)
from sim.analysis.regimes import regimes
from sim.analysis.worst_case import TERMS, worst_case
from sim.result import Result
from sim.specs.agent import Agent
from sim.specs.library import names
from sim.specs.overrides import Specs, apply_overrides, as_population, read_specs
from sim.stability.training_map import TrainingMap
from sim.sweeps.world_sample import draw_scenario

pytestmark = pytest.mark.usefixtures("population")
#: What moves everything at once.
ALL: dict[str, Any] = {
    "training.leak": 0.3,
    "training.motive_credit": 0.4,
    "training.generalisation": 0.35,
    "training.learning_rate.propensity": 0.02,
    "training.anchor": 0.003,
    "training.visible_gaming_penalty": 0.7,
    "agent.spread.foresight": 0.3,
    "agent.spread.scratchpad_saving": 0.4,
}
RULES: dict[str, dict[str, Any]] = {
    "as the scenario has it": {},
    "natural gradient": {"training.update_rule": "natural_gradient", **ALL},
    "normalised advantages": {"training.advantages": "normalised", **ALL},
}
#: Slips in the model, each of which must be seen.
BREAKS = {
    "foresight": ("foreseenUtility += foreseen[r]", "foreseenUtility += gaming[r]"),
    "motives": ("const Γ = p * ΔF * a * d * (1 - d)", "const Γ = p * ΔF * a * d"),
    "demonstrations": ("shares[r] / Math.max(policy[r]", "shares[r] / Math.max(byValues[r]"),
    "draws": ("* Math.cos(2 * Math.PI", "* Math.sin(2 * Math.PI"),
    "carried over": (
        "const c = trained[n], S = similarity[to * C + c]",
        "const c = trained[n], S = 1",
    ),
}


@pytest.fixture(scope="module")
def text(typical_agents: Callable[[], Agent]) -> str:
    return page_text(typical_agents)


@pytest.fixture(scope="module")
def opened(browser: Browser, text: str, tmp_path_factory: pytest.TempPathFactory) -> Visit:
    return open_page(browser, text, tmp_path_factory.mktemp("explorable"))


def difference(opened: Visit, specs: Specs, *, agents: int = 3) -> float:
    """Return the greatest difference between page and package over θ, gaming rates and policy."""
    arguments: Any = {"agents": agents, "seed": 7, "record_every": 40}
    data = sim.simulate(
        specs.scenario, agent=specs.agent, training=specs.training, engine="numpy", **arguments
    ).data
    page = trained(opened, specs, agents=agents, seed=7, every=40)
    pairs = [(page["rates"], data["gaming_rate"].values)]
    pairs += [(page[name], data[f"{name}_logit"].values) for name in ("awareness",)]
    pairs += [(page[name], data[name].values) for name in ("log_horizon", "log_competence")]
    for value in specs.scenario.values:
        pairs.append((page[f"values.{value}"], data["values"].sel(value=value).values))
    for j in data["capability"].values:
        pairs.append((page[f"capability.{j}"], data["capability_logits"].sel(capability=j).values))
    row = 0
    for c, (name, context) in enumerate(specs.scenario.contexts.items()):
        pairs.append((page[f"habit.{name}"], data["habit"].sel(context=name).values))
        for k, response in enumerate(context.responses):
            pairs.append(
                (page[f"propensity.{name}.{response}"], data["propensity"].values[:, :, c, k])
            )
            pairs.append((page["policy"][row], data["policy"].values[-1, :, c, k]))
            row += 1
    return float(np.max([np.abs(x - y).max() for x, y in pairs]))


@pytest.mark.parametrize("rule", RULES)
def test_every_scenario_trains_as_in_the_engine(opened: Visit, rule: str) -> None:
    for name in names("scenario"):
        steps = 1400 if name == "pipeline" else 200  # into its last phase
        specs = apply_overrides(
            as_population(read_specs(name)), {**RULES[rule], "training.steps": steps}
        )
        assert difference(opened, specs) < 1e-9, name


@pytest.mark.parametrize("rule", RULES)
def test_drawn_worlds_train_as_in_the_engine(opened: Visit, rule: str) -> None:
    for number in range(8):
        specs = as_population(read_specs(draw_scenario("worlds", number)))
        specs = apply_overrides(specs, {**RULES[rule], "training.steps": 200})
        assert difference(opened, specs) < 1e-9, number


@pytest.mark.parametrize("broken", BREAKS)
def test_a_slip_in_the_model_is_seen(
    browser: Browser, text: str, tmp_path: Path, broken: str
) -> None:
    right, wrong = BREAKS[broken]
    assert text.count(right) == 1
    opened = open_page(browser, text.replace(right, wrong), tmp_path)
    numbers = {**ALL, "training.steps": 100, "agent.initial.propensity": {}}
    specs = apply_overrides(as_population(read_specs("pipeline")), numbers)
    world = specs.scenario.replace(similarity={"demonstrations": {"chat_feedback": 0.5}})
    assert not difference(opened, specs._replace(scenario=world)) < 1e-6


@pytest.mark.parametrize("scenario", ["copyright", "lab_to_deployment", "scratchpad"])
def test_regimes_onsets_and_terms_are_those_of_the_analyses(opened: Visit, scenario: str) -> None:
    settings = {"training.steps": 400, "training.learning_rate.habit": 0.05}
    state = state_of({"scenario": scenario, "agents": 12, "record_every": 10}, settings)
    found = opened.page.evaluate(
        """(state) => { const {runWhole, regime, onset, worstCaseTerms, data} = explorable;
          const run = runWhole(state);
          const agents = [...Array(run.done).keys()];
          return {regimes: agents.map((n) => regime(run, n, data.rules).name),
            onsets: agents.map((n) =>
              run.world.names.map((_, c) => onset(run, n, c, data.rules))),
            terms: worstCaseTerms(run, data.terms).map((x) => [x.numbers, x.met])}; }""",
        state,
    )
    result = result_of(state)
    case = worst_case(result)
    assert found["regimes"] == regimes(result)["regime"].values.tolist()
    np.testing.assert_array_equal(np.array(found["onsets"], float), result.data["onset"].values)
    numbers = np.array([numbers for numbers, _ in found["terms"]], float)
    np.testing.assert_allclose(numbers, case["number"].values, atol=1e-9)
    met = np.array([met for _, met in found["terms"]])
    np.testing.assert_array_equal(met, case["met"].sel(term=list(TERMS)).values)


def test_the_plane_is_the_training_map_of_the_package(opened: Visit) -> None:
    state = state_of({"scenario": "copyright", "agents": 4}, {"training.steps": 40})
    plane = opened.page.evaluate(
        "(state) => explorable.planeOf(explorable.runWhole(state), null)", state
    )
    whole = TrainingMap.from_specs(specs_of(state), seed=0)
    f = whole.only([f"values.{plane['value']}", f"habit.{plane['context']}"])
    grid = np.array([[cell["value"], cell["habit"]] for cell in plane["cells"]]).T
    flow = f.step(grid) - grid
    for row, (axis, part) in enumerate([("y", "up"), ("x", "across")]):
        low, high = plane[axis]
        page = [cell[part] * (high - low) for cell in plane["cells"]]
        np.testing.assert_allclose(page, flow[row], atol=1e-9)


def test_the_page_is_one_file_and_small(text: str) -> None:
    assert len(text.encode()) < 1_000_000
    assert (SOURCE / "model.js").read_text(encoding="utf-8").count("\n") <= 400
    places = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([a-z]+:[^"')\s]*)""", text)
    assert set(places) <= {"data:,"}


# ------------------------------------------------------------------- what the path says of its runs


def share(result: Result, low: float, high: float, step: int) -> float:
    decision = result.data["decision"].sel(context="copyright_chat").isel(step=step)
    return float(((decision > low) & (decision < high)).mean())


def misaligned(result: Result) -> tuple[float, float]:
    """Return the shares of agents that game everywhere, and of others, that are misaligned."""
    met = worst_case(result)["met"].sel(term="misalignment").values
    everywhere = result.data["reach"].isel(step=-1).values == 1.0
    return float(met[everywhere].mean()) if everywhere.any() else np.nan, float(
        met[~everywhere].mean()
    )


def step_named(name: str) -> dict[str, Any]:
    return next(step for step in path() if step["name"] == name)["rounds"][0]  # type: ignore[no-any-return]


def test_indecision_ends_to_gaming_with_credit_and_the_other_way_without() -> None:
    """What the step on footnote 4 says: most start undecided, none ends so."""
    described = step_named("lasts")
    credited, without = (
        result_of(state_of(described["state"], {"training.motive_credit": credit}))
        for credit in (1.0, 0.0)
    )
    assert share(credited, 0.1, 0.9, 0) > 0.8
    assert share(credited, 0.1, 0.9, -1) == 0.0
    assert share(credited, 0.9, 1.1, -1) == 1.0
    assert share(without, -0.1, 0.1, -1) > 0.95


def test_gaming_everywhere_speaks_for_misalignment_where_training_upholds_human_values() -> None:
    """What the step on evidence says of each place of its slider."""
    described = step_named("evidence")
    positions = described["slider"]["positions"]
    found = [misaligned(result_of(state_of(described["state"], p["settings"]))) for p in positions]
    ratios = [here / others for here, others in found]
    assert np.isnan(ratios[1])
    assert ratios[0] == ratios[2] == 0.0
    assert ratios[3] < 1.5
    assert ratios[4] > 10.0


def test_one_change_brings_nobody_to_the_worst_case_and_some_pair_does() -> None:
    described = step_named("mind")
    switches = [switch["settings"] for switch in described["switches"]]

    def worst(*settings: dict[str, Any]) -> int:
        return int(
            worst_case(result_of(state_of(described["state"], *settings)))["worst_case"].sum()
        )

    assert [worst(each) for each in switches] == [0] * 4
    assert worst(switches[0], switches[1]) > 0
    assert worst(*switches) > 20
