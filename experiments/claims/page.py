"""The page of the claims: the values of its template, and its figures as SVG."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import yaml
from matplotlib.figure import Figure

from sim.plots.style import MUTED, house_style
from sim.specs.base import is_number
from sim.utils.format import percent, short_number

from .cases import RunOptions
from .figure import (
    FALSE,
    GROUND,
    INK,
    TRUE,
    axis_label,
    effect_text,
    level_of,
    panel_figure,
    panels,
)
from .judge import LIMITS, VERDICTS, Effect, Judgement, condition_texts, word_of
from .results import ClaimResult, Results
from .spec import QUANTIFIERS, Claim, Group

FOLDER = Path(__file__).parent
TEMPLATE = "report.html.j2"
#: Colours of figures that follow the page, by day and by night.
PAGE_COLOURS = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GROUND: "var(--ground)",
    TRUE: "var(--true)",
    FALSE: "var(--false)",
}


class Panel(NamedTuple):
    """A figure as an `svg` element: its box, and what stands in it."""

    box: str
    body: str


def render_page(results: Results, run_options: RunOptions) -> str:
    """Return the page as HTML: one file that fetches nothing.

    Args:
        results: The claims, with their verdicts.
        run_options: At what size and from which seed cases were run.
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
        "share": lambda share: percent(share).replace(" %", "\u00a0%"),
        "axis": axis_label,
        "level": lambda level: short_number(level) if is_number(level) else str(level),
        "effect": lambda number, claim: effect_text(claim, number),
        "words": lambda name: re.sub(r"_|(?<=[a-z])(?=\d)", " ", name),
        "plain": lambda text: text.removesuffix("\u00a0%"),
    }
    return environment.get_template(TEMPLATE).render(page_values(results, run_options))


def page_values(results: Results, run_options: RunOptions) -> dict[str, Any]:
    """Return the values of the template, by name."""
    verdicts = [result.judgement.verdict for result in results.claims]
    return {
        "css": (FOLDER / "report.css").read_text(encoding="utf-8"),
        "js": (FOLDER / "report.js").read_text(encoding="utf-8"),
        "results": results,
        "options": run_options,
        "counts": {verdict: verdicts.count(verdict) for verdict in VERDICTS},
        "limits": LIMITS,
        "asks": QUANTIFIERS,
        "claims": [claim_values(result, results, run_options) for result in results.claims],
    }


def claim_values(result: ClaimResult, results: Results, options: RunOptions) -> dict[str, Any]:
    """Return what the template shows of a claim."""
    claim, judgement = result.claim, result.judgement
    return {
        "claim": claim,
        "judgement": judgement,
        "between": (word_of(judgement.low), word_of(judgement.high)),
        **comparison(claim, judgement.effect, judgement.contrast, judgement.difference),
        "alignment": judgement.by_alignment and comparison(claim, *judgement.by_alignment),
        "deciding": deciding(judgement),
        "turns": has_boundary(claim, judgement),
        "conditions": conditions_text(claim),
        "command": command_of(claim, options, {}),
        "refuting": command_of(claim, options, claim.refuted.set),
        "panels": {
            name: panel_of(panel_figure(draw), f"{claim.name}-{number}")
            for number, (name, draw) in enumerate(panels(result, results).items())
        },
    }


def comparison(
    claim: Claim, effect: Effect, contrast: Effect, difference: Effect
) -> dict[str, Any]:
    """Return an effect, the contrast's and their difference as texts, and which is larger."""
    return {
        "effect": effect_texts(claim, effect),
        "contrast": effect_texts(claim, contrast),
        "difference": difference_texts(claim, difference),
        "side": side(claim, difference),
    }


def deciding(judgement: Judgement) -> list[str]:
    """Return those of the two axes that move a claim's effect by more than chance would."""
    keys = {influence.key for influence in judgement.influences if influence.decides}
    return [key for key in judgement.axes if key in keys]


def effect_texts(claim: Claim, effect: Effect) -> tuple[str, str, str]:
    """Write an effect and the ends of its interval, in its own unit."""
    return (
        effect_text(claim, effect.estimate),
        effect_text(claim, effect.low),
        effect_text(claim, effect.high),
    )


def difference_texts(claim: Claim, difference: Effect) -> tuple[str, str, str]:
    """Write how far the effect is from the contrast's: by a difference, or a ratio."""
    scale = 1.0 if claim.ratio or claim.number is not None else 100.0
    numbers = (difference.estimate, difference.low, difference.high)
    first, low, high = (short_number(scale * number) for number in numbers)
    sign = "× " if claim.ratio else "+" if difference.estimate > 0.0 else ""
    return sign + first, low, high


def side(claim: Claim, difference: Effect) -> int:
    """Return whether an effect is above the contrast's (1), below (-1), or within chance (0)."""
    equality = float(claim.ratio)
    return int(difference.low > equality) - int(difference.high < equality)


def has_boundary(claim: Claim, judgement: Judgement) -> bool:
    """Return whether there are cases on both sides of a claim's boundary."""
    above = judgement.surface[judgement.density > 0.0] > level_of(claim, judgement.threshold)
    return bool(above.any() and not above.all())


def conditions_text(claim: Claim) -> str:
    """Return the conditions of a claim and of its contrast as YAML."""
    data = {**_group(claim), "contrast": _group(claim.contrast)}
    return str(yaml.safe_dump(data, sort_keys=False, width=78)).strip()


def _group(group: Group) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for name in ("among", "event"):
        if name in group.model_fields_set:
            data[name] = condition_texts(getattr(group, name))
    if group.at_least is not None:
        data["at_least"] = group.at_least
    if group.number is not None:
        data["number"] = group.number.text
    return data


def command_of(claim: Claim, options: RunOptions, numbers: Mapping[str, Any]) -> str:
    """Return the command that judges a claim again, with numbers set."""
    parts = ["python experiments/claims", f"only={claim.name}"]
    fixed = {**options.fixed, **numbers}
    if fixed:
        parts.append(f"'set={{{', '.join(f'{k}: {_as_setting(v)}' for k, v in fixed.items())}}}'")
    parts += [f"size={options.size:g}"] if options.size != 1.0 else []
    parts += [f"seed={options.seed}"] if options.seed else []
    return " ".join(parts)


def _as_setting(value: Any) -> str:
    """Write a value as the command line reads it, where keys have no quotation marks."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_as_setting(part)}" for key, part in value.items()) + "}"
    return json.dumps(value)


def panel_of(figure: Figure, name: str) -> Panel:
    """Return a figure as SVG: text as text, ids of its own, colours that follow the page.

    Args:
        figure: Drawn in the house style.
        name: Comes before every id, so that no two figures of a page share one.
    """
    with house_style():
        mpl.rcParams["svg.fonttype"] = "none"
        mpl.rcParams["svg.hashsalt"] = name
        figure.patch.set_alpha(0.0)
        for axes in figure.axes:
            axes.patch.set_alpha(0.0)
        file = StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    for colour, variable in PAGE_COLOURS.items():
        text = re.sub(f"(?<=: ){colour}", variable, text, flags=re.IGNORECASE)
    # A hundredth of a point is less than anyone sees.
    text = re.sub(
        r'\b(?:d|x|y|points)="[^"]*"',
        lambda attribute: re.sub(r"(\.\d\d)\d+", r"\1", attribute.group()),
        text,
    )
    head, _, body = text[text.index("<svg") :].partition(">")
    box = re.search(r'viewBox="([^"]*)"', head)
    assert box is not None
    return Panel(box[1], body.replace("xlink:href", "href").strip().removesuffix("</svg>"))
