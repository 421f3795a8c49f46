"""Claims of the post: data that is checked, verdicts that are computed, a runner that resumes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from commands import Call, assert_refused
from sim.analysis.claims import Answer, answer, check, rule_text, share_text, verdict_text
from sim.analysis.claims_measures import How, Measured, design_of, quantities_of
from sim.analysis.claims_verdicts import Judged, find_rule, judge
from sim.plots.claims import claim_figure, figure_title, map_axes
from sim.plots.claims_beside import beside_figure
from sim.spec.claim import ORDER, Claim, claims_folder, load_claims
from sim.spec.errors import SpecError
from sim.spec.library import config_root, read_yaml
from test_configs import POST, unquoted

FOLDER = claims_folder()
CLAIMS = {claim.name: claim for claim in load_claims(FOLDER)}
SMALL = How(size=0.01)


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
    found = answer(CLAIMS[name], SMALL)
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


def test_footnote_4_depends_on_the_anchor() -> None:
    claim = CLAIMS["footnote4"]
    measure = {
        **claim.measure.model_dump(),
        "options": {"agents": 32, "steps": 600, "shown": "copyright"},
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


def test_populations_make_the_funnel_and_the_ratio() -> None:
    claim = CLAIMS["conjunction"]
    region = {"choices": {"prior": ["capable"]}, "grid": {"training.leak": [0.0, 0.3]}}
    small = claim.replace(region=region, plot={"x": "training.leak"})
    found = answer(small, How(size=0.125))
    assert found.judged.kind == "holds"
    funnel = found.measured.beside["funnels"]["capable"]
    assert (np.diff(funnel["count"]) <= 0).all()
    assert (funnel["alone"] >= funnel["count"]).all()
    assert funnel["count"].iat[1] / 128 == found.measured.quantities["games"].iat[0]
    strict = small.replace(test=[{"quantity": "at_most", "below": 0.0001}])
    assert answer(strict, How(size=0.125)).judged.kind == "fails"


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
