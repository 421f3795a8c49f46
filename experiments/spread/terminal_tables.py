"""The tables in which a terminal shows what the study of spread found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Column, Table

from experiments.spread.study import OUTCOMES, RULE_NAMES
from sim.utils.format import percent, shown


def reach_rows(numbers: Mapping[str, Any]) -> Table:
    """Return what gaming did in each context where it does not pay, and from which spread."""
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
                f"{shown(c['habit_without'])} → {shown(c['habit'], 0 if c['habit'] > 99.0 else 1)}",
                shown(c["needed"]),
                "never" if c["threshold"] is None else shown(c["threshold"], 2),
            )
    return table


def race_rows(numbers: Mapping[str, Any]) -> Table:
    """Return where the boundary of the race runs, how it moves, and how runs end."""
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
            f"{shown(case['boundary_low'])} → {shown(case['boundary_high'])}",
            "–"
            if slope is None
            else "{} [{}, {}]".format(*(shown(slope[end], 2) for end in ("value", "low", "high"))),
            *(percent(case["outcomes"][outcome]) for outcome in OUTCOMES),
        )
    return table


def outlive_rows(numbers: Mapping[str, Any]) -> Table:
    """Return how often the value is lost, and gaming goes on, by update rule."""
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
            "–" if case["survives"] is None else percent(case["survives"]),
        )
    return table
