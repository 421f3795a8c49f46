"""What is folded away in a claim's section: its numbers, and the experiment behind them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from experiments.claims.funnel_text import context_texts, training_text
from experiments.claims.measures import How
from experiments.claims.report.markup import Content, Html, joined, table, tag
from experiments.claims.spec import Circumstances, Claim, Region
from experiments.claims.studies import populations_setting
from experiments.claims.study import (
    Answer,
    axis_text,
    command_of,
    condition_text,
    number_text,
    share_text,
)
from sim.utils.format import join_words

#: A number of this size or less is written as about 0: its digits would be for show.
_SMALL = 0.0005


def tests(found: Answer) -> Html:
    """Return each condition of the test, with how many points meet it, and how many meet all."""
    conditions = found.conditions()
    rows = [[test["says"], f"{test['met']:,} of {test['points']:,}"] for test in conditions]
    if len(rows) > 1:
        given = int(found.judged.given.sum())
        rows.append(["all of these", f"{int(found.judged.true.sum()):,} of {given:,}"])
    return table(["Test", "met at"], rows, caption="What makes it true at a point")


def levels(found: Answer) -> Content:
    """Return how often the claim is true at each level of the assumptions that have few."""
    region, frame = found.claim.region, found.frame()
    axes = [*region.choices, *region.grid]
    if not axes:
        return None
    rows = []
    for axis in axes:
        told = []
        for level, here in frame[frame["given"]].groupby(axis):
            shown = number_text(str(level) if isinstance(level, str) else float(level))
            told.append(
                tag(
                    "span",
                    f"{shown}: ",
                    tag("strong", f"{int(here['true'].sum()):,} of {len(here):,}"),
                    class_="level",
                )
            )
        rows.append([axis_text(axis), told])
    caption = "One assumption at a time: at how many points the claim is true"
    return table(["Assumption", "At each level"], rows, caption=caption)


def numbers(found: Answer) -> Html:
    """Return how each quantity lies over the points to which the claim applies."""
    frame = found.numbers()
    keys = ("low", "median", "high")
    rows = [
        [row["label"], *(_number(row[key]) for key in keys), f"{row['points']:,}"]
        for row in frame.to_dict("records")
    ]
    caption = "Over the points to which the claim applies: 10th percentile, median, 90th percentile"
    return table(["Quantity", "10th", "median", "90th", "points"], rows, caption=caption)


def _number(number: float) -> str:
    if pd.isna(number):
        return "–"
    if number and abs(number) < _SMALL:
        return "≈ 0"
    return number_text(float(np.round(number, 3)))


def experiment(found: Answer, how: How) -> Html:
    """Return what was run: worlds or study, region, and the command that repeats it."""
    claim, measure = found.claim, found.claim.measure
    items: list[tuple[str, Content]] = []
    if measure.study is None:
        items.append(("Scenario", measure.scenario))
        if measure.settings:
            items.append(("Set in all worlds", _settings(measure.settings)))
        if len(measure.worlds) > 1:
            worlds = [
                tag("li", f"{name.replace('_', ' ')}: ", _world(one))
                for name, one in measure.worlds.items()
            ]
            items.append(("Worlds, with the same random draws", tag("ul", worlds)))
    elif measure.study == "populations":
        items += _populations(claim, how)
    else:
        told = ", ".join(f"{key} {value}" for key, value in measure.options.items())
        items.append(("Study", f"{measure.study.replace('_', ' ')} ({told})"))
    items.append(("Region", _region(claim.region, found)))
    if claim.given:
        applies = join_words([condition_text(one, claim) for one in claim.given])
        items.append(("Applies where", applies))
    least = "the lower end of the interval" if claim.region.ranges else "the share"
    enough = f"true at all points, or {least} is not below {share_text(claim.enough)}"
    items.append(("Holds if", enough))
    items.append(("Runs", f"{found.measured.runs:,}, from seed {how.seed}"))
    return joined(
        [
            tag("dl", [(tag("dt", head), tag("dd", content)) for head, content in items]),
            tag("pre", tag("code", command_of(claim, how))),
        ]
    )


def _populations(claim: Claim, how: How) -> list[tuple[str, Content]]:
    """Return whom the study of populations trains, in what, and for how long."""
    scenario, steps, agents = populations_setting(claim, how)
    contexts = context_texts(scenario).items()
    return [
        (
            "Study",
            f"populations: {agents:,} agents are drawn at each point, and trained",
        ),
        ("Scenario", training_text(scenario, steps)),
        ("Training contexts", tag("ul", [tag("li", f"{name}: {text}") for name, text in contexts])),
    ]


def _world(one: Circumstances) -> Content:
    said = []
    if one.scenario:
        said.append(f"scenario {one.scenario}")
    if one.settings:
        said.append(_settings(one.settings))
    said += [_settings(done) for done in one.do]
    for name, what in (("oversight", one.oversight), ("deployment", one.deployment)):
        if what:
            said.append(f"{name}: {_settings(what)}")
    return "; ".join(said) or "as the scenario has it"


def _settings(settings: object) -> str:
    if isinstance(settings, dict):
        return ", ".join(f"{key} {_settings(value)}" for key, value in settings.items())
    return f"({settings})" if isinstance(settings, list) else str(settings)


def _region(region: Region, found: Answer) -> Content:
    said = [
        f"{axis_text(key)}: {', '.join(name.replace('_', ' ') for name in names)}"
        for key, names in region.choices.items()
    ]
    said += [
        f"{axis_text(key)}: {', '.join(number_text(number) for number in numbers)}"
        for key, numbers in region.grid.items()
    ]
    for key, (low, high, *scale) in region.ranges.items():
        log = " (logarithmic)" if scale else ""
        said.append(f"{axis_text(key)}: {number_text(low)} to {number_text(high)}{log}")
    kind = "Sobol points" if region.ranges else "points of a grid"
    return [f"{found.judged.points:,} {kind}: ", tag("ul", [tag("li", one) for one in said])]
