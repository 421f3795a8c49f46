"""The study of spread as a command: what its config asks for, what it writes, what the numbers say.

Every sentence of the closing paragraphs is chosen by a rule from measured numbers: where the
numbers differ, so does what is said, and what was not measured is not said.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from omegaconf import DictConfig
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from sim.analysis.spread import (
    MOVED,
    OUTCOMES,
    PARTS,
    RULES,
    Cast,
    Study,
    boundary,
    boundary_slope,
    boundary_table,
    measure_outlive,
    measure_race,
    measure_reach,
    outlive_table,
    reach_table,
    survival,
    thresholds,
)
from sim.cli.compose import read_place, read_study
from sim.cli.outputs import write_figure, write_json
from sim.dynamics.measures import GAMED
from sim.files import whole_file
from sim.plots.spread import RULE_NAMES, outlive_figure, race_figure, reach_figure
from sim.sweeps.design import Range
from sim.sweeps.plan import Plan
from sim.sweeps.table import Sweep

#: The keys of configs/spread.yaml besides the specs, with their defaults, for the help.
OWN = {
    "parts=[reach,race,outlive]": "which of the three questions",
    "points=41": "levels of spread, and of awareness in the race",
    "seeds=16": "runs at each point, each of one agent",
    "share=0.25": "a value is lost below this share of its start",
    "awareness=[-14,0]": "from where to where awareness starts",
    "ratio=[0.1,1000]": "learning rates, as multiples of the values'",
    "engine=auto": "numpy, numba, or auto for the fastest installed",
    "store=outputs/spread-sweeps": "where runs are kept for the same command again; or null",
}
KEYS = tuple(setting.split("=")[0] for setting in OWN)
#: A decision at least so sure no longer teaches the habit much: the gate's slope is d (1 − d).
_SURE = 0.95


@dataclass(frozen=True)
class Found:
    """What came out of a part.

    Attributes:
        table: Its numbers, a row for each point.
        numbers: What its paragraph is written from, ready for JSON.
        paragraph: What they say.
        figure: The picture.
        runs: How many runs there are ...
        resumed: ... of which so many were there already ...
        failed: ... and so many failed, as numbers grew out of all bounds.
        more: Further tables, by name.
    """

    table: pd.DataFrame
    numbers: dict[str, Any]
    paragraph: str
    figure: Figure
    runs: int
    resumed: int
    failed: int
    more: Mapping[str, pd.DataFrame] = field(default_factory=dict)


def read(config: DictConfig, *, scenario_name: str | None = None) -> tuple[Study, str | None]:
    """Check what a config asks for; every run of it is checked, and none is made.

    Args:
        config: Composed by Hydra, with the keys of configs/spread.yaml.
        scenario_name: What to call a scenario that has no name of its own.

    Returns:
        The study, and the directory below which its runs are kept; None if they are not.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    specs, own = read_study(config, KEYS, scenario_name=scenario_name)
    place = read_place(own.pop("store", None))
    named = own.pop("parts", PARTS)
    parts = tuple(map(str, named)) if isinstance(named, list | tuple) else (str(named),)
    if "awareness" in own:
        own["awareness"] = _range(own["awareness"], "awareness")
    if "ratio" in own:
        own["ratio"] = _range(own["ratio"], "ratio", "log")
    study = Study(specs=specs, parts=tuple(dict.fromkeys(parts)), **own)
    for part in study.parts:
        study.plan(part)
    return study, place


def store_of(place: str | None, study: Study, part: str, plan: Plan) -> str | None:
    """Return where the runs of a part are kept: a directory named for all they depend on."""
    name = study.specs.scenario.name
    return None if place is None else f"{place}/{name}-{part}-{plan.id}"


def measure(study: Study, part: str, plan: Plan, sweep: Sweep) -> Found:
    """Return what came out of a part."""
    make: dict[str, Callable[[Study, Plan, Sweep], Found]] = {
        "reach": _reach,
        "race": _race,
        "outlive": _outlive,
    }
    return make[part](study, plan, sweep)


def write(part: str, found: Found, directory: Path) -> list[Path]:
    """Write a part's numbers and figure into a directory; returns the paths of the figure."""
    for name, table in {part: found.table, **found.more}.items():
        with whole_file(directory / f"{name}.csv") as file:
            table.to_csv(file, index=False)
    return write_figure(directory / part, found.figure)


def write_summary(study: Study, found: Mapping[str, Found], directory: Path) -> None:
    """Write the numbers and the paragraphs of all parts as summary.json."""
    summary = {
        "scenario": study.specs.scenario.name,
        "points": study.points,
        "seeds": study.seeds,
        "share": study.share,
        "steps": study.steps,
        **{
            part: {
                "says": one.paragraph,
                "runs": one.runs,
                "resumed": one.resumed,
                "failed": one.failed,
                **one.numbers,
            }
            for part, one in found.items()
        },
    }
    write_json(directory / "summary.json", summary)


def closing(part: str, found: Found) -> RenderableType:
    """Return what is shown of a part: its table, and the paragraph."""
    tables: dict[str, Callable[[Mapping[str, Any]], Table]] = {
        "reach": _reach_rows,
        "race": _race_rows,
        "outlive": _outlive_rows,
    }
    table = tables[part](found.numbers)
    kept = f", {found.resumed:,} of them kept from before" if found.resumed else ""
    failed = f", {found.failed:,} failed" if found.failed else ""
    table.title = f"{part}: {found.runs:,} runs{kept}{failed}"
    table.title_justify = "left"
    return Group(table, Padding(Text(found.paragraph), (0, 0, 1, 0)))


# ------------------------------------------------------------------------------------------- reach


def _reach(study: Study, plan: Plan, sweep: Sweep) -> Found:
    runs = measure_reach(study, plan, sweep)
    table, edges = reach_table(runs), thresholds(runs)
    numbers = reach_numbers(table, edges, cast=study.cast)
    return Found(
        table=table,
        numbers=numbers,
        paragraph=reach_paragraph(numbers),
        figure=reach_figure(table, edges, cast=study.cast, name=study.specs.scenario.name),
        runs=plan.runs,
        resumed=sweep.resumed,
        failed=sweep.failed,
        more={"thresholds": edges},
    )


def reach_numbers(table: pd.DataFrame, edges: pd.DataFrame, *, cast: Cast) -> dict[str, Any]:
    """Return what the paragraph on reach is written from.

    Args:
        table: `sim.analysis.spread.reach_table`.
        edges: `sim.analysis.spread.thresholds`.
        cast: Which part each context plays.
    """
    found = []
    for (rule, steps, faster), rows in table.groupby(["rule", "steps", "faster"], sort=False):
        similar = rows[rows["similarity"] == rows["similarity"].max()].set_index("context")
        most = similar[similar["spread"] == similar["spread"].max()]
        none = similar[similar["spread"] == similar["spread"].min()]
        paid = most.loc[cast.contested]
        contexts = {}
        for name in cast.others:
            edge = edges[
                (edges["rule"] == rule)
                & (edges["steps"] == steps)
                & (edges["faster"] == faster)
                & (edges["context"] == name)
            ].sort_values("similarity")
            got = edge[np.isfinite(edge["spread"])]
            contexts[name] = {
                "most_gaming": float(rows.loc[rows["context"] == name, "gaming_rate"].max()),
                "gaming_rate": float(most.loc[name, "gaming_rate"]),
                "habit_without": float(none.loc[name, "habit"]),
                "habit": float(most.loc[name, "habit"]),
                "needed": _finite(most.loc[name, "needed"]),
                "pull": float(most.loc[name, "pull"]),
                "onset": _finite(most.loc[name, "onset"]),
                "threshold": _finite(edge["spread"].iloc[-1]),
                "threshold_low": _finite(edge["low"].iloc[-1]),
                "threshold_high": _finite(edge["high"].iloc[-1]),
                "least_similarity": float(got["similarity"].min()) if len(got) else None,
                "threshold_there": float(got["spread"].iloc[0]) if len(got) else None,
            }
        found.append(
            {
                "rule": rule,
                "steps": int(steps),
                "faster": float(faster),
                "regime_without": str(none["regime"].iat[0]),
                "regime": str(most["regime"].iat[0]),
                "paying": {
                    "context": cast.contested,
                    "gaming_rate": float(paid["gaming_rate"]),
                    "habit": float(paid["habit"]),
                    "decision": _logistic(float(paid["habit"] + paid["pull"])),
                },
                "contexts": contexts,
            }
        )
    return {"paying": list(cast.paying), "others": list(cast.others), "cases": found}


def reach_paragraph(numbers: Mapping[str, Any]) -> str:
    """Say where gaming reached, from which spread, and where it did not, why."""
    said = [f"Gaming pays in {_and(numbers['paying'])}."]
    for rule in RULES:
        cases = [case for case in numbers["cases"] if case["rule"] == rule]
        nowhere = [case for case in cases if not _reached(case)]
        if nowhere:
            said += _nowhere(nowhere)
        said += [_somewhere(case) for case in cases if _reached(case)]
    return " ".join(said)


def _length(case: Mapping[str, Any]) -> str:
    """Say how long training lasted, and how fast habit learnt if not as configured."""
    told = f"{case['steps']:,} steps"
    faster = case["faster"]
    return told if faster == 1.0 else f"{told} with habit learning {faster:g} times as fast"


def _reached(case: Mapping[str, Any]) -> list[str]:
    """Return the contexts to which gaming gets, at whatever similarity."""
    return [name for name, c in case["contexts"].items() if c["least_similarity"] is not None]


def _nowhere(cases: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say how far from gaming a context stays that it does not reach, and what is missing."""
    last = cases[-1]
    names = list(last["contexts"])
    nearest = max(names, key=lambda name: max(c["contexts"][name]["most_gaming"] for c in cases))
    most = max(case["contexts"][nearest]["most_gaming"] for case in cases)
    lengths = _or([_length(case) for case in cases])
    passing = most >= GAMED
    what = "it does not stay, up to full spread, in any of" if passing else "it reaches none of"
    said = [
        f"By the {RULE_NAMES[last['rule']]}, in {lengths}, {what} {_and(names)}, at any similarity "
        f"that was tried: the highest median gaming rate is {most:.2g}, in {nearest}."
    ]
    for name in names:
        c = last["contexts"][name]
        said.append(
            f"In {name}, full spread takes the habit from {_n(c['habit_without'])} to "
            f"{_n(c['habit'])} in {_length(last)}; "
            + (
                f"it would have to be {_n(c['needed'])}, as the incentive adds {_n(c['pull'])}."
                if c["needed"] is not None
                else "no habit would do, as training comes to mind too rarely."
            )
        )
    paying = last["paying"]
    if paying["decision"] >= _SURE:
        said.append(
            f"There is little habit to hand on: where gaming pays it is decided on by incentive "
            f"(d = {paying['decision']:.3f} in {paying['context']}, habit {_n(paying['habit'])}), "
            "and what a habit learns is in proportion to d (1 − d)."
        )
    return said


def _somewhere(case: Mapping[str, Any]) -> str:
    """Say from which spread on gaming reaches contexts, and how similar they must be."""
    names = _reached(case)
    parts = []
    for name in names:
        c = case["contexts"][name]
        if c["threshold"] is None:
            parts.append(f"{name} (not at full similarity)")
            continue
        lows = (c["threshold_low"], c["threshold_high"])
        seeds = f"{_n(lows[0], 2)} to {_n(lows[1], 2)}" if None not in lows else "not in all seeds"
        parts.append(f"{name} from {_n(c['threshold'], 2)} ({seeds})")
    least = {case["contexts"][name]["least_similarity"] for name in names}
    away = [name for name in case["contexts"] if name not in names]
    said = (
        f"By the {RULE_NAMES[case['rule']]}, in {_length(case)}, it gets, at full similarity, to "
        f"these from a spread of (range over seeds): {', '.join(parts)}; at a similarity below "
        f"{_n(min(least), 2)}, of those tried, to none. Where it pays the habit ends at "
        f"{_n(case['paying']['habit'])} at full spread and similarity; the regime goes from "
        f"{case['regime_without']} without spread to {case['regime']}."
    )
    return said + (f" It does not get to {_and(away)}." if away else "")


def _reach_rows(numbers: Mapping[str, Any]) -> Table:
    table = Table(
        "gradient", *(Column(name, justify="right") for name in ("steps", "habit ×")),
        Column("context", no_wrap=True),
        *(Column(name, justify="right") for name in ("gaming", "habit", "needed", "spread")),
        caption="At similarity 1, medians over seeds: gaming rate at full spread; habit without → "
        "at full spread; the habit from which it would game; the spread from which it does.",
        caption_justify="left",
    )  # fmt: skip
    for case in numbers["cases"]:
        for name, c in case["contexts"].items():
            table.add_row(
                RULE_NAMES[case["rule"]].removesuffix(" gradient"),
                f"{case['steps']:,}",
                f"{case['faster']:g}",
                name,
                f"{c['gaming_rate']:.2f}",
                f"{_n(c['habit_without'])} → {_n(c['habit'], 0 if c['habit'] > 99.0 else 1)}",
                _n(c["needed"]),
                "never" if c["threshold"] is None else _n(c["threshold"], 2),
            )
    return table


# -------------------------------------------------------------------------------------------- race


def _race(study: Study, plan: Plan, sweep: Sweep) -> Found:
    runs = measure_race(study, plan, sweep)
    edges, reversals = boundary(runs, share=study.share), boundary(runs, share=0.0)
    rows = boundary_table(edges)
    numbers = race_numbers(runs, edges, reversals, cast=study.cast, share=study.share)
    usual = {
        moved: getattr(study.specs.training.learning_rate, moved)
        / study.specs.training.learning_rate.values
        for moved in MOVED
    }
    points = (
        runs.assign(**{o: runs["outcome"] == o for o in OUTCOMES})
        .groupby(["moved", "motive_credit", "ratio", "awareness"], sort=False)
        .agg({"strength": "median", "gaming_rate": "median", "habit": "median", "moving": "mean"}
             | dict.fromkeys(OUTCOMES, "mean"))
        .reset_index()
    )  # fmt: skip
    figure = race_figure(
        runs,
        rows,
        boundary_table(reversals),
        cast=study.cast,
        name=study.specs.scenario.name,
        share=study.share,
        usual=usual,
    )
    return Found(
        table=points,
        numbers=numbers,
        paragraph=race_paragraph(numbers),
        figure=figure,
        runs=plan.runs,
        resumed=sweep.resumed,
        failed=sweep.failed,
        more={"boundary": rows},
    )


def race_numbers(
    runs: pd.DataFrame,
    edges: pd.DataFrame,
    reversals: pd.DataFrame,
    *,
    cast: Cast,
    share: float,
) -> dict[str, Any]:
    """Return what the paragraph on the race is written from.

    Args:
        runs: `sim.analysis.spread.measure_race`.
        edges: `sim.analysis.spread.boundary`, at the share from which a value is kept.
        reversals: The same at 0.
        cast: Which part each context plays.
        share: That share.
    """
    cases = []
    for (credit, moved), here in runs.groupby(["motive_credit", "moved"], sort=False):
        edge, turning = (
            frame[(frame["moved"] == moved) & (frame["motive_credit"] == credit)]
            for frame in (edges, reversals)
        )
        wide, turned = _by_seed(edge), _by_seed(turning)
        half = len(wide) // 2
        logs = np.log(wide.index.to_numpy(np.float64))
        rows = boundary_table(edge)
        one = {
            "moved": str(moved),
            "motive_credit": float(credit),
            "ratio_low": float(wide.index[0]),
            "ratio_high": float(wide.index[-1]),
            "boundary_low": _finite(rows["awareness"].iloc[0]),
            "boundary_high": _finite(rows["awareness"].iloc[-1]),
            "found": float(np.isfinite(wide.to_numpy()).mean()),
            "slope_lower": _estimate(logs[: half + 1], wide.to_numpy()[: half + 1]),
            "slope_upper": _estimate(logs[half:], wide.to_numpy()[half:]),
            "slope_reversed_upper": _estimate(logs[half:], turned.to_numpy()[half:]),
            "outcomes": {o: float((here["outcome"] == o).mean()) for o in OUTCOMES},
            "returns": float(edge["returns"].mean()),
            "moving": float(here["moving"].mean()),
        }
        cases.append(one)
    return {
        "value": cast.protected,
        "context": cast.contested,
        "share": share,
        "decision_start": cast.decision,
        "awareness_low": float(runs["awareness"].min()),
        "awareness_high": float(runs["awareness"].max()),
        "cases": cases,
    }


def race_paragraph(numbers: Mapping[str, Any]) -> str:
    """Say where the boundary of the race runs, and which learning rate moves it."""
    value = numbers["value"]
    said = [
        f"The race is over {value}, in {numbers['context']}; it is kept if its strength ends at "
        f"{100 * numbers['share']:.0f} % of its start or above. At the start, gaming is decided on "
        f"with d = {numbers['decision_start']:.2f} there, once training comes to mind."
    ]
    for case in sorted(numbers["cases"], key=lambda case: -case["motive_credit"]):
        moved = case["moved"]
        span = f"{case['ratio_low']:,.6g} to {case['ratio_high']:,.6g} times"
        said.append(
            f"With motive credit {case['motive_credit']:g} and {moved} learning {span} as fast as "
            + (
                f"values, it is kept from an awareness of {_n(case['boundary_low'])} at the lowest "
                f"ratio and {_n(case['boundary_high'])} at the highest."
                if None not in (case["boundary_low"], case["boundary_high"])
                else f"values, {_percent(case['found'])} of rows have a boundary between "
                f"awarenesses of {_n(numbers['awareness_low'])} and "
                f"{_n(numbers['awareness_high'])}, so it is not followed from end to end."
            )
        )
        said.append(_moves(moved, case))
        shares = case["outcomes"]
        said.append(
            f"Of these runs, {_percent(shares['kept, gaming'])} keep it and game, "
            f"{_percent(shares['kept, no gaming'])} keep it without, "
            f"{_percent(shares['lost, gaming'])} lose it and game, "
            f"{_percent(shares['lost, no gaming'])} lose it and do not."
        )
    unsettled = max(case["moving"] for case in numbers["cases"])
    if unsettled > 0.01:
        said.append(f"In up to {_percent(unsettled)} of them the gaming rate is still moving.")
    return " ".join(said)


def _moves(moved: str, case: Mapping[str, Any]) -> str:
    """Say how far, and which way, a learning rate moves the boundary."""
    slope = case["slope_upper"]
    if slope is None:
        return "Too few seeds have a boundary in three rows to say how it moves."
    interval = f"[{_n(slope['low'], 2)}, {_n(slope['high'], 2)}]"
    told = f"by {_n(slope['value'], 2)} logits per e-fold ({interval}, upper half of the ratios)"
    if slope["high"] < 0.0:
        what = f"Faster {moved} saves the value at lower awareness: the boundary moves {told}."
    elif slope["low"] > 0.0:
        what = f"Faster {moved} does not save it: the boundary moves up, {told}."
    else:
        what = f"Whether faster {moved} moves the boundary cannot be told: {told}."
    lower = case["slope_lower"]
    if lower is not None:
        what += (
            f" In the lower half it is {_n(lower['value'], 2)} "
            f"[{_n(lower['low'], 2)}, {_n(lower['high'], 2)}]."
        )
    turned = case["slope_reversed_upper"]
    if turned is not None:
        what += (
            f" Where the value keeps its sign, it is {_n(turned['value'], 2)} "
            f"[{_n(turned['low'], 2)}, {_n(turned['high'], 2)}] in the upper half."
        )
    if moved == "awareness":
        near = slope["low"] <= -1.0 <= slope["high"]
        what += (
            f" Awareness that has only itself to feed on would give −1, which is "
            f"{'within' if near else 'outside'} the interval."
        )
    return what


def _by_seed(edges: pd.DataFrame) -> pd.DataFrame:
    """Return boundaries [ratio, seed], rows in increasing order of the ratio."""
    return edges.pivot(index="ratio", columns="seed", values="awareness").sort_index()


def _estimate(log_ratio: Any, edges: Any) -> dict[str, float] | None:
    found = boundary_slope(log_ratio, edges)
    return None if found is None else dict(vars(found))


def _race_rows(numbers: Mapping[str, Any]) -> Table:
    table = Table(
        "faster",
        Column("motive credit", justify="right"),
        *(Column(name, justify="right") for name in ("boundary", "per e-fold", *OUTCOMES)),
        caption=f"Boundary: the awareness from which {numbers['value']} is kept, at the lowest → "
        "the highest ratio; how it moves in the upper half of the ratios; and the share of runs "
        "that end in each way.",
        caption_justify="left",
    )
    for case in numbers["cases"]:
        slope = case["slope_upper"]
        table.add_row(
            case["moved"],
            f"{case['motive_credit']:g}",
            f"{_n(case['boundary_low'])} → {_n(case['boundary_high'])}",
            "–"
            if slope is None
            else f"{_n(slope['value'], 2)} [{_n(slope['low'], 2)}, {_n(slope['high'], 2)}]",
            *(_percent(case["outcomes"][outcome]) for outcome in OUTCOMES),
        )
    return table


# ----------------------------------------------------------------------------------------- outlive


def _outlive(study: Study, plan: Plan, sweep: Sweep) -> Found:
    runs = measure_outlive(study, plan, sweep)
    numbers = outlive_numbers(runs, cast=study.cast, share=study.share)
    name = study.specs.scenario.name
    return Found(
        table=outlive_table(runs),
        numbers=numbers,
        paragraph=outlive_paragraph(numbers),
        figure=outlive_figure(runs, cast=study.cast, name=name, share=study.share),
        runs=plan.runs,
        resumed=sweep.resumed,
        failed=sweep.failed,
    )


def outlive_numbers(runs: pd.DataFrame, *, cast: Cast, share: float) -> dict[str, Any]:
    """Return what the paragraph on gaming that outlives values is written from.

    Args:
        runs: `sim.analysis.spread.measure_outlive`.
        cast: Which part each context plays.
        share: Below this share of its start, a value is lost.
    """
    cases = {}
    for rule, rows in runs.groupby("rule", sort=False):
        still = rows[rows["outlived"]]
        gamed = rows[rows["gamed_then"]]
        at, left = survival(gamed["after"], gamed["stopped"])
        held = still["incentive"] <= 0.0
        cases[rule] = {
            "runs": len(rows),
            "lost": int(rows["lost"].sum()),
            "gamed_then": len(gamed),
            "outlived": len(still),
            "reversed": int(still["reversed"].sum()),
            "by_habit": int(held.sum()),
            "habit_of_these": _median(still.loc[held, "habit"]),
            "pull_of_these": _median(still.loc[held, "pull"]),
            "strength_of_the_others": _median(still.loc[~held, "strength"]),
            "pull_of_the_others": _median(still.loc[~held, "pull"]),
            "longest": _finite(gamed["after"].max()) if len(gamed) else None,
            "last_stop": float(at[-1]) if len(at) > 1 else None,
            "survives": float(left[-1]) if len(gamed) else None,
            "by": {
                axis: {
                    f"{level:g}": float(part["outlived"].mean())
                    for level, part in rows.groupby(axis)
                }
                for axis in ("motive_credit", "leak", "ratio", "awareness")
            },
        }
    return {"value": cast.protected, "context": cast.contested, "share": share, "cases": cases}


def outlive_paragraph(numbers: Mapping[str, Any]) -> str:
    """Say how often gaming outlives the value, for how long, where, and what keeps it up."""
    value, context = numbers["value"], numbers["context"]
    said = [
        f"A value is lost below {100 * numbers['share']:.0f} % of its start; shares are of the "
        "grid of motive credit, leak, ratio and awareness."
    ]
    for rule, case in numbers["cases"].items():
        by = f"By the {RULE_NAMES[rule]}"
        if case["lost"] == 0:
            said.append(f"{by}, {value} is lost in none of {case['runs']:,} runs.")
            continue
        if case["outlived"] == 0:
            said.append(
                f"{by}, {value} is lost in {case['lost']:,} of {case['runs']:,} runs, and in none "
                f"of them does gaming in {context} outlive it."
            )
            continue
        rest = case["outlived"] - case["by_habit"]
        said.append(
            f"{by}, {value} is lost in {case['lost']:,} of {case['runs']:,} runs, and in "
            f"{case['outlived']:,} of these ({_percent(case['outlived'] / case['lost'])}) "
            f"{context} is still gamed at the end; in {case['reversed']:,} the value is reversed."
        )
        if case["by_habit"]:
            said.append(
                f"In {case['by_habit']:,} gaming is kept up by habit alone, without incentive "
                f"(medians: habit {_n(case['habit_of_these'])} against {_n(case['pull_of_these'])} "
                "from the incentive)."
            )
        if rest:
            said.append(
                f"In {rest:,} the incentive is still positive ({_n(case['pull_of_the_others'])}): "
                f"what is left of the value (median {100 * case['strength_of_the_others']:.0f} % "
                "of its start) is enough to be worth protecting."
            )
        said += _how_long(case)
        axis, levels = max(case["by"].items(), key=lambda one: _range_of(one[1]))
        low, high = (f(levels, key=lambda level: levels[level]) for f in (min, max))
        said.append(
            f"Of the four, {_AXES[axis]} matters most over the range tried: from "
            f"{_percent(levels[low])} of runs at {_n(float(low))} to {_percent(levels[high])} at "
            f"{_n(float(high))}; "
            + ", ".join(
                f"{_AXES[other]} {_percent(min(others.values()))} to "
                f"{_percent(max(others.values()))}"
                for other, others in case["by"].items()
                if other != axis
            )
            + "."
        )
    return " ".join(said)


_AXES = {
    "motive_credit": "motive credit",
    "leak": "leak",
    "ratio": "the learning rate of habit",
    "awareness": "awareness at the start",
}


def _how_long(case: Mapping[str, Any]) -> list[str]:
    if not case["gamed_then"] or case["survives"] is None:
        return []
    told = (
        f"Of the {case['gamed_then']:,} that gamed when the value fell, "
        f"{_percent(case['survives'])} go on for as long as was watched (up to "
        f"{case['longest']:,.0f} steps)"
    )
    if case["last_stop"] is not None:
        told += f"; of those that stop, the last does after {case['last_stop']:,.0f}"
    return [f"{told}."]


def _range_of(levels: Mapping[str, float]) -> float:
    return max(levels.values()) - min(levels.values())


def _outlive_rows(numbers: Mapping[str, Any]) -> Table:
    table = Table(
        "update rule",
        *(
            Column(name, justify="right")
            for name in ("lost", "still gamed", "reversed", "by habit alone", "go on")
        ),
        caption="Runs in which the value is lost; of these, those still gamed at the end; of "
        "these, with the value reversed, and without incentive. Go on: of runs that gamed when "
        "the value fell, the share that games as long as was watched.",
        caption_justify="left",
    )
    for rule, case in numbers["cases"].items():
        table.add_row(
            RULE_NAMES[rule],
            f"{case['lost']:,} of {case['runs']:,}",
            f"{case['outlived']:,}",
            f"{case['reversed']:,}",
            f"{case['by_habit']:,}",
            "–" if case["survives"] is None else _percent(case["survives"]),
        )
    return table


# ------------------------------------------------------------------------------------------ common


def _range(given: object, key: str, *scale: str) -> Range:
    ends = list(given) if isinstance(given, list | tuple) else [given]
    return Range.read((*ends, *scale) if len(ends) == 2 else ends, key)


def _finite(number: Any) -> float | None:
    return float(number) if np.isfinite(number) else None


def _median(numbers: pd.Series) -> float | None:
    return float(numbers.median()) if len(numbers) else None


def _logistic(x: float) -> float:
    return 0.5 * (1.0 + math.tanh(0.5 * x))


def _n(number: float | None, digits: int = 1) -> str:
    """Write a number with a true minus sign; a dash for none."""
    if number is None:
        return "–"
    return f"{round(number, digits) + 0.0:,.{digits}f}".replace("-", "−")


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.0095 or share == 0.0 else f"{100 * share:.1f} %"


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def _or(names: Sequence[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
