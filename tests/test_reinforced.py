"""Training on one prompt: worlds of several prompts, fits, and prompts never trained on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import sim
from experiments.calibration.data import (
    OF_STAGES,
    RATES,
    Calibration,
    Measurements,
    check_measurements,
)
from experiments.calibration.figure import reinforced_figure
from experiments.calibration.fit import Terms
from experiments.calibration.rates import SPREAD, PromptRates
from experiments.calibration.rl import Reinforcement, after, draw, draw_places
from experiments.calibration.rl_fit import (
    RULES,
    Grid,
    Stages,
    Trainer,
    explore,
    learning_rates,
    read_prompts,
    read_stages,
    variants_table,
)
from experiments.calibration.rl_predict import Reinforced, disagreements, envelope, study
from sim.specs.errors import SpecError
from sim.specs.overrides import apply_overrides, read_specs

ROOT = Path(__file__).parent.parent
VALUE, AWARENESS = "agent.initial.values.harmlessness", "agent.initial.awareness"
#: Numbers that all prompts here share.
SHARED = {
    f"{SPREAD} [s]": np.log(0.6),
    "agent.initial.log_competence [s]": 2.0,
    "agent.initial.habit": 2.0,
    "agent.initial.capability.opacity": -2.0,
    "agent.rationality": np.log(20.0),
    "agent.discernment": 3.0,
}
#: Prompts by their places: value, awareness. The first is trained on.
PLACES = {"default": (1.6, -6.5), "milder": (1.1, -6.0), "plainer": (2.0, -4.5)}
GRID = Grid(levels=(0.1, 1.0), ratios=(0.1, 10.0, 9), looks=(8, 1500, 70))


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    text = (ROOT / "configs" / "measured" / "alignment_faking.yaml").read_text(encoding="utf-8")
    return Calibration.parse(yaml.safe_load(text), path="measured").replace(kinds=5)


#: To be planted anew when the calibration is fitted by version 2 of the model.
planted_by_version_1 = pytest.mark.xfail(
    strict=True, reason="planted where the equations of version 1 had decisions between 0 and 1"
)


@pytest.fixture(scope="module")
def rates(calibration: Calibration) -> PromptRates:
    return PromptRates(read_specs("alignment_faking"), calibration)


@pytest.fixture(scope="module")
def terms(calibration: Calibration, rates: PromptRates) -> Terms:
    return Terms(calibration, rates, settings=["s"])


@pytest.fixture(scope="module")
def numbers() -> dict[str, np.ndarray]:
    """Of the prompts, by full key [prompt]."""
    shared = {
        SPREAD: 0.6,
        "agent.initial.log_competence": 2.0,
        "agent.initial.habit": 2.0,
        "agent.initial.capability.opacity": -2.0,
        "agent.rationality": 20.0,
        "agent.discernment": 3.0,
    }
    found = {key: np.full(len(PLACES), number) for key, number in shared.items()}
    places = np.array(list(PLACES.values())).T
    return found | dict(zip((VALUE, AWARENESS), places, strict=True))


def stacked(numbers: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {key: column[None, :] for key, column in numbers.items()}


def table(before: np.ndarray, later: np.ndarray | None, *, error: float = 0.01) -> Measurements:
    """Return a table of stages; `later` may be of fewer prompts, the first ones."""
    rows = []
    for stage, seen in (("pre_rl", before), ("post_rl", later)):
        for prompt, of in zip(PLACES, [] if seen is None else seen, strict=False):
            told = dict(zip(RATES, of, strict=True))
            errors = {f"{rate}_se": error for rate in RATES}
            rows.append({"setting": "s", "prompt": prompt, "stage": stage, **told, **errors})
    return check_measurements(pd.DataFrame(rows), of=OF_STAGES)


def trained(
    rates: PromptRates,
    calibration: Calibration,
    numbers: dict[str, np.ndarray],
    *,
    rule: str = "policy_gradient",
    spread: float = 0.0,
    leak: float = 0.0,
    ratio: float = 1.0,
    steps: int = 300,
) -> np.ndarray:
    """Return the rates of all prompts after training on the first [prompt, rate]."""
    world = Reinforcement(
        rates,
        calibration,
        prompts=len(PLACES),
        spread=spread,
        update_rule=rule,  # type: ignore[arg-type]
    )
    settings = {**learning_rates(np.array([ratio])), "training.leak": np.array([leak])}
    course = world.course(stacked(numbers), settings=settings, steps=[0, steps])
    found: np.ndarray = course.rates[1, 0]
    return found


# --------------------------------------------------------------------------------------- the world


@pytest.mark.parametrize("which", [0, 2])
def test_before_training_rates_are_those_of_prompts_alone(rates, calibration, numbers, which):
    numbers = {**numbers, VALUE: np.array([0.0, -0.4, 2.0])}
    world = Reinforcement(rates, calibration, prompts=len(PLACES), trained=which, spread=0.3)
    course = world.course(stacked(numbers), settings={}, steps=[0])
    np.testing.assert_allclose(course.rates[0, 0], rates(numbers), rtol=0, atol=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_prompts_come_out_as_moments_of_training_tell(rates, calibration, numbers, rule):
    world = Reinforcement(rates, calibration, prompts=len(PLACES), spread=0.4, update_rule=rule)
    settings = {
        **learning_rates(np.array([0.3, 3.0])),
        "training.leak": np.array([0.2]),
    }
    course = world.course(stacked(numbers), settings=settings, steps=[0, 40, 200])
    changed = np.abs(course.rates[2] - course.rates[0]).max()
    assert changed > 0.05
    for step in (1, 2):
        moments = course.moments.take((step, slice(None)))
        for p in range(len(PLACES)):
            own = {key: column[p : p + 1] for key, column in numbers.items()}
            then = after(rates, calibration, own, moments, is_trained=p == 0)
            np.testing.assert_allclose(rates(then), course.rates[step, :, p], rtol=0, atol=1e-12)


def test_specs_of_a_world_are_those_of_its_courses(rates, calibration, numbers):
    world = Reinforcement(rates, calibration, prompts=len(PLACES), spread=0.4)
    settings = learning_rates(np.array([2.0]))
    course = world.course(stacked(numbers), settings=settings, steps=[60])
    plain = {key: float(column[0]) for key, column in settings.items()}
    specs = apply_overrides(world.specs_of(stacked(numbers)), {**plain, "training.steps": 60})
    run = sim.simulate(
        specs.scenario, agent=specs.agent, training=specs.training, record_every=60
    ).data
    kinds = len(rates.nodes)
    refused = run["policy"].values[-1, 0, :, 0].reshape(len(PLACES), 2, kinds) @ rates.weights
    np.testing.assert_allclose(course.rates[0, 0, :, 1:], refused, rtol=0, atol=1e-12)


def test_with_full_spread_an_equal_prompt_comes_out_as_the_one_trained_on(
    rates, calibration, numbers
):
    alike = {key: np.full(2, column[0]) for key, column in numbers.items()}
    gaps = {}
    for spread in (0.0, 1.0):
        world = Reinforcement(
            rates, calibration, prompts=2, spread=spread, update_rule="natural_gradient"
        )
        course = world.course(
            stacked(alike), settings=learning_rates(np.array([0.3])), steps=[0, 150]
        )
        gaps[spread] = np.abs(course.rates[1, 0, 0] - course.rates[1, 0, 1]).max()
    assert gaps[1.0] < 1e-12
    assert gaps[0.0] > 1e-3


def test_how_finely_queries_are_cut_does_not_change_how_fast_habits_grow(calibration, numbers):
    """Kinds share a habit; were each to learn alone, twice as many would learn half as fast."""
    learnt = []
    for kinds in (8, 16):
        finer = calibration.replace(kinds=kinds)
        model = PromptRates(read_specs("alignment_faking"), finer)
        world = Reinforcement(model, finer, prompts=3, update_rule="natural_gradient")
        course = world.course(
            stacked(numbers), settings=learning_rates(np.array([0.3])), steps=[50]
        )
        learnt.append(float(course.moments.habit[0, 0]) - 2.0)
    assert learnt[0] > 0.5
    assert learnt[0] == pytest.approx(learnt[1], rel=0.05)


def test_prompts_of_another_agent_are_refused(rates, calibration, numbers):
    world = Reinforcement(rates, calibration, prompts=len(PLACES))
    other = {**numbers, "agent.rationality": np.array([20.0, 20.0, 5.0])}
    with pytest.raises(SpecError, match=r"agent\.rationality differs between prompts"):
        world.columns(stacked(other))
    indifferent = {
        **numbers,
        VALUE: np.array([0.0, 1.0, 1.0]),
        SPREAD: np.array([0.0, 0.6, 0.6]),
    }
    with pytest.raises(SpecError, match="is about 0"):
        world.columns(stacked(indifferent))
    deaf = {**numbers, "agent.info_sensitivity": np.zeros(len(PLACES))}
    with pytest.raises(SpecError, match="info_sensitivity: got 0"):
        world.columns(stacked(deaf))


# ------------------------------------------------------------------------------------------- places


def test_prompts_are_read_from_either_form_of_table(tmp_path: Path) -> None:
    """Of a table of stages, what was measured before training."""
    before, later = np.full((len(PLACES), 3), 0.5), np.full((1, 3), 0.1)
    stages = table(before, later)
    path = tmp_path / "some.csv"
    stages.frame.to_csv(path, index=False)
    found = read_prompts(path)
    assert list(found.frame["condition"]) == list(PLACES)
    np.testing.assert_array_equal(found.rates, before)
    found.frame.to_csv(path, index=False)
    np.testing.assert_array_equal(read_prompts(path).rates, before)
    stages.frame.tail(1).to_csv(path, index=False)
    with pytest.raises(SpecError, match=r"some\.csv: no row has the stage pre_rl"):
        read_prompts(path)


@planted_by_version_1
def test_places_are_drawn_as_errors_say(rates, calibration, numbers):
    seen = rates(numbers)
    frame = table(seen, None, error=0.02).frame.rename(columns={"prompt": "condition"})
    frame.insert(0, "row", frame["condition"])
    measured = Measurements(frame)
    places = draw_places(rates, calibration, measured, numbers, count=400)
    for p, place in enumerate(places):
        for key in (VALUE, AWARENESS):
            assert place[key].min() < numbers[key][p] < place[key].max()
        if p == 2:  # where training comes to mind nearly always, nothing tells how nearly
            assert place[AWARENESS].max() > 10.0
            continue
        drawn = rates({key: np.repeat(column[p], 400) for key, column in numbers.items()} | place)
        # Two numbers for three rates: the mean χ² of such draws is 2. Of 400 (in even shares, so
        # closer than independent ones), the mean strays from that by 0.5 once in 10⁶ times.
        chi2 = (((drawn - seen[p]) / 0.02) ** 2).sum(axis=1)
        assert abs(chi2.mean() - 2.0) < 0.5


def test_draws_follow_weights():
    picks = draw(np.array([0.0, 1.0, 3.0, 0.0]), count=400, seed=1, stream="test")
    assert np.bincount(picks, minlength=4).tolist() == [0, 100, 300, 0]
    assert (picks != np.sort(picks)).any()


# --------------------------------------------------------------------------------------------- fits


def fitted(
    rates: PromptRates,
    calibration: Calibration,
    terms: Terms,
    numbers: dict[str, np.ndarray],
    **truth: object,
) -> tuple[pd.DataFrame, Stages]:
    later = trained(rates, calibration, numbers, **truth)  # type: ignore[arg-type]
    stages = read_stages(table(rates(numbers), later), terms=terms, rates=rates, shared=SHARED)
    found = explore(Trainer(rates, calibration, stages, grid=GRID))
    return variants_table(found, stages), stages


def row_of(frame: pd.DataFrame, rule: str, *, spreads: bool, leaks: bool) -> pd.Series:
    own = frame[(frame["rule"] == rule) & (frame["spreads"] == spreads) & (frame["leaks"] == leaks)]
    assert len(own) == 1
    return own.iloc[0]


@pytest.fixture(scope="module")
def spreading(rates, calibration, terms, numbers):
    truth = {"rule": "natural_gradient", "spread": 0.1, "ratio": 1.3, "steps": 80}
    return fitted(rates, calibration, terms, numbers, **truth)


@planted_by_version_1
def test_what_was_planted_is_recovered(spreading):
    found, _ = spreading
    planted = row_of(found, "natural_gradient", spreads=True, leaks=False)
    assert planted["ratio_low"] <= 1.3 <= planted["ratio_high"]
    assert planted["ratio_high"] < 1.5 * planted["ratio_low"]
    assert planted["spread"] == 0.1
    assert planted["time"] == pytest.approx(8.0 / 1.3, rel=0.05)
    assert planted["chi2"] < 2.0
    assert found.iloc[0].equals(planted)
    assert found["weight"].sum() == pytest.approx(1.0)


def test_rivals_without_spread_are_fitted_worse(spreading):
    found, _ = spreading
    assert found.loc[~found["spreads"], "AIC"].min() > found["AIC"].min() + 10.0


def test_a_rival_that_leaks_is_fitted_worse_without_leak(rates, calibration, terms, numbers):
    """Elsewhere, values that learn faster stand in for leak: what leaks moves values too."""
    truth = {"leak": 1.0, "ratio": 0.3, "steps": 1000}
    found, _ = fitted(rates, calibration, terms, numbers, **truth)
    planted = row_of(found, "policy_gradient", spreads=False, leaks=True)
    assert planted["leak"] == 1.0
    assert planted["ratio_low"] <= 0.3 <= planted["ratio_high"]
    without = row_of(found, "policy_gradient", spreads=False, leaks=False)
    assert without["AIC"] > planted["AIC"] + 10.0


def test_criteria_say_where_rates_are_too_few(spreading):
    found, stages = spreading
    count = stages.after.size
    assert (found["rates"] == count).all()
    for _, one in found.iterrows():
        k = one["parameters"]
        assert k == 2 + one["spreads"] + one["leaks"]
        assert one["AIC"] == pytest.approx(one["chi2"] + 2 * k)
        assert one["BIC"] == pytest.approx(one["chi2"] + k * np.log(count))
        assert one["AICc"] == pytest.approx(one["AIC"] + 2 * k * (k + 1) / (count - k - 1))
    assert found["left_out_prompt_error"].notna().all()


# ------------------------------------------------------------------------------------------ studies


#: How the world of the study was made.
TRUTH = {"rule": "natural_gradient", "ratio": 1.0, "steps": 300}


@pytest.fixture(scope="module")
def found(rates, calibration, terms, numbers) -> Reinforced:
    """A study in which only the prompt trained on was measured after training."""
    before = rates(numbers)
    later = trained(rates, calibration, numbers, **TRUTH)  # type: ignore[arg-type]
    frame = table(before, None).frame.drop(columns="stage")
    frame = frame.rename(columns={"prompt": "condition"})
    frame.insert(0, "row", ["1", "2", "3"])
    other = frame.iloc[[1]].assign(row="4", setting="elsewhere", condition="not here")
    again = ["plainer, again", "default, again"]
    further = frame.iloc[[0, 2, 0]].assign(condition=["default", *again])
    told: list[float] = []
    result = study(
        table(before, later[:1]),
        calibration=calibration,
        terms=terms,
        rates=rates,
        shared=SHARED,
        prompts=Measurements(pd.concat([further, other], ignore_index=True)),
        grid=dataclasses.replace(GRID, levels=(0.3,)),
        progress=told.append,
    )
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)
    return result


def test_predictions_hold_what_the_model_did(found, rates, calibration, numbers):
    later = trained(rates, calibration, numbers, **TRUTH)  # type: ignore[arg-type]
    told = found.predictions.set_index("prompt")
    again = ["plainer, again", "default, again"]
    assert list(told.index) == ["default", "milder", "plainer", *again]
    assert told["measured"].tolist() == [True, False, False, False, False]
    assert found.left_out == ("not here",)
    for prompt, of in zip(PLACES, later, strict=True):
        for rate, truth in zip(RATES, of, strict=True):
            low, middle, high = (told.loc[prompt, f"{rate}{end}"] for end in ("_low", "", "_high"))
            assert 0.0 <= low <= middle <= high <= 1.0
            assert low - 0.01 <= truth <= high + 0.01


def test_the_prompt_trained_on_comes_out_as_fitted_under_all_variants(found):
    own = found.by_variant[found.by_variant["prompt"] == "default"]
    measured, error = found.stages.after[0], found.stages.errors[0]
    for _, row in own.merge(found.variants[["rule", "spreads", "leaks", "chi2"]]).iterrows():
        if row["chi2"] < 2.0:
            assert (np.abs(row[list(RATES)].to_numpy(float) - measured) < 3.5 * error).all()


@planted_by_version_1
def test_prompts_lack_the_habit_of_the_one_trained_on(found, rates, calibration, numbers):
    """The natural gradient moves habits, which without spread stay with the prompt trained on."""
    later = trained(rates, calibration, numbers, **TRUTH)  # type: ignore[arg-type]
    own = found.by_variant[(found.by_variant["rule"] == "natural_gradient")]
    own = own[~own["spreads"] & ~own["leaks"]].set_index("prompt")
    for prompt, of in zip(PLACES, later, strict=True):
        np.testing.assert_allclose(own.loc[prompt, list(RATES)].to_numpy(float), of, atol=0.1)
    assert own.loc["default", "af_reasoning"] > own.loc["default, again", "af_reasoning"] + 0.2


def test_intervals_hold_what_variants_say(found):
    """A variant with a weight of 0.1 or more has its medians within the interval of all."""
    heavy = found.variants[found.variants["weight"] > 0.1]
    own = found.by_variant.merge(heavy[["rule", "spreads", "leaks"]])
    assert len(own)
    together = found.predictions.set_index("prompt")
    for _, row in own.iterrows():
        for rate in RATES:
            assert together.loc[row["prompt"], f"{rate}_low"] - 1e-9 <= row[rate]
            assert row[rate] <= together.loc[row["prompt"], f"{rate}_high"] + 1e-9


@planted_by_version_1
def test_variants_that_do_not_fit_do_not_count(found):
    """What the model did was the natural gradient's doing: the plain one fits it badly."""
    wrong = found.variants[found.variants["rule"] == "policy_gradient"]
    assert wrong["weight"].sum() < 1e-3
    own = found.by_variant[found.by_variant["rule"] == "policy_gradient"]
    told = found.predictions.set_index("prompt")
    high = told.loc["milder", "af_reasoning_high"]
    assert (own.loc[own["prompt"] == "milder", "af_reasoning"] > high).all()


def test_an_envelope_holds_the_intervals_of_all_studies(found):
    moved = found.predictions.assign(
        af_reasoning_low=0.0, refusal_training=0.5, refusal_training_high=1.0
    )
    other = dataclasses.replace(found, predictions=moved)
    both = envelope([found, other])
    assert (both["af_reasoning_low"] == 0.0).all()
    assert (both["refusal_training_high"] == 1.0).all()
    pd.testing.assert_series_equal(both["refusal_training"], found.predictions["refusal_training"])
    kept = "refusal_unmonitored_high"
    pd.testing.assert_series_equal(both[kept], found.predictions[kept])
    pd.testing.assert_frame_equal(envelope([other, found], rises=[4.0, 0.0]), found.predictions)
    near = envelope([other, found], rises=[3.0, 0.0])
    assert (near["refusal_training_high"] == 1.0).all()
    fewer = dataclasses.replace(found, predictions=moved.head(2))
    with pytest.raises(SpecError, match="of the same prompts"):
        envelope([found, fewer])


def test_courses_start_from_what_the_places_say(found, rates):
    start = found.courses[found.courses["step"] == 0]
    expected = rates(dict(found.stages.numbers))
    for p, prompt in enumerate(found.stages.names):
        own = start[start["prompt"] == prompt][list(RATES)].to_numpy()
        np.testing.assert_allclose(own, np.tile(expected[p], (len(own), 1)), atol=1e-12)


def test_disagreements_and_the_figure_name_the_prompts(found):
    apart = disagreements(found)
    assert "milder" in set(apart["prompt"])
    widths = apart["highest"] - apart["lowest"]
    assert (widths >= 0.0).all()
    assert widths.is_monotonic_decreasing
    figure = reinforced_figure(found)
    labels = [text.get_text() for ax in figure.axes for text in ax.get_yticklabels()]
    assert "milder" in labels
    assert "default (trained on): measured" in labels


# --------------------------------------------------------------------------------- malformed tables


def stage_rows() -> pd.DataFrame:
    before = np.array([[0.1, 0.8, 0.9], [0.2, 0.7, 0.9], [0.3, 0.6, 0.9]])
    return table(before, before[:1]).frame


@pytest.mark.parametrize(
    ("change", "keys", "message"),
    [
        (lambda f: f[f["stage"] == "pre_rl"], {}, "no row has the stage post_rl"),
        (lambda f: f[f["stage"] == "post_rl"], {}, "none of pre_rl"),
        (lambda f: f, {"trained": "defalt"}, "trained: got 'defalt'"),
        (lambda f: f, {"trained": "milder"}, "'milder' has no row of the stage post_rl"),
        (lambda f: f, {"setting": "t"}, "setting: got 't'"),
        (lambda f: pd.concat([f, f.iloc[[0]]]), {}, "the same as in a row before"),
        (
            lambda f: f[f["stage"] == "pre_rl"].assign(stage="after"),
            {},
            "line 2, stage: got 'after'",
        ),
        (lambda f: pd.concat([f, f.assign(setting="t")]), {}, "was trained on in s and t"),
        (lambda f: f.drop(columns="stage"), {}, "column 'stage' is missing"),
    ],
)
def test_a_malformed_table_gets_one_line(rates, terms, change, keys, message):
    with pytest.raises(SpecError, match=message) as caught:
        read_stages(
            Measurements(change(stage_rows())), terms=terms, rates=rates, shared=SHARED, **keys
        )
    assert "\n" not in str(caught.value)
