"""The page of the post claim by claim: the values of its template, and its figures as SVG."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from io import StringIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from experiments.footnote4.partial_gaming import PERTURBATION, Outcome
from sim.analysis.worst_case import TERMS, Thresholds
from sim.dynamics.measures import GAMED
from sim.plots.style import house_style
from sim.specs.deployment import Deployment
from sim.specs.prior import Prior
from sim.utils.format import format_number, join_words

from .claim_results import ClaimResult, Results, command_of
from .figure import claim_figure, figure_title
from .figure_beside import beside_figure
from .figure_emergence import emergence_figure, emergence_title
from .labels import (
    axis_label,
    condition_label,
    format_share,
    format_threshold,
    rule_label,
    short_passage,
    stage_label,
)
from .map import RegimeMap
from .measures import RunOptions
from .populations import FEWEST_EXPECTED, NEAR, Pair, Population, Together, differs
from .spec import Claim
from .studies import funnel_point, populations_setting
from .verdicts import Judgement, judge_readings

FOLDER = Path(__file__).parent
TEMPLATE = "report.html.j2"
#: The curves of a cell of the map: the box of the axes, and the range of the value's share.
BOX = {"left": 44, "top": 12, "right": 342, "bottom": 200, "width": 396, "height": 240}
VALUE_RANGE = (-1.5, 1.5)
#: From which share on a claim that depends is mostly true, and up to which seldom.
MOSTLY, SELDOM = 2.0 / 3.0, 1.0 / 3.0
#: A quantity of this size or less is written as about 0.
_SMALL = 0.0005


def render_page(results: Results, run_options: RunOptions) -> str:
    """Return the page as HTML: one file that fetches nothing.

    Args:
        results: The claims, the scenarios and the map of regimes.
        run_options: At what size and from which seed they were run.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "share": lambda share: format_share(share).replace(" %", "\u00a0%"),
        "number": format_number,
        "quantity": format_quantity,
        "level": format_threshold,
        "axis": axis_label,
        "stage": stage_label,
        "short_passage": short_passage,
        "words": lambda name: name.replace("_", " "),
        "join_words": join_words,
        "settings": format_settings,
    }
    return environment.get_template(TEMPLATE).render(page_values(results, run_options))


def page_values(results: Results, run_options: RunOptions) -> dict[str, Any]:
    """Return the values of the template, by name."""
    assert results.regimes is not None
    kinds = [result.judged.kind for result in results.claims]
    name = "emergence"
    return {
        "css": (FOLDER / "report.css").read_text(encoding="utf-8"),
        "js": (FOLDER / "report.js").read_text(encoding="utf-8"),
        "options": run_options,
        "kinds": {kind: kinds.count(kind) for kind in ("holds", "depends", "fails", "untried")},
        "claims": [claim_values(result, run_options) for result in results.claims],
        "names": [result.claim.name for result in results.claims],
        "scenarios": results.scenarios,
        "emergence": inline_svg(
            emergence_figure(results.scenarios), name, emergence_title(results.scenarios)
        ),
        "map": map_values(results.regimes),
        "box": BOX,
        "gamed": GAMED,
    }


def claim_values(result: ClaimResult, run_options: RunOptions) -> dict[str, Any]:
    """Return what the template shows of a claim."""
    claim, judged = result.claim, result.judged
    figure = claim_figure(result)
    return {
        "claim": claim,
        "judged": judged,
        "frequency": frequency(judged),
        "drawn": bool(claim.region.ranges),
        "rule": result.rule,
        "readings": [
            {"reading": reading, "judged": other, "rule": other.rule and rule_label(other.rule)}
            for reading, other in judge_readings(claim, result.measured)
        ],
        "tests": result.conditions(),
        "levels": level_counts(result),
        "numbers": result.numbers().to_dict("records"),
        "applies_if": [condition_label(condition, claim) for condition in claim.applies_if],
        "runs": result.measured.runs,
        "command": command_of(claim, run_options),
        "figure": inline_svg(figure, claim.name, figure_title(result)),
        "beside": beside_values(result, run_options),
    }


def frequency(judged: Judgement) -> str:
    """Return how often a claim that depends is true: `mostly`, `seldom` or `about half`."""
    if judged.kind != "depends":
        return ""
    share = judged.share
    return "mostly" if share >= MOSTLY else "seldom" if share <= SELDOM else "about half"


def level_counts(result: ClaimResult) -> list[dict[str, Any]]:
    """Return the numbers of true points at each level of the assumptions that have few."""
    region, frame = result.claim.region, result.frame()
    return [
        {"axis": axis, "level": level, "true": int(group["true"].sum()), "points": len(group)}
        for axis in (*region.choices, *region.grid)
        for level, group in frame[frame["given"]].groupby(axis)
    ]


def beside_values(result: ClaimResult, run_options: RunOptions) -> dict[str, Any] | None:
    """Return the further results of a study: the cases of footnote 4, or the populations."""
    beside = result.measured.beside
    name = f"{result.claim.name}-beside"
    figure = beside_figure(result)
    svg = None if figure is None else inline_svg(figure, name, title_of_figure(figure))
    if beside.get("footnote4"):
        outcomes: Sequence[Outcome] = beside["footnote4"]
        return {
            "kind": "cases",
            "figure": svg,
            "outcomes": outcomes,
            "perturbation": PERTURBATION,
        }
    if beside.get("funnels"):
        funnels: Mapping[str, Population] = beside["funnels"]
        return {
            "kind": "funnel" if svg is not None else "populations",
            "figure": svg,
            **funnel_values(result.claim, funnels, run_options),
        }
    return None


def funnel_values(
    claim: Claim, funnels: Mapping[str, Population], run_options: RunOptions
) -> dict[str, Any]:
    """Return the counts and comparisons of the populations, by prior."""
    scenario, steps, _ = populations_setting(claim, run_options)
    return {
        "scenario": scenario,
        "steps": steps,
        "point": funnel_point(claim),
        "thresholds": {term: getattr(Thresholds(), term) for term in TERMS},
        "least_success": Deployment().caution / (1.0 + Deployment().caution),
        "terms": TERMS,
        "near_terms": NEAR,
        "fewest_expected": FEWEST_EXPECTED,
        "priors": {prior: Prior.load(prior).about for prior in funnels},
        "populations": funnels,
        "pairs": [
            comparison(prior, pair, len(population.together))
            for prior, population in funnels.items()
            for pair in dict.fromkeys(population.together[:: max(1, len(population.together) - 1)])
        ],
        "steps_compared": [
            comparison(prior, step, len(TERMS))
            for prior, population in funnels.items()
            for step in population.steps
            if step.expected
        ],
        "groups": [
            group_comparison(prior, label, group, everyone)
            for prior, population in funnels.items()
            for label, group, everyone in (
                ("egregiously misaligned", population.everywhere, population.misaligned),
                ("near the worst case", population.near_everywhere, population.near),
            )
        ],
        "contexts": [
            {"prior": prior, "context": context, "games": games, "misaligned": misaligned}
            for prior, population in funnels.items()
            for context, (games, misaligned) in population.contexts.items()
        ],
    }


def comparison(prior: str, pair: Together, comparisons: int) -> dict[str, Any]:
    """Compare the number of agents that meets two conditions with independence."""
    more = "more" if pair.both > pair.expected else "fewer"
    return {
        "prior": prior,
        "names": pair.names,
        "both": pair.both,
        "expected": pair.expected,
        "verdict": more if pair.beyond_chance(comparisons) else "within chance",
    }


def group_comparison(prior: str, label: str, group: Pair, everyone: Pair) -> dict[str, Any]:
    """Compare the share among agents that game everywhere with that among all."""
    return {
        "prior": prior,
        "label": label,
        "group": group,
        "everyone": everyone,
        "verdict": differs(group, everyone),
    }


def map_values(regimes: RegimeMap) -> dict[str, Any]:
    """Return the map of regimes: its cells from top to bottom, and their curves as SVG points."""
    rows = [
        [
            {
                "key": f"{j},{i}",
                "regime": str(regimes.regime[j, i]),
                "x": format_threshold(round(float(regimes.across[i]), 2)),
                "y": format_threshold(round(float(regimes.up[j]), 2)),
                "rate": f"{regimes.gaming[j, i, -1]:.2f}",
                "value_left": format_threshold(round(float(regimes.value[j, i, -1]), 2)),
                "gaming": polyline(regimes.gaming[j, i], 0.0, 1.0),
                "value": polyline(regimes.value[j, i], *VALUE_RANGE),
            }
            for i in range(len(regimes.across))
        ]
        for j in reversed(range(len(regimes.up)))
    ]
    cells = {cell["key"]: cell for row in rows for cell in row}
    return {
        "regimes": regimes,
        "rows": rows,
        "cells": cells,
        "middle": cells[f"{len(regimes.up) // 2},{len(regimes.across) // 2}"],
        "steps": float(regimes.steps[-1]),
        "value_range": VALUE_RANGE,
    }


def polyline(curve: Any, low: float, high: float) -> str:
    """Return a curve as the points of an SVG polyline, clipped to its range."""
    share = (np.clip(curve, low, high) - low) / (high - low)
    across = np.linspace(BOX["left"], BOX["right"], len(curve))
    up = BOX["bottom"] - share * (BOX["bottom"] - BOX["top"])
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, up, strict=True))


def format_quantity(number: float) -> str:
    """Write a quantity with three digits after the point; a dash for nan, ≈ 0 for the smallest."""
    if np.isnan(number):
        return format_number(None)
    if number and abs(number) < _SMALL:
        return "≈ 0"
    return format_threshold(float(np.round(number, 3)))


def format_settings(settings: object) -> str:
    """Write nested settings as `key value` pairs."""
    if isinstance(settings, Mapping):
        return ", ".join(f"{key} {format_settings(value)}" for key, value in settings.items())
    if isinstance(settings, list | tuple):
        return f"({', '.join(map(format_settings, settings))})"
    return str(settings)


def title_of_figure(figure: Figure) -> str:
    """Return the title of a figure, for those who do not see it."""
    return figure.get_suptitle()


def inline_svg(figure: Figure, name: str, alternative: str) -> str:
    """Return a figure as an `svg` element: text as text, ids of its own, a title.

    Args:
        figure: Drawn in the house style.
        name: Comes before every id, so that no two figures of a page share one.
        alternative: The text for those who do not see it.
    """
    with house_style():
        mpl.rcParams["svg.fonttype"] = "none"
        mpl.rcParams["svg.hashsalt"] = name
        file = StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    # A hundredth of a point is less than anyone sees.
    text = re.sub(
        r'\b(?:d|x|y|points)="[^"]*"',
        lambda attribute: re.sub(r"(\.\d\d)\d+", r"\1", attribute.group()),
        text,
    )
    head, body = text.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', head)
    assert box is not None
    return (
        f'<svg {box.group()} role="img" aria-labelledby="{name}-title" class="figure">'
        f'<title id="{name}-title">{escape(alternative)}</title>'
        f"{body.replace('xlink:href', 'href').strip()}"
    )
