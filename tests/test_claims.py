"""The claims of the post: what they say, how they are judged, and that each could fail."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments.claims import judge as judging
from experiments.claims.assumptions import Assumptions
from experiments.claims.judge import VERDICTS, Judgement, judge
from experiments.claims.results import default_values, run_claims
from experiments.claims.spec import Claim, Condition, Quantity, claims_folder, load_claims
from experiments.claims.study import check
from sim.specs.errors import SpecError
from test_configs import POST, unquoted

FOLDER = Path(judging.__file__).parent
CLAIMS = {claim.name: claim for claim in load_claims(claims_folder())}
TEXTS = {
    "name": "planted",
    "title": "planted",
    "passage": "none",
    "quote": "none",
    "words": "none",
    "says": "none",
    "means": "none",
    "refuted": {"says": "none", "set": {"a": 1}},
}


def planted(**fields: Any) -> Claim:
    """Return a claim about planted outcomes: that `x` is 1."""
    contrast = {"says": "others", **fields.pop("contrast", {})}
    claim = {**TEXTS, "quantifier": "mostly", "event": ["x >= 0.5"], "contrast": contrast, **fields}
    if "number" in fields:
        del claim["event"]
    return Claim.parse(claim, path="claim")


def draw(
    probability: Callable[[pd.DataFrame], Any], *, cases: int = 8000, seed: int = 0, arms: int = 1
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Return outcomes `x` of planted probability by arm, and three assumptions that may decide."""
    generator = np.random.default_rng(seed)
    assumptions = pd.DataFrame(
        {
            "a": generator.random(cases),
            "b": generator.random(cases),
            "rule": generator.choice(["one", "two"], cases),
        }
    )
    outcomes = {
        name: pd.DataFrame({"x": (generator.random(cases) < probability(assumptions)) * 1.0})
        for name in ("drawn", "twin")[:arms]
    }
    return outcomes, assumptions


# ---------------------------------------------------------------------------------- what they say


def test_what_a_claim_quotes_stands_in_the_post_and_so_do_the_words_that_decide() -> None:
    if not POST.is_file():
        pytest.skip("the post (../shared/POST.txt) is not beside this checkout")
    post = unquoted(POST.read_text(encoding="utf-8"))
    for claim in CLAIMS.values():
        for piece in [*claim.quote.split("[...]"), *re.findall("“([^”]+)”", claim.words)]:
            text = unquoted(piece).strip()
            assert text in post, (claim.name, text)
        assert "“" in claim.words, claim.name


def test_in_our_own_words_nothing_is_called_by_the_word_with_two_senses() -> None:
    for claim in CLAIMS.values():
        own = (claim.title, claim.says, claim.means, claim.limits, claim.refuted.says)
        assert not re.search("schem", " ".join(own), re.IGNORECASE), claim.name


def test_what_nobody_knows_is_in_the_region_of_every_claim() -> None:
    assumptions = Assumptions.load(FOLDER / "assumptions.yaml")
    assert {
        *("training.update_rule", "training.advantages", "training.steps"),
        *("agent.decisiveness", "agent.foresight", "agent.initial.habit"),
        *("agent.initial.log_competence", "training.learning_rate.propensity"),
        *("training.learning_rate.values", "training.learning_rate.habit", "worlds.upholds"),
    } <= set(assumptions.axes)
    for key, default in default_values(assumptions).items():
        if key in assumptions.ranges and default > 0.0:
            assert assumptions.ranges[key].low <= default <= assumptions.ranges[key].high, key


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("conduct = 1", "must be like"),
        ("conduct <= ", "must be like"),
        ("|conduct <= 1", "must be like"),
        ("conduct + alignment > 0", "must be like"),
        ("conduct > much.more.than", "must be like"),
        ("conduct > 1.2.3", "could not convert"),
    ],
)
def test_a_condition_that_cannot_be_read_is_refused_in_a_line(text: str, line: str) -> None:
    with pytest.raises(SpecError, match=line) as error:
        planted(event=[text])
    assert "\n" not in str(error.value)


def test_a_condition_is_met_where_it_says() -> None:
    cases = {
        "drawn": pd.DataFrame({"x": [0.0, 1.0, np.nan], "y": [1.0, 0.5, 0.0]}),
        "twin": pd.DataFrame({"x": [1.0, 1.0, 1.0]}),
    }
    met, known = Condition.read("|x - twin.x| >= 1").evaluate(cases)
    assert met.tolist() == [True, False, False]
    assert known.tolist() == [True, True, False]
    met, _ = Condition.read("x > y").evaluate(cases)
    assert met.tolist() == [False, True, False]
    np.testing.assert_array_equal(Quantity.read("twin.x - y").evaluate(cases), [0.0, 0.5, 1.0])


# ------------------------------------------------------------------------- planted truths, verdicts


@pytest.mark.parametrize(
    ("quantifier", "probability", "verdict"),
    [
        ("mostly", 0.8, "holds"),
        ("mostly", 0.2, "fails"),
        ("always", 0.99, "holds"),
        ("always", 0.8, "fails"),
        ("exists", 0.05, "holds"),
        ("exists", 0.001, "fails"),
    ],
)
def test_the_quantifier_decides_how_frequent_a_planted_event_must_be(
    quantifier: str, probability: float, verdict: str
) -> None:
    """Of 5 seeds all must agree; an interval that misses costs a claim its verdict, not this."""
    for seed in range(5):
        cases, assumptions = draw(lambda a: probability, seed=seed)
        judged = judge(planted(quantifier=quantifier), cases, assumptions)
        assert judged.verdict == verdict, seed


@pytest.mark.parametrize(
    ("limit", "verdict"), [(0.02, "holds"), (0.2, "mostly"), (0.5, "depends"), (0.8, "rarely")]
)
def test_the_verdict_and_the_boundary_are_where_they_were_planted(
    limit: float, verdict: str
) -> None:
    cases, assumptions = draw(lambda a: 1.0 / (1.0 + np.exp(-12.0 * (a["b"] - limit))))
    judged = judge(planted(), cases, assumptions)
    assert judged.verdict == verdict
    assert judged.axes[0] == "b" or verdict == "holds"
    assert judged.share == pytest.approx(1.0 - limit, abs=0.05)


def test_the_interval_of_the_share_has_the_planted_share_in_it() -> None:
    """Of 40 samples at 95 %, fewer than 33 hits have a chance of 1 in 1,000."""
    hits = 0
    for seed in range(40):
        cases, assumptions = draw(
            lambda a: 1.0 / (1.0 + np.exp(-6.0 * (a["a"] + a["b"] - 1.0))), seed=seed, cases=3000
        )
        judged = judge(planted(), cases, assumptions)
        # Cells on the boundary itself count as a whole: half of them are true.
        slack = 0.5 / judging.CELLS
        hits += judged.low - slack <= 0.5 <= judged.high + slack
    assert hits >= 33


def test_few_cases_decide_nothing() -> None:
    cases, assumptions = draw(lambda a: 0.8, cases=90)
    assert judge(planted(), cases, assumptions).verdict == "undecided"
    cases, assumptions = draw(lambda a: 0.5, cases=400)
    assert judge(planted(), cases, assumptions).verdict == "undecided"


def test_no_case_at_all_is_undecided_and_counted() -> None:
    cases, assumptions = draw(lambda a: 0.8)
    cases["drawn"]["y"] = np.nan
    judged = judge(planted(event=["y > 0"]), cases, assumptions)
    assert (judged.verdict, judged.undefined, judged.effect.cases) == ("undecided", 8000, 0)
    judged = judge(planted(among=["x > 2"]), cases, assumptions)
    assert (judged.verdict, judged.undefined, judged.effect.cases) == ("undecided", 0, 0)


def test_some_are_not_ruled_out_by_a_hundred_cases_without_any() -> None:
    for cases, verdict in ((250, "undecided"), (400, "fails")):
        outcomes, assumptions = draw(lambda a: 0.0, cases=cases)
        assert judge(planted(quantifier="exists"), outcomes, assumptions).verdict == verdict
    outcomes, assumptions = draw(lambda a: 0.5, cases=120)
    assert judge(planted(quantifier="exists"), outcomes, assumptions).verdict == "holds"


# ------------------------------------------------------------------------------------ the contrast


@pytest.mark.parametrize("ratio", [False, True])
@pytest.mark.parametrize("events", [0, 1])
def test_what_is_hardly_seen_is_not_more_where_cases_are_fewer(events: int, ratio: bool) -> None:
    cases, assumptions = draw(lambda a: 0.0, cases=3300)
    drawn = cases["drawn"].assign(group=np.arange(3300) < 300)
    drawn.loc[: events - 1, "x"] = 1.0
    claim = planted(
        quantifier="more", ratio=ratio, among=["group > 0"], contrast={"among": ["group <= 0"]}
    )
    assert judge(claim, {"drawn": drawn}, assumptions).verdict == "undecided"


@pytest.mark.parametrize("others", [0, 50])
def test_few_cases_of_the_contrast_decide_nothing(others: int) -> None:
    cases, assumptions = draw(lambda a: 0.8)
    drawn = cases["drawn"].assign(group=np.arange(8000) >= others)
    drawn.loc[: others - 1, "x"] = 0.0
    claim = planted(quantifier="more", among=["group > 0"], contrast={"among": ["group <= 0"]})
    assert judge(claim, {"drawn": drawn}, assumptions).verdict == "undecided"


@pytest.mark.parametrize("ratio", [False, True])
def test_a_contrast_with_itself_is_never_more(ratio: bool) -> None:
    for seed in range(5):
        cases, assumptions = draw(lambda a: 0.2 + 0.6 * a["a"], seed=seed)
        claim = planted(quantifier="more", ratio=ratio, contrast={"event": ["drawn.x >= 0.5"]})
        judged = judge(claim, cases, assumptions)
        assert judged.verdict == "fails"
        assert judged.difference.estimate == (1.0 if ratio else 0.0)


def test_two_draws_of_the_same_chance_hardly_ever_hold() -> None:
    """Of 20 null contrasts at 1 in 40 each, more than 2 that hold: a chance of 1 in 70."""
    held = 0
    for seed in range(20):
        cases, assumptions = draw(lambda a: 0.3, seed=seed, arms=2, cases=4000)
        claim = planted(quantifier="more", contrast={"event": ["twin.x >= 0.5"]})
        held += judge(claim, cases, assumptions).verdict == "holds"
    assert held <= 2


def test_more_than_the_contrast_is_found_with_its_size() -> None:
    cases, assumptions = draw(lambda a: 0.3, arms=2, cases=20000)
    generator = np.random.default_rng(1)
    cases["twin"]["x"] = (generator.random(20000) < 0.1) * 1.0
    claim = planted(quantifier="more", contrast={"event": ["twin.x >= 0.5"]})
    judged = judge(claim, cases, assumptions)
    assert judged.verdict == "holds"
    assert judged.difference.low < 0.2 < judged.difference.high
    by_ratio = judge(claim.replace(ratio=True), cases, assumptions)
    assert by_ratio.verdict == "holds"
    assert by_ratio.difference.low < 3.0 < by_ratio.difference.high
    assert judge(claim.replace(margin=0.3), cases, assumptions).verdict == "fails"


def test_the_interval_of_a_paired_difference_covers_it() -> None:
    """Of 200 intervals at 95 %, fewer than 180 hits have a chance of 1 in 1,000."""
    hits = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        x = generator.normal(size=400)
        cases = {
            "drawn": pd.DataFrame({"x": x + generator.normal(0.5, 0.1, 400)}),
            "twin": pd.DataFrame({"x": x}),
        }
        claim = planted(quantifier="more", number="x", contrast={"number": "twin.x"})
        main, other = (judging.sample_of(group, cases) for group in (claim, claim.reference))
        difference = judging._difference(claim, main, other)
        assert difference.high - difference.low < 0.03  # paired: not that of x itself, 0.28
        hits += difference.low <= 0.5 <= difference.high
    assert hits >= 180


def test_what_decides_is_found_and_moving_it_moves_the_verdict() -> None:
    def probability(assumptions: pd.DataFrame) -> Any:
        return np.where((assumptions["rule"] == "one") & (assumptions["a"] > 0.5), 0.9, 0.1)

    cases, assumptions = draw(probability)
    judged = judge(planted(), cases, assumptions)
    assert set(judged.axes) == {"a", "rule"}
    for rule, verdicts in (("one", {"depends"}), ("two", {"fails"})):
        rows = (assumptions["rule"] == rule).to_numpy()
        some = {"drawn": cases["drawn"][rows].reset_index(drop=True)}
        moved = judge(planted(), some, assumptions[rows].reset_index(drop=True))
        assert moved.verdict in verdicts


def test_a_seed_gives_the_same_verdict_to_the_bit() -> None:
    cases, assumptions = draw(lambda a: 0.2 + 0.6 * a["a"])
    first, second = (judge(planted(), cases, assumptions) for _ in range(2))
    assert (first.share, first.low, first.high) == (second.share, second.low, second.high)
    np.testing.assert_array_equal(first.surface, second.surface)


def test_the_second_density_falls_from_the_default_to_the_ends() -> None:
    cases, assumptions = draw(lambda a: 1.0 / (1.0 + np.exp(-20.0 * (a["a"] - 0.5))))
    judged = judge(planted(), cases, assumptions, defaults={"a": 1.0})
    # Of a triangle from 0 at the left to its top at the right, 3/4 lie right of the middle.
    assert judged.near_defaults == pytest.approx(0.75, abs=0.05)
    assert judged.share == pytest.approx(0.5, abs=0.05)


def test_verdicts_are_symmetric() -> None:
    cases, assumptions = draw(lambda a: 1.0 / (1.0 + np.exp(-12.0 * (a["a"] - 0.2))), cases=20000)
    mirrored = {"holds": "fails", "mostly": "rarely", "depends": "depends"}
    mirrored |= {value: key for key, value in mirrored.items()}
    true = judge(planted(), cases, assumptions)
    false = judge(planted(event=["x < 0.5"]), cases, assumptions)
    assert false.verdict == mirrored[true.verdict] == "rarely"
    assert false.share == pytest.approx(1.0 - true.share, abs=1e-9)


# ------------------------------------------------------------------------------------- every claim


def test_every_claim_has_names_that_exist(tmp_path: Path) -> None:
    check(settings())
    with pytest.raises(SpecError, match=r"no claim is named .*example1"):
        check(settings(only=["exampel1"]))


def settings(**changes: Any) -> Any:
    """Return the study's settings, those of its config.yaml but for some."""
    from experiments.claims.study import Settings
    from sim.specs.library import read_yaml

    own = read_yaml(FOLDER / "config.yaml")
    own.pop("defaults")
    return Settings.parse({**own, "store": None, **changes}, path="claims")


@pytest.mark.parametrize(
    ("fixed", "line"),
    [
        ({"agent.rationalty": 0}, "agent.rationality"),
        ({"worlds.uphold": 1}, "worlds.upholds"),
        ({"training.update_rule": "sgd"}, "policy_gradient"),
        ({"agent.rationality": "high"}, "must be a number"),
        ({"agent.capability.*": float("nan")}, "must be a number"),
        ({"worlds.unwatched": [0]}, "at least one"),
        ({"worlds.upholds": {"kind": "normal"}}, "mean"),
    ],
)
def test_a_number_that_cannot_be_fixed_is_refused_in_a_line(
    fixed: Mapping[str, Any], line: str
) -> None:
    with pytest.raises(SpecError, match=line) as error:
        check(settings(set=fixed))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"ratio": True}, "ratio: is of a comparison"),
        ({"margin": 0.1}, "margin: is of a comparison"),
        ({"at_least": 2}, "at_least: the event has 1"),
    ],
)
def test_a_claim_that_would_mean_nothing_is_refused(fields: dict[str, Any], line: str) -> None:
    with pytest.raises(SpecError, match=line):
        planted(**fields)


@pytest.mark.parametrize(
    ("file", "more", "line"),
    [
        ("mine", "along: [typo.key]", "mine.along: no assumption"),
        ("mine", "name: ../../evil", "mine.name: cannot be set"),
        ('x"onload="', "", "its file's name"),
        ("mine", "refuted: {says: none, set: {training.ancor: 1}}", "mine.refuted.set.training.an"),
        ("order", "order: 1", "must hold a list"),
        ("order", "other: []", "must hold a list"),
    ],
)
def test_mistakes_in_a_claim_of_ones_own_are_refused_in_a_line(
    tmp_path: Path, file: str, more: str, line: str
) -> None:
    text = (claims_folder() / "example3.yaml").read_text(encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    key = more.partition(":")[0] or "none"
    kept = "" if file == "order" else re.sub(rf"(?m)^{key}:.*\n( .*\n)*", "", text)
    (tmp_path / f"{file}.yaml").write_text(f"{kept}\n{more}\n", encoding="utf-8")
    with pytest.raises(SpecError, match=line) as error:
        check(settings(folder=str(tmp_path)))
    assert "\n" not in str(error.value)


def test_no_setting_has_the_name_of_a_group_of_configs() -> None:
    """Hydra takes KEY=VALUE for a choice of a group, so that such a setting cannot be set."""
    groups = {folder.name for folder in (FOLDER.parents[1] / "configs").iterdir()}
    assert groups.isdisjoint(type(settings()).model_fields)


def test_goals_of_a_prior_without_any_cannot_be_fixed(tmp_path: Path) -> None:
    (tmp_path / "plain.yaml").write_text("about: x\nworlds: {training: [2]}\n", encoding="utf-8")
    with pytest.raises(SpecError, match="says nothing of goals"):
        check(settings(worlds=str(tmp_path / "plain.yaml"), set={"goals.sd": 1}))


def test_a_prior_without_worlds_is_refused() -> None:
    with pytest.raises(SpecError, match="says nothing of worlds"):
        check(settings(worlds="uninformed"))


def verdicts_of(size: float, seed: int, **fixed: Any) -> dict[str, Judgement]:
    """Return the judgements of all claims."""
    from experiments.claims.cases import RunOptions
    from sim.specs.prior import Prior

    options = RunOptions(None, size, seed, "auto", fixed)
    results = run_claims(list(CLAIMS.values()), prior=Prior.load("worlds"), options=options)
    return {result.claim.name: result.judgement for result in results.claims}


@pytest.mark.slow
def test_seeds_agree_on_every_claim_that_they_decide() -> None:
    judged = [verdicts_of(0.5, seed) for seed in range(5)]
    for name in CLAIMS:
        decided = {each[name].verdict for each in judged} - {"undecided"}
        assert len(decided) <= 1, (name, decided)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(CLAIMS))
def test_every_claim_turns_where_it_says_that_it_would(name: str) -> None:
    from experiments.claims.cases import RunOptions
    from sim.specs.prior import Prior

    claim = CLAIMS[name]
    ways = []
    for fixed in ({}, claim.refuted.set):
        options = RunOptions(None, 0.25, 0, "auto", fixed)
        results = run_claims([claim], prior=Prior.load("worlds"), options=options)
        ways.append(results.claims[0].judgement)
    drawn, refuted = ways
    places = [VERDICTS.index(judging.word_of(each.share)) for each in ways]
    assert drawn.verdict != refuted.verdict or places[0] != places[1], (drawn.share, refuted.share)
