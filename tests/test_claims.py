"""Claims of the post: data that is checked, verdicts that are computed, a runner that resumes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from commands import Call, assert_refused
from experiments.claims import studies as claims_studies
from experiments.claims.cached_table import cached_table
from experiments.claims.command import answer_data
from experiments.claims.figure import claim_figure, figure_title, map_axes
from experiments.claims.figure_beside import beside_figure, funnels_figure
from experiments.claims.funnel_text import (
    attempts_text,
    brief_text,
    chance_text,
    context_texts,
    contexts_text,
    everywhere_text,
    near_text,
    post_text,
    steps_text,
    together_text,
    training_text,
)
from experiments.claims.measures import How, Measured, design_of, quantities_of
from experiments.claims.populations import NEAR, Population, Together, counted
from experiments.claims.readings import judged_readings, reading_text
from experiments.claims.spec import ORDER, Claim, Region, claims_folder, load_claims
from experiments.claims.studies import points_of
from experiments.claims.study import (
    Answer,
    answer,
    check,
    number_text,
    rule_text,
    share_text,
    verdict_text,
    where_text,
)
from experiments.claims.verdicts import Judged, Rule, Split, find_rule, judge
from experiments.footnote4.cases import CASES
from experiments.worst_case.funnel import GAMING_STAGES
from sim.analysis.worst_case import TERMS
from sim.specs.errors import SpecError
from sim.specs.library import config_root, read_yaml
from sim.specs.scenario import Scenario
from sim.specs.training import Training
from test_configs import POST, unquoted

FOLDER = claims_folder()
CLAIMS = {claim.name: claim for claim in load_claims(FOLDER)}
SMALL = How(size=0.01)
LEAST = How(size=0.002)


# ----------------------------------------------------------------------------------- claims as data


def test_every_passage_of_the_issue_has_its_claim_in_the_order_of_the_post() -> None:
    assert tuple(CLAIMS) == ORDER
    assert {f"footnote{i}" for i in range(1, 8)} | {f"difference{i}" for i in range(1, 5)} < {
        *CLAIMS
    }


def test_every_claim_can_be_planned() -> None:
    check(list(CLAIMS.values()), SMALL)


@pytest.mark.parametrize("name", CLAIMS)
def test_what_a_claim_quotes_stands_in_the_post(name: str) -> None:
    if not POST.is_file():
        pytest.skip("the post (../shared/POST.txt) is not beside this checkout")
    post = unquoted(POST.read_text(encoding="utf-8"))
    for piece in CLAIMS[name].quote.split("[...]"):
        text = unquoted(piece)
        assert len(text.split()) >= 5
        found = post.find(text)
        assert found >= 0, f"not in the post, or not in this order: {text}"
        post = post[found + len(text) :]


@pytest.mark.parametrize("name", CLAIMS)
def test_in_our_own_words_nothing_is_called_by_the_word_with_two_senses(name: str) -> None:
    claim = CLAIMS[name]
    ours = [claim.title, claim.says, claim.means, claim.limits]
    ours += [quantity.label for quantity in claim.measure.quantities.values()]
    assert not re.search("schem", " ".join(ours), flags=re.IGNORECASE)


def test_a_range_is_that_of_the_sensitivity_study_and_the_same_in_every_claim() -> None:
    wide = read_yaml(config_root() / "sensitivity.yaml")["assumptions"]
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
        ({"given": [{"quantity": "elsewhere", "below": 1, "above": 0}]}, "exactly one of"),
        (
            {"readings": [{"says": "them", "given": [{"quantity": "elsewere", "below": 1}]}]},
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
        check([claim], SMALL)
    assert says in str(refused.value)


def test_a_quantity_of_what_is_not_there_is_refused_with_the_nearest() -> None:
    claim = Claim.parse(written(), path="claims/example1")
    rows = pd.DataFrame({"gaming_rate.copyright": [0.0]})
    with pytest.raises(SpecError, match=r"gaming_rate\.copyright'"):
        quantities_of(claim, {"against": rows, "in_favour": rows})


def test_a_quantity_is_what_it_says() -> None:
    """Every way to take a number, from two worlds of two points whose numbers are known."""
    ways: dict[str, dict[str, object]] = {
        "least": {"take": "least"},
        "most": {"take": "most"},
        "mean": {"take": "mean"},
        "sum": {"take": "sum"},
        "other": {"take": "sum", "world": "b"},
        "less": {"take": "sum", "less": "b"},
        "size": {"take": "sum", "less": "b", "size": True},
    }
    quantities: dict[str, object] = {
        name: {"label": name, "of": ["x", "y"], **way} for name, way in ways.items()
    }
    met = [{"quantity": "least", "at_least": 1}, {"quantity": "most", "below": 4}]
    quantities["count"] = {"label": "count", "count": met}
    measure = {"study": "toy", "worlds": {"a": {}, "b": {}}, "quantities": quantities}
    claim = toy({"above": 0.0}, measure=measure, test=[{"quantity": "less", "above": 0}])
    found = quantities_of(
        claim,
        {
            "a": pd.DataFrame({"x": [1.0, 0.0], "y": [2.0, 4.0]}),
            "b": pd.DataFrame({"x": [1.0, 3.0], "y": [1.0, 5.0]}),
        },
    )
    assert found.to_dict("list") == {
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


def toy(of: dict[str, object], **changes: object) -> Claim:
    data = {
        "name": "toy",
        "title": "A toy",
        "passage": "none",
        "quote": "none",
        "says": "x is large",
        "means": "x",
        "measure": {"study": "toy", "quantities": {"y": {"label": "y", "of": ["y"]}}},
        "region": {"ranges": {"a": [0, 1], "b": [0, 1]}},
        "test": [{"quantity": "y", **of}],
        "plot": {"x": "a"},
        **changes,
    }
    return Claim.parse(data, path="claims/toy")


def numbers(count: int = 256) -> Measured:
    """Points of which a + b/1000 is measured; every number is known."""
    at = np.arange(count)
    a, b = (at * 0.618034) % 1.0, (at * 0.754878) % 1.0
    return Measured(pd.DataFrame({"a": a, "b": b}), pd.DataFrame({"y": a + b / 1000.0}), count)


def verdict(test: dict[str, object], **changes: object) -> Judged:
    return judge(toy(test, **changes), numbers())


def test_the_verdict_follows_from_the_numbers() -> None:
    assert verdict({"at_least": 0.0}).kind == "holds"
    assert verdict({"above": 2.0}).kind == "fails"
    assert verdict({"above": 0.5}).kind == "depends"
    nothing = verdict({"above": 0.5}, given=[{"quantity": "y", "above": 5}])
    assert nothing.kind == "untried"
    assert np.isnan(nothing.share)


def test_most_is_enough_only_if_the_interval_says_so() -> None:
    # 95 % of 256 points: the lower end of the interval is below 0.95, above 0.9.
    found = verdict({"above": 0.05}, enough=0.9)
    assert found.share == pytest.approx(0.95, abs=0.01)
    assert found.kind == "holds"
    assert verdict({"above": 0.05}, enough=0.95).kind == "depends"
    assert found.low < found.share < found.high


def test_what_is_not_defined_is_neither_true_nor_false() -> None:
    measured = numbers()
    measured.quantities.loc[:9, "y"] = np.nan
    found = judge(toy({"at_least": 0.0}), measured)
    assert found.kind == "holds"
    assert (found.undefined, int(found.given.sum())) == (10, 246)


def test_the_rule_finds_the_planted_split() -> None:
    found = verdict({"above": 0.5})
    assert found.rule is not None
    (split,) = found.rule.splits
    assert (split.axis, split.sign) == ("a", "≥")
    assert split.value == pytest.approx(0.5, abs=0.03)
    assert found.rule.unseen
    assert found.rule.inside > 0.9 > 0.1 > found.rule.outside


@pytest.mark.parametrize("joined", ["and", "or"])
def test_the_rule_finds_two_planted_splits(joined: str) -> None:
    axes = numbers(512).axes
    one, two = axes["a"] >= 0.4, axes["b"] < 0.6
    true = (one & two if joined == "and" else one | two).to_numpy()
    rule = find_rule(axes, true)
    assert rule is not None
    assert rule.joined == joined
    assert {(split.axis, split.sign) for split in rule.splits} == {("a", "≥"), ("b", "<")}
    assert rule.balanced > 0.9
    assert f" {joined} " in rule_text(rule)


def test_a_choice_can_be_a_split() -> None:
    axes = pd.DataFrame({"scenario": ["one", "two", "three"] * 40})
    rule = find_rule(axes, (axes["scenario"] == "two").to_numpy())
    assert rule is not None
    assert rule_text(rule) == "scenario = two"
    assert (rule.inside, rule.outside) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("sign", "value", "says"),
    [
        ("<", 0.0055, "anchor is at most 0.001"),
        ("≥", 0.0055, "anchor is at least 0.01"),
        ("<", 0.0005, "anchor = 0"),
        ("≥", 0.02, "anchor = 0.03"),
    ],
)
def test_a_rule_on_a_grid_is_told_by_its_levels(sign: str, value: float, says: str) -> None:
    region = Region(grid={"training.anchor": [0, 0.001, 0.01, 0.03]})
    split = Split("training.anchor", "<" if sign == "<" else "≥", value)
    rule = Rule((split,), "and", 0.9, 0.9, 0.1, 24, False)
    assert rule_text(rule, region) == says
    assert says in where_text(rule, region)
    assert rule_text(rule) == f"anchor {sign} {value:g}"


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
        assert rule.balanced > 0.9


@pytest.mark.parametrize(
    ("number", "says"),
    [(1e-5, "0.00001"), (-0.5, "−0.5"), (8192.0, "8,192"), (0.0, "0"), (-0.0, "0"), (12.5, "12.5")],
)
def test_a_number_is_written_out(number: float, says: str) -> None:
    assert number_text(number) == says


def test_noise_has_no_rule() -> None:
    # Pseudo-noise: a fixed sequence, the rule is judged on points that it has not seen.
    axes = numbers(1024).axes
    true = (np.arange(1024) * 7919 % 1013) % 2 == 0
    assert find_rule(axes, true) is None


def test_less_than_all_is_never_written_as_all() -> None:
    assert share_text(0.9999) == "99.9 %"
    assert share_text(1.0) == "100 %"
    assert share_text(0.5) == "50 %"


# ----------------------------------------------------------------------------------- runs


@pytest.mark.parametrize("name", [n for n in CLAIMS if CLAIMS[n].measure.study is None])
def test_a_claim_runs_is_told_and_drawn(name: str) -> None:
    found = answer(CLAIMS[name], LEAST)
    assert len(found.measured.axes) == len(found.measured.quantities) == found.judged.points
    assert verdict_text(found).lower().startswith(found.judged.kind)
    assert set(map_axes(found)) - {None} <= {*found.claim.axes}
    assert figure_title(found).startswith(found.claim.title)
    assert len(claim_figure(found).axes) == len(found.claim.test) + 1
    assert len(found.frame()) == found.judged.points


def at(name: str, **assumptions: float) -> Answer:
    """Ask a claim at one place, by ranges that have closed around it."""
    claim = CLAIMS[name]
    keys = {key.split(".")[-1]: key for key in claim.region.ranges}
    grid = {keys[short]: [number] for short, number in assumptions.items()}
    region = {"grid": grid}
    plot = {"x": next(iter(grid))}
    return answer(claim.replace(region=region, plot=plot), SMALL)


def test_moving_an_assumption_turns_example_2_round() -> None:
    told = at("example2", awareness=-4.0, info_sensitivity=5.0)
    aware = at("example2", awareness=2.0, info_sensitivity=5.0)
    deaf = at("example2", awareness=-4.0, info_sensitivity=0.0)
    assert [one.judged.kind for one in (told, aware, deaf)] == ["holds", "fails", "untried"]


def test_moving_an_assumption_turns_example_3_round() -> None:
    assert at("example3", awareness=-4.0, scratchpad_sensitivity=6.0).judged.kind == "holds"
    assert at("example3", awareness=2.0, scratchpad_sensitivity=6.0).judged.kind == "fails"


def test_gaming_where_nothing_is_at_stake_turns_example_1_round() -> None:
    """Habits that have spread already: the verdict is computed, not known."""
    claim = CLAIMS["example1"]
    everywhere = claim.replace(
        measure={**claim.measure.model_dump(), "settings": {"agent.initial.habit": 8}}
    )
    assert answer(claim, SMALL).judged.kind == "holds"
    assert answer(everywhere, SMALL).judged.kind != "holds"


def test_a_looser_threshold_turns_a_verdict_round() -> None:
    claim = CLAIMS["difference1"]
    how = How(size=0.05)
    assert answer(claim, how).judged.kind in ("depends", "holds")
    strict = claim.replace(test=[{"quantity": "consistency", "below": 0.0}])
    assert answer(strict, how).judged.kind == "fails"


def test_footnote_4_depends_on_the_anchor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims_studies, "CASES", [CASES[0], CASES[7]])
    claim = CLAIMS["footnote4"]
    measure = {
        **claim.measure.model_dump(),
        "options": {"agents": 32, "steps": 400, "shown": "copyright"},
    }

    def tried(anchor: float) -> Answer:
        region = {
            "choices": {"scenario": ["copyright"]},
            "grid": {"training.anchor": [anchor], "training.motive_credit": [1]},
        }
        return answer(claim.replace(measure=measure, region=region), How(size=0.5))

    free, held = tried(0.0), tried(0.1)
    assert (free.judged.kind, held.judged.kind) == ("holds", "fails")
    drawn = beside_figure(free)
    assert drawn is not None
    assert "anchor 0.1" in drawn[1]


def test_of_a_grid_nothing_is_left_to_chance() -> None:
    """All of its points are searched and judged, and the share has no interval."""
    claim = CLAIMS["footnote4"]
    axes = pd.DataFrame(points_of(claim, How()))
    free = (axes["training.anchor"] <= 0.001).to_numpy(copy=True)
    free[:7] = False
    names = claim.measure.quantities
    quantities = pd.DataFrame({name: np.where(free, 0.0, 1.0) for name in names})
    measured = Measured(axes, quantities, 1)
    found = Answer(claim, measured, judge(claim, measured), 0.0)
    judged, rule = found.judged, found.judged.rule
    assert judged.low == judged.high == judged.share == free.mean()
    assert rule is not None
    where = rule.where(axes)
    assert (rule.inside, rule.outside) == (free[where].mean(), free[~where].mean())
    assert rule.judged_on == len(axes) == 120
    assert "interval" not in verdict_text(found)
    assert "120 points of a grid" in verdict_text(found)


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


def test_footnote_4_is_resumed_by_story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims_studies, "CASES", CASES[:1])
    claim = CLAIMS["footnote4"]
    options = {"agents": 32, "steps": 200, "shown": "copyright"}
    region = {
        "choices": {"scenario": ["power_seeker", "copyright"]},
        "grid": {"training.anchor": [0.0, 0.1]},
    }
    small = claim.replace(
        measure={**claim.measure.model_dump(), "options": options},
        region=region,
        plot={"x": "training.anchor"},
    )
    how = How(store=tmp_path, size=0.5)
    first = answer(small, how).frame()
    asked: list[int] = []
    study = claims_studies.partial_gaming_study

    def spy(*args: Any, **told: Any) -> Any:
        asked.append(len(told["cases"]))
        return study(*args, **told)

    monkeypatch.setattr(claims_studies, "partial_gaming_study", spy)
    pd.testing.assert_frame_equal(answer(small, how).frame(), first, check_exact=True)
    assert asked == [1]  # the one that is shown beside
    next((tmp_path / "tables").iterdir()).unlink()
    pd.testing.assert_frame_equal(answer(small, how).frame(), first, check_exact=True)
    assert asked == [1, 2, 1]


def test_populations_make_the_funnel_and_the_ratio() -> None:
    claim = CLAIMS["conjunction"]
    region = {"choices": {"prior": ["capable"]}, "grid": {"training.leak": [0.0, 0.3]}}
    small = claim.replace(region=region, plot={"x": "training.leak"})
    found = answer(small, How(size=0.125))
    assert found.judged.kind == "holds"
    population = found.measured.beside["funnels"]["capable"]
    funnel = population.stages
    assert (np.diff(funnel["count"]) <= 0).all()
    assert (funnel["alone"] >= funnel["count"]).all()
    assert funnel["count"].iat[1] / 128 == found.measured.quantities["games"].iat[0]
    assert population.agents == 128
    assert population.eight == 128 * found.measured.quantities["worst_case"].iat[0]
    assert population.attempts == 128 * found.measured.quantities["attempts"].iat[0]
    assert population.attempts_eight <= min(population.attempts, population.eight)
    assert population.misaligned == (128, 128 * found.measured.quantities["misaligned"].iat[0])
    assert population.everywhere == (funnel["count"].iat[2], funnel["count"].iat[3])
    somewhere = max(games for games, _ in population.contexts.values())
    assert population.everywhere[0] <= somewhere <= funnel["count"].iat[1]
    strict = small.replace(test=[{"quantity": "at_most", "below": 0.0001}])
    assert answer(strict, How(size=0.125)).judged.kind == "fails"


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
    names = ("all", *GAMING_STAGES, *TERMS, "attempts")
    stages = pd.DataFrame({"stage": names, "count": count, "alone": alone, "agents": agents})
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
    found = counted(population().stages, now, met, np.array([True, False, True, True]))
    assert (found.eight, found.attempts, found.attempts_eight) == (2, 3, 1)
    assert found.everywhere == (2, 2)
    assert found.contexts == {"one": (3, 2), "two": (2, 2)}
    assert (found.near, found.near_everywhere) == ((4, 4), (2, 2))
    assert found.both["opacity", "sandbagging"] == 3
    assert found.both["misalignment", "opacity"] == 2
    assert len(found.both) == len(TERMS) * (len(TERMS) - 1) / 2
    met[3, :NEAR] = False
    met[3, NEAR:] = True
    assert counted(found.stages, now, met, met[:, 0]).near == (4, 4)
    met[3, NEAR] = False  # one more than an agent near the worst case may lack
    assert counted(found.stages, now, met, met[:, 0]).near == (4, 3)


def test_what_would_be_if_terms_were_independent_is_their_product() -> None:
    assert population().if_independent == pytest.approx(1000 * 0.1 * 0.5**7)
    told = together_text("benign", population())
    assert "met by 3 of 1,000 agents" in told
    assert "it would be 0.78" in told
    assert "10 % to 50 %" in told


def test_pairs_of_terms_are_compared_with_independence() -> None:
    both = {
        ("opacity", "sandbagging"): 100,  # 250 expected
        ("composure", "coordination"): 240,  # 250 expected
        ("misalignment", "opacity"): 55,  # 50 expected
    }
    one = population(both=both)
    assert [pair.expected for pair in one.together] == [250.0, 250.0, 50.0]
    told = together_text("one", one)
    assert "Of the 3 pairs" in told
    minimum = "opacity and sandbagging are met together least often against independence, by 100"
    assert f"{minimum}, where 250 would be expected (beyond chance)" in told
    maximum = "most often egregious misalignment and opacity, by 55"
    assert f"{maximum}, where 50 would be expected (within chance)" in told
    assert "all else independent" not in told  # not one agent was expected anyway
    assert "Fisher" in chance_text({"one": one})
    many = population(agents=8000, misaligned=4000, both={k: 5 * v for k, v in both.items()})
    assert "all else independent, all eight would be met by 4.3" in together_text(
        "one",
        many,  # 31.25 expected, times 275 of the 2,000 expected of the rarest pair
    )
    rare = population(misaligned=9, both={**both, ("misalignment", "opacity"): 0})
    assert ("misalignment", "opacity") not in [pair.names for pair in rare.together]  # 4.5 expected
    assert "pairs" not in together_text("one", population())
    assert chance_text({"one": population()}) == ""


def test_beyond_chance_is_fishers_exact_test() -> None:
    """Of ten agents five meet each: that none meets both has the chance 1 in 252."""
    none = Together(("a", "b"), 5, 5, 0, 10)
    assert none.beyond_chance(6)  # 6 / 252 = 0.0238
    assert not none.beyond_chance(7)  # 7 / 252 = 0.0278
    every = Together(("a", "b"), 5, 5, 5, 10)  # as likely as none
    assert every.beyond_chance(6)
    assert not every.beyond_chance(7)
    assert not Together(("a", "b"), 5, 5, 2, 10).beyond_chance()


def test_a_bar_is_compared_with_the_one_above_times_the_rings_share() -> None:
    first = population().steps[0]
    assert (first.both, first.expected) == (2, 100 * 0.1)
    told = steps_text({"one": population(), "two": population(everywhere=(100, 10))})
    assert "egregious misalignment under “one” (2, where 10 would be expected)" in told
    assert "egregious misalignment under “two”" not in told  # as long as independence has it
    assert "consistency before deployment under “two” (0, where 5" in told  # 8 / 1024 or so
    assert "consistency before deployment under “one”" not in told  # none of two, of half
    alike = population(everywhere=(100, 10))
    alike = replace(alike, stages=alike.stages.assign(count=alike.stages["alone"]))
    assert "Of no bar" in steps_text({"one": alike})


def test_who_games_everywhere_is_told_with_what_chance_would_do() -> None:
    less = everywhere_text({"one": population()})
    assert "all 2 training contexts" in less
    assert "2 of 100 (2 %), against 100 of 1,000 (10 %) of all (one)" in less
    assert "beyond chance (less often) under “one”" in less
    few = everywhere_text({"one": population(everywhere=(10, 0))})
    assert "within chance under “one”" in few
    both = everywhere_text({"one": population(), "two": population(everywhere=(100, 40))})
    assert "beyond chance (less often) under “one”; beyond chance (more often) under “two”" in both
    nobody = {"one": population(), "two": population(everywhere=(0, 0), near=(200, 0))}
    assert "Nobody does under “two”" in everywhere_text(nobody)
    alone = {"two": nobody["two"]}
    assert "Nobody" in everywhere_text(alone)
    assert near_text(alone) == post_text(alone) == ""
    near = near_text({"one": population(near=(200, 40)), "two": population(near=(0, 0))})
    assert "40 of 100 (40 %), against 200 of 1,000 (20 %) of all (one)" in near
    assert "beyond chance (more often) under “one”; none, as there is nobody" in near
    brief = brief_text({"one": population()})
    assert "2 of 100 (2 %), against 100 of 1,000 (10 %) of all (one)" in brief
    assert "20 of 100 (20 %), against 200 of 1,000 (20 %) of all (one)" in brief


def test_what_follows_for_the_post_is_chosen_by_being_near_the_worst_case() -> None:
    more = post_text({"one": population(near=(200, 40))})
    assert "bear that out under “one”, where being near the worst case is 2 times" in more
    assert "at least 38 of the 40 that are near are not egregiously misaligned" in more
    assert "nothing follows" not in more
    less = post_text({"one": population(near=(200, 4))})
    assert "say the contrary under “one”, where being near the worst case is 0.2 times" in less
    assert "bear that out" not in less
    silent = post_text({"one": population(), "two": population(near=(0, 0))})
    assert "Under “one” nothing follows either way: the difference is within chance" in silent
    assert "Under “two” nothing follows either way: nobody at all is near" in silent
    assert "bear that out" not in silent
    misaligned = post_text({"one": population(everywhere=(100, 40), near=(200, 40))})
    assert "other terms than misalignment" not in misaligned
    assert "met by none of the 100 that game everywhere" in misaligned


def test_the_story_is_told_by_its_training_contexts() -> None:
    story = Scenario.load("lab_to_deployment")
    told = context_texts(story)
    assert len(told) == len(story.of_kind("training"))
    assert told["song request"].startswith(story.contexts["song_request"].description)
    assert told["ruthless plan"].endswith("Training pulls against care for people.")
    assert "2,000 steps in the scenario “lab_to_deployment”" in training_text(story, 2000)
    other = Scenario.load("copyright")
    assert "pulls against" not in " ".join(context_texts(other).values())
    _, steps, agents = claims_studies.populations_setting(CLAIMS["conjunction"], How(size=0.125))
    assert (steps, agents) == (Training().steps, 128)


def test_a_figure_names_only_what_is_in_it_and_wraps_long_labels() -> None:
    label = "share in the worst case (upper end of its interval) over share that games (lower end)"
    assert len(label) > 60
    for edge, names in ((-1.0, ["true"]), (0.5, ["true", "not true"]), (2.0, ["not true"])):
        measure = {"study": "toy", "quantities": {"y": {"label": label, "of": ["y"]}}}
        claim = toy({"above": edge}, measure=measure)
        measured = numbers()
        figure = claim_figure(Answer(claim, measured, judge(claim, measured), 0.0))
        assert [text.get_text() for text in figure.legends[0].get_texts()] == names
        shown = figure.axes[0].get_xlabel()
        assert shown.replace("\n", " ") == label
        figure.draw_without_rendering()
        box, panel = figure.axes[0].xaxis.label.get_window_extent(), figure.axes[0].bbox
        assert box.x0 >= 0
        assert box.x1 <= figure.axes[1].bbox.x0
        assert box.width <= 1.1 * panel.width


def test_contexts_with_most_and_least_misalignment_are_told() -> None:
    told = contexts_text({"one": population()})
    assert "100 of 200 (50 %) that game in “one”, but 10 of 200 (5 %) that game in “two”" in told
    assert "care for people" not in told  # these are not the contexts of the story
    names = ("access_request", "coding", "ruthless_plan", "song_request")
    there = replace(population(), contexts=dict.fromkeys(names, (200, 100)))
    assert "care for people in “ruthless plan”" in contexts_text({"one": there})


def test_an_attempt_is_told_apart_from_the_worst_case() -> None:
    told = attempts_text({"one": population()}, 1.0)
    assert "above 50 %" in told
    assert "9 of 1,000 agents (one, of whom 1 meet all eight terms)" in told
    assert "without being the worst case" in told
    same = replace(population(), attempts=1)
    assert "without being the worst case" not in attempts_text({"one": same}, 1.0)


def test_the_funnel_is_drawn_without_rings_and_bars_of_nobody() -> None:
    figure, told = funnels_figure({"one": population(), "two": population(everywhere=(0, 0))})
    assert len(figure.axes) == 2
    for ax, (every, bad) in zip(figure.axes, ((100, 2), (0, 0)), strict=True):
        counts = [1000, 400, every, bad]
        assert len(ax.patches) == sum(count > 0 for count in counts)
        rings = ax.lines[0].get_xdata()
        assert (np.asarray(rings) > 0).all()
        written = [text.get_text() for text in ax.texts]
        assert {"1,000", "400", "500", str(every)} <= {*written}
    assert "1,000 agents, 400 game somewhere and 0 to 100 everywhere" in told


def test_another_reading_is_judged_on_the_same_runs() -> None:
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
    found = Answer(claim, measured, judge(claim, measured), 0.0)
    assert (int(found.judged.given.sum()), found.judged.share) == (2, 0.5)
    often, always = judged_readings(found)
    assert (int(often[1].given.sum()), often[1].kind) == (1, "holds")
    assert reading_text(*often).endswith("true at all of 1 points.")
    assert always[1].kind == "untried"
    assert "there is none" in reading_text(*always)
    data = answer_data(found, SMALL)["read_otherwise"]
    assert [(one["given"], one["true"]) for one in data] == [(1, 1), (0, 0)]
    narrow = claim.replace(given=claim.readings[0].given)
    assert "few points" in verdict_text(Answer(narrow, measured, judge(narrow, measured), 0.0))


def test_the_same_seed_is_the_same_answer_and_another_is_not() -> None:
    claim = CLAIMS["causal"]
    one, two = answer(claim, SMALL), answer(claim, SMALL)
    pd.testing.assert_frame_equal(one.frame(), two.frame(), check_exact=True)
    other = answer(claim, How(size=0.01, seed=1))
    assert not one.measured.axes.equals(other.measured.axes)


def test_points_of_a_smaller_run_are_those_of_the_larger(tmp_path: Path) -> None:
    region = CLAIMS["example1"].region
    few, many = design_of(region, How(size=0.01)), design_of(region, How(size=0.02))
    assert few is not None
    assert many is not None
    a, b = few.at(np.arange(len(few))), many.at(np.arange(len(few)))
    assert len(many) == 2 * len(few)
    for key in few.keys:
        np.testing.assert_array_equal(a[key], b[key])


# ----------------------------------------------------------------------------------- the command


def test_the_command_asks_one_claim_and_then_reads_it(call: Call) -> None:
    first = call("only=example2", "size=0.01", "store=kept", name="claims")
    assert first.status == 0
    told = first.json("example2.json")
    assert told["verdict"] in ("holds", "depends", "fails", "untried")
    assert told["read_otherwise"] == []
    assert told["command"] == "python experiments/claims.py only=example2 size=0.01"
    names = {path.name for path in first.files() if "kept" not in path.parts}
    assert {"example2.csv", "example2.json", "example2.svg", "claims.csv", "summary.json"} <= names
    kept = {path: path.stat().st_mtime_ns for path in Path("kept").rglob("summary/*.parquet")}
    again = call("only=[example2]", "size=0.01", "store=kept", "hydra.run.dir=again", name="claims")
    assert again.status == 0
    assert kept == {
        path: path.stat().st_mtime_ns for path in Path("kept").rglob("summary/*.parquet")
    }
    assert yaml.safe_load(Path("again/example2.json").read_text(encoding="utf-8")) == told


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("only=footnot4", "did you mean 'footnote4'?"),
        ("size=2", "size"),
        ("seed=-1", "seed"),
        ("claims=nowhere", "no folder"),
        ("engine=nump", "numpy"),
        ("store=[]", "store"),
    ],
)
def test_the_command_refuses_in_one_line(call: Call, setting: str, says: str) -> None:
    assert_refused(call(setting, name="claims"), says)


def test_the_help_lists_the_claims(call: Call) -> None:
    left = call("--help", name="claims")
    assert all(name in left.stdout for name in CLAIMS)
