"""Claims of the post: data that is checked, verdicts that are computed, a runner that resumes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from commands import Call, assert_refused
from experiments.claims import studies as claims_studies
from experiments.claims.claim_results import ClaimResult, check_claims, run_claim
from experiments.claims.figure import claim_figure, figure_title, map_axes
from experiments.claims.figure_beside import beside_figure, funnels_figure
from experiments.claims.labels import format_share, format_threshold, rule_label
from experiments.claims.measures import Measured, RunOptions, design_of, quantities_of
from experiments.claims.populations import (
    NEAR,
    STAGES,
    Population,
    Together,
    count_population,
    differs,
)
from experiments.claims.spec import ORDER, Claim, Region, claims_folder, load_claims
from experiments.claims.studies import cached_table, points_of
from experiments.claims.verdicts import Judgement, Rule, Split, find_rule, judge, judge_readings
from experiments.footnote4.cases import CASES
from experiments.footnote4.partial_gaming import try_cases
from sim.analysis.worst_case import TERMS
from sim.specs.errors import SpecError
from sim.specs.library import read_yaml
from test_configs import POST, unquoted

FOLDER = claims_folder()
CLAIMS = {claim.name: claim for claim in load_claims(FOLDER)}
SMALL = RunOptions(size=0.01)
LEAST = RunOptions(size=0.002)


# ----------------------------------------------------------------------------------- claims as data


def test_every_passage_of_the_issue_has_its_claim_in_the_order_of_the_post() -> None:
    assert tuple(CLAIMS) == ORDER
    assert {f"footnote{i}" for i in range(1, 8)} | {f"difference{i}" for i in range(1, 5)} < {
        *CLAIMS
    }


def test_every_claim_can_be_planned() -> None:
    check_claims(list(CLAIMS.values()), SMALL)


@pytest.mark.parametrize("name", CLAIMS)
def test_what_a_claim_quotes_stands_in_the_post(name: str) -> None:
    if not POST.is_file():
        pytest.skip("the post (../shared/POST.txt) is not beside this checkout")
    post = unquoted(POST.read_text(encoding="utf-8"))
    for piece in CLAIMS[name].quote.split("[...]"):
        text = unquoted(piece)
        assert len(text.split()) >= 5
        result = post.find(text)
        assert result >= 0, f"not in the post, or not in this order: {text}"
        post = post[result + len(text) :]


@pytest.mark.parametrize("name", CLAIMS)
def test_in_our_own_words_nothing_is_called_by_the_word_with_two_senses(name: str) -> None:
    claim = CLAIMS[name]
    ours = [claim.title, claim.says, claim.means, claim.limits]
    ours += [quantity.label for quantity in claim.measure.quantities.values()]
    assert not re.search("schem", " ".join(ours), flags=re.IGNORECASE)


def test_a_range_is_that_of_the_sensitivity_study_and_the_same_in_every_claim() -> None:
    wide = read_yaml(FOLDER.parents[1] / "sensitivity" / "config.yaml")["assumptions"]
    seen: dict[str, tuple[object, ...]] = {}
    for claim in CLAIMS.values():
        for key, ends in claim.region.ranges.items():
            assert seen.setdefault(key, ends) == ends, (claim.name, key)
            if key in wide:
                assert list(ends) == wide[key], (claim.name, key)
    assert len(seen) > 15


def written(**changes: object) -> dict[str, object]:
    data = yaml.safe_load((FOLDER / "example1.yaml").read_text(encoding="utf-8"))
    return {"name": "example1", **data, **changes}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"test": [{"quantity": "elsewere", "below": 0.5}]}, "elsewhere"),
        ({"test": [{"quantity": "elsewhere"}]}, "exactly one of"),
        ({"test": []}, "test"),
        ({"applies_if": [{"quantity": "elsewhere", "below": 1, "above": 0}]}, "exactly one of"),
        (
            {"readings": [{"says": "them", "applies_if": [{"quantity": "elsewere", "below": 1}]}]},
            "readings.0",
        ),
        ({"plot": {"x": "training.leek"}}, "no assumption of the region"),
        ({"region": {"ranges": {"training.leak": [0, 1]}, "points": 100}}, "power of 2"),
        ({"region": {}}, "tried over assumptions"),
        ({"measure": {"quantities": {}}}, "scenario"),
        ({"tests": []}, "unknown key"),
    ],
)
def test_a_claim_that_cannot_be_used_is_refused_in_one_line(
    changes: dict[str, object], says: str
) -> None:
    with pytest.raises(SpecError, match=r"^[^\n]+$") as refused:
        Claim.parse(written(**changes), path="claims/example1")
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("region", "says"),
    [
        ({"ranges": {"training.leek": [0, 1]}}, "leak"),
        ({"ranges": {"training.leak": [1, 0]}}, "training.leak"),
        ({"choices": {"scenario": ["copyright"]}}, "ranges or a grid"),
    ],
)
def test_a_region_that_cannot_be_run_is_refused_before_anything_is(
    region: dict[str, object], says: str
) -> None:
    axis = next(iter(next(iter(region.values()))))  # type: ignore[call-overload]
    claim = Claim.parse(written(region=region, plot={"x": axis}), path="claims/example1")
    with pytest.raises(SpecError, match=r"^[^\n]+$") as refused:
        check_claims([claim], SMALL)
    assert says in str(refused.value)


def test_a_quantity_of_what_is_not_there_is_refused_with_the_nearest() -> None:
    claim = Claim.parse(written(), path="claims/example1")
    rows = pd.DataFrame({"gaming_rate.copyright": [0.0]})
    with pytest.raises(SpecError, match=r"gaming_rate\.copyright'"):
        quantities_of(claim, {"against": rows, "in_favour": rows})


def test_a_quantity_is_what_it_says() -> None:
    """Every way to take a number, from two worlds of two points whose numbers are known."""
    ways: dict[str, dict[str, object]] = {
        "least": {"reduce": "least"},
        "most": {"reduce": "most"},
        "mean": {"reduce": "mean"},
        "sum": {"reduce": "sum"},
        "other": {"reduce": "sum", "world": "b"},
        "less": {"reduce": "sum", "minus": "b"},
        "size": {"reduce": "sum", "minus": "b", "absolute": True},
    }
    quantities: dict[str, object] = {
        name: {"label": name, "columns": ["x", "y"], **way} for name, way in ways.items()
    }
    met = [{"quantity": "least", "at_least": 1}, {"quantity": "most", "below": 4}]
    quantities["count"] = {"label": "count", "count": met}
    measure = {"study": "toy", "worlds": {"a": {}, "b": {}}, "quantities": quantities}
    claim = toy({"above": 0.0}, measure=measure, test=[{"quantity": "less", "above": 0}])
    result = quantities_of(
        claim,
        {
            "a": pd.DataFrame({"x": [1.0, 0.0], "y": [2.0, 4.0]}),
            "b": pd.DataFrame({"x": [1.0, 3.0], "y": [1.0, 5.0]}),
        },
    )
    assert result.to_dict("list") == {
        "least": [1, 0],
        "most": [2, 4],
        "mean": [1.5, 2],
        "sum": [3, 4],
        "other": [2, 8],
        "less": [1, -4],
        "size": [1, 4],
        "count": [2, 0],
    }


# ----------------------------------------------------------------------------------- verdicts


def toy(comparison: dict[str, object], **changes: object) -> Claim:
    data = {
        "name": "toy",
        "title": "A toy",
        "passage": "none",
        "quote": "none",
        "says": "x is large",
        "means": "x",
        "measure": {"study": "toy", "quantities": {"y": {"label": "y", "columns": ["y"]}}},
        "region": {"ranges": {"a": [0, 1], "b": [0, 1]}},
        "test": [{"quantity": "y", **comparison}],
        "plot": {"x": "a"},
        **changes,
    }
    return Claim.parse(data, path="claims/toy")


def numbers(count: int = 256) -> Measured:
    """Points of which a + b/1000 is measured; every number is known."""
    at = np.arange(count)
    a, b = (at * 0.618034) % 1.0, (at * 0.754878) % 1.0
    return Measured(pd.DataFrame({"a": a, "b": b}), pd.DataFrame({"y": a + b / 1000.0}), count)


def verdict(test: dict[str, object], **changes: object) -> Judgement:
    return judge(toy(test, **changes), numbers())


def test_the_verdict_follows_from_the_numbers() -> None:
    assert verdict({"at_least": 0.0}).kind == "holds"
    assert verdict({"above": 2.0}).kind == "fails"
    assert verdict({"above": 0.5}).kind == "depends"
    nothing = verdict({"above": 0.5}, applies_if=[{"quantity": "y", "above": 5}])
    assert nothing.kind == "untried"
    assert np.isnan(nothing.share)


def test_a_share_that_is_required_must_be_below_the_interval() -> None:
    # 95 % of 256 points: the lower end of the interval is below 0.95, above 0.9.
    result = verdict({"above": 0.05}, required_share=0.9)
    assert result.share == pytest.approx(0.95, abs=0.01)
    assert result.kind == "holds"
    assert verdict({"above": 0.05}, required_share=0.95).kind == "depends"
    assert result.low < result.share < result.high


def test_an_undefined_point_is_neither_true_nor_false() -> None:
    measured = numbers()
    measured.quantities.loc[:9, "y"] = np.nan
    result = judge(toy({"at_least": 0.0}), measured)
    assert (result.kind, result.undefined, result.applies_count) == ("holds", 10, 246)


def test_the_rule_finds_the_planted_split() -> None:
    result = verdict({"above": 0.5})
    assert result.rule is not None
    (split,) = result.rule.splits
    assert (split.axis, split.sign) == ("a", "≥")
    assert split.value == pytest.approx(0.5, abs=0.03)
    assert result.rule.held_out
    assert result.rule.inside > 0.9 > 0.1 > result.rule.outside


@pytest.mark.parametrize("joined", ["and", "or"])
def test_the_rule_finds_two_planted_splits(joined: str) -> None:
    axes = numbers(512).axes
    one, two = axes["a"] >= 0.4, axes["b"] < 0.6
    true = (one & two if joined == "and" else one | two).to_numpy()
    rule = find_rule(axes, true)
    assert rule is not None
    assert rule.joined == joined
    assert {(split.axis, split.sign) for split in rule.splits} == {("a", "≥"), ("b", "<")}
    assert rule.balanced_accuracy > 0.9
    assert f" {joined} " in rule_label(rule)


def test_a_choice_can_be_a_split() -> None:
    axes = pd.DataFrame({"scenario": ["one", "two", "three"] * 40})
    rule = find_rule(axes, (axes["scenario"] == "two").to_numpy())
    assert rule is not None
    assert rule_label(rule) == "scenario = two"
    assert (rule.inside, rule.outside) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("sign", "value", "label"),
    [
        ("<", 0.0055, "anchor ≤ 0.001"),
        ("≥", 0.0055, "anchor ≥ 0.01"),
        ("<", 0.0005, "anchor = 0"),
        ("≥", 0.02, "anchor = 0.03"),
    ],
)
def test_a_rule_on_a_grid_is_labelled_by_its_levels(sign: str, value: float, label: str) -> None:
    region = Region(grid={"training.anchor": [0, 0.001, 0.01, 0.03]})
    split = Split("training.anchor", "<" if sign == "<" else "≥", value)
    rule = Rule((split,), "and", 0.9, 0.9, 0.1, 24, False)
    assert rule_label(rule, region) == label
    assert rule_label(rule) == f"anchor {sign} {value:g}"


def test_thresholds_have_no_digits_for_show() -> None:
    at = np.arange(256)
    awareness, anchor = -8 + 10 * ((at * 0.618034) % 1), 10 ** (-5 + 3 * ((at * 0.754878) % 1))
    axes = pd.DataFrame({"awareness": awareness, "anchor": anchor})
    for axis, edge in (("awareness", 0.013), ("anchor", 0.000513)):
        rule = find_rule(axes, (axes[axis] < edge).to_numpy())
        assert rule is not None
        (split,) = rule.splits
        digits = 1 if axis == "awareness" else 2
        assert len(f"{split.value:g}".lstrip("-0.").rstrip("0")) <= digits + 1
        assert rule.balanced_accuracy > 0.9


@pytest.mark.parametrize(
    ("number", "says"),
    [(1e-5, "0.00001"), (-0.5, "−0.5"), (8192.0, "8,192"), (0.0, "0"), (-0.0, "0"), (12.5, "12.5")],
)
def test_a_number_is_written_out(number: float, says: str) -> None:
    assert format_threshold(number) == says


def test_noise_has_no_rule() -> None:
    # Pseudo-noise: a fixed sequence, the rule is judged on points that it has not seen.
    axes = numbers(1024).axes
    true = (np.arange(1024) * 7919 % 1013) % 2 == 0
    assert find_rule(axes, true) is None


def test_a_share_below_1_is_never_rounded_up_to_100() -> None:
    shares = [format_share(share) for share in (0.9999, 1.0, 0.5)]
    assert shares == ["99.9 %", "100 %", "50 %"]


def test_other_readings_are_judged_on_the_same_runs() -> None:
    """Of footnote 6: agents that seize once against those that sabotage again and again."""
    claim = CLAIMS["footnote6"]
    quantities = pd.DataFrame(
        {
            **{name: [0.0] * 4 for name in claim.measure.quantities},
            "alignment": [-0.9, -0.9, -0.9, 0.9],
            "consistency": [1.0] * 4,
            "seizes": [1.0, 1.0, 0.0, 1.0],
            "sabotages": [1.0, 2.0, 0.0, 3.0],
            "games": [0.0, 0.9, 0.9, 0.0],
            "either": [0.0, 1.0, 1.0, 0.0],
        }
    )
    measured = Measured(pd.DataFrame({"a": range(4)}), quantities, 4)
    result = ClaimResult(claim, measured, judge(claim, measured))
    assert (result.judgement.applies_count, result.judgement.share) == (2, 0.5)
    (_, often), (_, always) = judge_readings(claim, measured)
    assert (often.applies_count, often.kind) == (1, "holds")
    assert always.kind == "untried"
    data = result.to_dict(SMALL)["read_otherwise"]
    assert [(reading["given"], reading["true"]) for reading in data] == [(1, 1), (0, 0)]


# ----------------------------------------------------------------------------------- runs


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=pytest.mark.slow) if n == "picture" else n
        for n in CLAIMS
        if CLAIMS[n].measure.study is None
    ],
)
def test_a_claim_is_run_and_drawn(name: str) -> None:
    result = run_claim(CLAIMS[name], LEAST)
    assert len(result.frame()) == len(result.measured.axes) == result.judgement.points
    assert set(map_axes(result)) - {None} <= {*result.claim.axes}
    title = figure_title(result)
    assert title.startswith(f"{result.claim.title}: {result.judgement.kind}")
    assert title.endswith(result.rule)
    assert len(claim_figure(result).axes) == len(result.claim.test) + 1


def at(name: str, **assumptions: float) -> ClaimResult:
    """Run a claim at one point, by a grid of one level each."""
    claim = CLAIMS[name]
    keys = {key.split(".")[-1]: key for key in claim.region.ranges}
    grid = {keys[short]: [number] for short, number in assumptions.items()}
    return run_claim(claim.replace(region={"grid": grid}, plot={"x": next(iter(grid))}), SMALL)


@pytest.mark.parametrize(
    ("name", "assumptions", "kind"),
    [
        ("example2", {"awareness": -4.0, "info_sensitivity": 5.0}, "holds"),
        ("example2", {"awareness": 2.0, "info_sensitivity": 5.0}, "fails"),
        ("example2", {"awareness": -4.0, "info_sensitivity": 0.0}, "untried"),
        ("example3", {"awareness": -4.0, "scratchpad_sensitivity": 6.0}, "holds"),
        ("example3", {"awareness": 2.0, "scratchpad_sensitivity": 6.0}, "fails"),
    ],
)
def test_assumptions_turn_a_verdict(name: str, assumptions: dict[str, float], kind: str) -> None:
    assert at(name, **assumptions).judgement.kind == kind


def test_gaming_where_nothing_is_at_stake_turns_example_1_round() -> None:
    """Habits that have spread already: the verdict is computed, not known."""
    claim = CLAIMS["example1"]
    everywhere = claim.replace(
        measure={**claim.measure.model_dump(), "settings": {"agent.initial.habit": 8}}
    )
    assert run_claim(claim, SMALL).judgement.kind == "holds"
    assert run_claim(everywhere, SMALL).judgement.kind != "holds"


def test_a_looser_threshold_turns_a_verdict_round() -> None:
    claim = CLAIMS["difference1"]
    run_options = RunOptions(size=0.05)
    assert run_claim(claim, run_options).judgement.kind in ("depends", "holds")
    strict = claim.replace(test=[{"quantity": "consistency", "below": 0.0}])
    assert run_claim(strict, run_options).judgement.kind == "fails"


def small_footnote4(steps: int, **region: object) -> Claim:
    claim = CLAIMS["footnote4"]
    options = {"agents": 32, "steps": steps, "shown": "copyright"}
    return claim.replace(
        measure={**claim.measure.model_dump(), "options": options},
        region=region,
        plot={"x": "training.anchor"},
    )


def test_footnote_4_depends_on_the_anchor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims_studies, "CASES", [CASES[0], CASES[7]])

    def kind(anchor: float) -> str:
        grid = {"training.anchor": [anchor], "training.motive_credit": [1]}
        claim = small_footnote4(400, choices={"scenario": ["copyright"]}, grid=grid)
        result = run_claim(claim, RunOptions(size=0.5))
        figure = beside_figure(result)
        assert figure is not None
        assert any("anchor 0.1" in ax.get_title(loc="left") for ax in figure.axes)
        return result.judgement.kind

    assert (kind(0.0), kind(0.9)) == ("holds", "fails")


def test_a_grid_is_judged_without_chance() -> None:
    """All of its points are searched and judged, and the share has no interval."""
    claim = CLAIMS["footnote4"]
    axes = pd.DataFrame(points_of(claim, RunOptions()))
    free = (axes["training.anchor"] <= 0.001).to_numpy(copy=True)
    free[:7] = False
    names = claim.measure.quantities
    quantities = pd.DataFrame({name: np.where(free, 0.0, 1.0) for name in names})
    judgement = judge(claim, Measured(axes, quantities, 1))
    assert judgement.low == judgement.high == judgement.share == free.mean()
    assert judgement.rule is not None
    where = judgement.rule.mask(axes)
    assert (judgement.rule.inside, judgement.rule.outside) == (
        free[where].mean(),
        free[~where].mean(),
    )
    assert judgement.rule.judged_on == len(axes) == 120


def test_a_table_that_was_made_is_not_made_again(tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> pd.DataFrame:
        made.append(1)
        return pd.DataFrame({"a": [0.1, np.nan], "b": [1.0 / 3.0, 2e-300]})

    def ask(place: Path | None, seed: int) -> pd.DataFrame:
        return cached_table(place, {"seed": seed}, make)

    first = ask(tmp_path / "tables", 0)
    pd.testing.assert_frame_equal(ask(tmp_path / "tables", 0), first, check_exact=True)
    assert len(made) == 1
    ask(tmp_path / "tables", 1)
    ask(None, 0)
    assert len(made) == 3
    for path in (tmp_path / "tables").iterdir():
        path.write_text('{"depends_on"', encoding="utf-8")
    pd.testing.assert_frame_equal(ask(tmp_path / "tables", 0), first, check_exact=True)
    assert len(made) == 4


def test_footnote_4_is_resumed_by_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims_studies, "CASES", CASES[:1])
    choices = {"scenario": ["power_seeker", "copyright"]}
    claim = small_footnote4(200, choices=choices, grid={"training.anchor": [0.0, 0.1]})
    options = RunOptions(store=tmp_path, size=0.5)
    first = run_claim(claim, options).frame()
    counts: list[int] = []
    study = try_cases

    def spy(*args: Any, **more: Any) -> Any:
        counts.append(len(more["cases"]))
        return study(*args, **more)

    monkeypatch.setattr(claims_studies, "try_cases", spy)
    pd.testing.assert_frame_equal(run_claim(claim, options).frame(), first, check_exact=True)
    assert counts == [1]  # the cases beside are not stored
    next((tmp_path / "tables").iterdir()).unlink()
    pd.testing.assert_frame_equal(run_claim(claim, options).frame(), first, check_exact=True)
    assert counts == [1, 2, 1]


def test_populations_make_the_funnel_and_the_ratio() -> None:
    claim = CLAIMS["conjunction"]
    region = {"choices": {"prior": ["capable"]}, "grid": {"training.leak": [0.0, 0.3]}}
    small = claim.replace(region=region, plot={"x": "training.leak"})
    result = run_claim(small, RunOptions(size=0.125))
    assert result.judgement.kind == "holds"
    population = result.measured.beside["funnels"]["capable"]
    funnel = population.stages
    assert (np.diff(funnel["count"]) <= 0).all()
    assert (funnel["alone"] >= funnel["count"]).all()
    assert funnel["count"].iat[1] / 128 == result.measured.quantities["games"].iat[0]
    assert population.agents == 128
    assert population.eight == 128 * result.measured.quantities["worst_case"].iat[0]
    assert population.attempts == 128 * result.measured.quantities["attempts"].iat[0]
    assert population.attempts_eight <= min(population.attempts, population.eight)
    assert population.misaligned == (128, 128 * result.measured.quantities["misaligned"].iat[0])
    assert population.everywhere == (funnel["count"].iat[2], funnel["count"].iat[3])
    somewhere = max(games for games, _ in population.contexts.values())
    assert population.everywhere[0] <= somewhere <= funnel["count"].iat[1]
    strict = small.replace(test=[{"quantity": "at_most", "below": 0.0001}])
    assert run_claim(strict, RunOptions(size=0.125)).judgement.kind == "fails"


def population(
    *,
    agents: int = 1000,
    misaligned: int = 100,
    everywhere: tuple[int, int] = (100, 2),
    eight: int = 3,
    near: tuple[int, int] = (200, 20),
    both: dict[tuple[str, str], int] | None = None,
) -> Population:
    """Return a population whose counts are known: each term but the first is met by half.

    `near` is how many are near the worst case, of all and of those that game everywhere.
    """
    alone = [agents, 400, everywhere[0], misaligned, *[agents // 2] * 7, 9]
    count = [agents, 400, *everywhere, *[0] * 8]
    stages = pd.DataFrame({"stage": STAGES, "count": count, "alone": alone, "agents": agents})
    contexts = {"one": (200, 100), "two": (200, 10)}
    return Population(
        stages, eight, 9, 1, everywhere, contexts,
        near=(agents, near[0]), near_everywhere=(everywhere[0], near[1]), both=both or {},
    )  # fmt: skip


def test_a_population_is_counted_in_every_way() -> None:
    """Four agents: all eight terms without gaming, the same with it, and two that lack some."""
    met = np.ones((4, len(TERMS)), dtype=bool)
    met[2, TERMS.index("opacity")] = met[3, TERMS.index("misalignment")] = False
    now = xr.Dataset(
        {
            "reach": ("agent", [0.0, 1.0, 1.0, 0.5]),
            "gaming_rate": (("agent", "context"), [[0, 0], [0.9, 0.5], [0.9, 0.9], [0.9, 0.49]]),
        },
        coords={"context": ["one", "two"]},
    )
    result = count_population(population().stages, now, met, np.array([True, False, True, True]))
    assert (result.eight, result.attempts, result.attempts_eight) == (2, 3, 1)
    assert result.everywhere == (2, 2)
    assert result.contexts == {"one": (3, 2), "two": (2, 2)}
    assert (result.near, result.near_everywhere) == ((4, 4), (2, 2))
    assert result.both["opacity", "sandbagging"] == 3
    assert result.both["misalignment", "opacity"] == 2
    assert len(result.both) == len(TERMS) * (len(TERMS) - 1) / 2
    met[3, :NEAR] = False
    met[3, NEAR:] = True
    assert count_population(result.stages, now, met, met[:, 0]).near == (4, 4)
    met[3, NEAR] = False  # one more than an agent near the worst case may lack
    assert count_population(result.stages, now, met, met[:, 0]).near == (4, 3)


def test_independence_is_the_product_of_shares() -> None:
    assert population().if_independent == pytest.approx(1000 * 0.1 * 0.5**7)
    first, second = population().steps[:2]
    assert first.names == ("games_everywhere", "misalignment")
    assert first.both == 2
    assert first.expected == pytest.approx(100 * 0.1)
    assert (second.both, second.expected) == (0, 1.0)


def test_pairs_of_terms_are_compared_with_independence() -> None:
    both = {
        ("opacity", "sandbagging"): 100,  # 250 expected
        ("composure", "coordination"): 240,  # 250 expected
        ("misalignment", "opacity"): 55,  # 50 expected
    }
    pairs = population(both=both).together
    assert [pair.expected for pair in pairs] == [250.0, 250.0, 50.0]
    assert [pair.beyond_chance(3) for pair in pairs] == [True, False, False]
    rare = population(misaligned=9, both={**both, ("misalignment", "opacity"): 0})
    assert ("misalignment", "opacity") not in [pair.names for pair in rare.together]  # 4.5 expected


@pytest.mark.parametrize(
    ("group", "verdict"),
    [((100, 2), "less"), ((100, 40), "more"), ((10, 0), "within chance"), ((0, 0), "undefined")],
)
def test_a_group_is_compared_with_all_agents(group: tuple[int, int], verdict: str) -> None:
    assert differs(group, (1000, 100)) == verdict
    assert differs(group, (1000, 0)) == "undefined"


def test_beyond_chance_is_fishers_exact_test() -> None:
    """Of ten agents five meet each: that none meets both has the chance 1 in 252."""
    none = Together(("a", "b"), 5, 5, 0, 10)
    assert none.beyond_chance(6)  # 6 / 252 = 0.0238
    assert not none.beyond_chance(7)  # 7 / 252 = 0.0278
    every = Together(("a", "b"), 5, 5, 5, 10)  # as likely as none
    assert every.beyond_chance(6)
    assert not every.beyond_chance(7)
    assert not Together(("a", "b"), 5, 5, 2, 10).beyond_chance()


def test_a_figure_names_only_what_is_in_it_and_wraps_long_labels() -> None:
    label = "share in the worst case (upper end of its interval) over share that games (lower end)"
    assert len(label) > 60
    for edge, names in ((-1.0, ["true"]), (0.5, ["true", "not true"]), (2.0, ["not true"])):
        measure = {"study": "toy", "quantities": {"y": {"label": label, "columns": ["y"]}}}
        claim = toy({"above": edge}, measure=measure)
        measured = numbers()
        figure = claim_figure(ClaimResult(claim, measured, judge(claim, measured)))
        assert [text.get_text() for text in figure.legends[0].get_texts()] == names
        shown = figure.axes[0].get_xlabel()
        assert shown.replace("\n", " ") == label
        figure.draw_without_rendering()
        box, panel = figure.axes[0].xaxis.label.get_window_extent(), figure.axes[0].bbox
        assert box.x0 >= 0
        assert box.x1 <= figure.axes[1].bbox.x0
        assert box.width <= 1.1 * panel.width


def test_the_funnel_is_drawn_without_rings_and_bars_of_nobody() -> None:
    figure = funnels_figure({"one": population(), "two": population(everywhere=(0, 0))})
    assert len(figure.axes) == 2
    for ax, (every, bad) in zip(figure.axes, ((100, 2), (0, 0)), strict=True):
        counts = [1000, 400, every, bad]
        assert len(ax.patches) == sum(count > 0 for count in counts)
        assert (np.asarray(ax.lines[0].get_xdata()) > 0).all()
        texts = [text.get_text() for text in ax.texts]
        assert {"1,000", "400", "500", str(every)} <= {*texts}
    title = figure.get_suptitle().replace("\n", " ")
    assert "1,000 agents, 400 game somewhere and 0 to 100 everywhere" in title


def test_the_same_seed_is_the_same_answer_and_another_is_not() -> None:
    claim = CLAIMS["causal"]
    one, two = run_claim(claim, SMALL), run_claim(claim, SMALL)
    pd.testing.assert_frame_equal(one.frame(), two.frame(), check_exact=True)
    other = run_claim(claim, RunOptions(size=0.01, seed=1))
    assert not one.measured.axes.equals(other.measured.axes)


def test_points_of_a_smaller_run_are_those_of_the_larger(tmp_path: Path) -> None:
    region = CLAIMS["example1"].region
    few, many = design_of(region, RunOptions(size=0.01)), design_of(region, RunOptions(size=0.02))
    assert few is not None
    assert many is not None
    a, b = few.at(np.arange(len(few))), many.at(np.arange(len(few)))
    assert len(many) == 2 * len(few)
    for key in few.keys:
        np.testing.assert_array_equal(a[key], b[key])


# ----------------------------------------------------------------------------------- the command


def test_a_claim_is_run_once_and_then_read(call: Call) -> None:
    first = call("only=example2", "size=0.01", "store=kept", name="claims")
    assert first.status == 0
    data = first.json("example2.json")
    assert data["verdict"] in ("holds", "depends", "fails", "untried")
    assert data["read_otherwise"] == []
    assert data["command"] == "python experiments/claims only=example2 size=0.01"
    names = {path.name for path in first.files() if "kept" not in path.parts}
    assert {"example2.csv", "example2.json", "example2.svg", "claims.csv", "summary.json"} <= names
    times = {path: path.stat().st_mtime_ns for path in Path("kept").rglob("summary/*.parquet")}
    again = call("only=[example2]", "size=0.01", "store=kept", "hydra.run.dir=again", name="claims")
    assert again.status == 0
    assert times == {path: path.stat().st_mtime_ns for path in times}
    assert json.loads(Path("again/example2.json").read_text(encoding="utf-8")) == data


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("only=footnot4", "did you mean 'footnote4'?"),
        ("folder=nowhere", "no folder"),
        ("page=/no/such/place/report.html", "page: got '/no/such/place/report.html': there is no"),
        ("page=report.pdf", "page: got 'report.pdf': must be a file that ends in .html"),
    ],
)
def test_the_study_refuses_in_one_line(call: Call, setting: str, says: str) -> None:
    assert_refused(call(setting, name="claims"), says)
