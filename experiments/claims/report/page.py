"""The page: verdicts first, then what is needed to read them, then claim by claim."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.claims.figure_emergence import emergence_figure
from experiments.claims.figure_svg import inline_svg
from experiments.claims.map import Emergence, RegimeMap
from experiments.claims.measures import How
from experiments.claims.report.beside import figure_box
from experiments.claims.report.markup import Html, table, tag
from experiments.claims.report.regimes import SCRIPT as MAP_SCRIPT
from experiments.claims.report.regimes import regime_part
from experiments.claims.report.script import SCRIPT
from experiments.claims.report.section import fold, section
from experiments.claims.report.style import style_sheet
from experiments.claims.report.verdicts import contents, tally_text, wanted
from experiments.claims.report.words import CAUTION, LEAD, TERMS, reading
from experiments.claims.study import Answer
from sim.dynamics.measures import GAMED

TITLE = "The post, executable: training-gaming and the worst case, claim by claim"
#: Nothing may be fetched by the page, whatever is in it.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def report_page(
    found: Sequence[Answer], how: How, *, scenarios: Sequence[Emergence], regimes: RegimeMap
) -> str:
    """Return the whole page.

    Args:
        found: The claims with what came out, in order.
        how: How they were run.
        scenarios: Emergence in every scenario.
        regimes: The map.
    """
    there = {"regimes", *(one.claim.name for one in found)}
    main = [
        tag("h1", TITLE),
        tag("p", LEAD),
        tag("p", CAUTION),
        tag("h2", "Verdicts", id="verdicts"),
        tag("p", tally_text(found)),
        wanted(found),
        contents(found),
        tag("h2", "How to read this page", id="reading"),
        tag(
            "dl",
            [
                (tag("dt", head), tag("dd", text))
                for head, text in reading([a.claim for a in found])
            ],
        ),
        tag("h2", "The model in a few terms", id="terms"),
        tag("dl", [(tag("dt", head), tag("dd", text)) for head, text in TERMS]),
        _emergence(scenarios),
        regime_part(regimes, partial_at="footnote4" if "footnote4" in there else None),
        [section(one, how, there=there) for one in found],
        _colophon(found, how),
    ]
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", TITLE),
        tag("style", Html(style_sheet())),
    ]
    body = [
        tag("a", "Skip to the verdicts", href="#verdicts", class_="skip"),
        tag("main", main),
        tag("script", Html(SCRIPT + MAP_SCRIPT)),
    ]
    page = tag("html", tag("head", head), tag("body", body), lang="en")
    return f"<!DOCTYPE html>\n{page}\n"


def _emergence(scenarios: Sequence[Emergence]) -> list[Html]:
    """Return the small multiples, and what the scenarios are."""
    figure, alternative = emergence_figure(scenarios)
    agents = scenarios[0].agents
    return [
        tag("h2", "When gaming emerges", id="emergence"),
        tag(
            "p",
            "A scenario is a small world: the contexts that a model meets, and what training "
            "rewards in each. Most are stories of the post, some are contrasts to one. In each, "
            f"{agents} agents that differ a little in awareness are trained; a line is a training "
            "context, and shows the median over agents.",
        ),
        figure_box(
            "emergence-figure", inline_svg(figure, name="emergence", alternative=alternative)
        ),
        fold(
            "scenarios", "What the scenarios are, and which contexts are gamed", _stories(scenarios)
        ),
    ]


def _stories(scenarios: Sequence[Emergence]) -> Html:
    rows = []
    for one in scenarios:
        contexts = [
            tag(
                "li",
                f"{name.replace('_', ' ')} ({'gamed' if rate[-1] >= GAMED else 'not gamed'}): "
                f"{one.scenario.contexts[name].description or 'no description'}",
            )
            for name, rate in one.rates.items()
        ]
        rows.append(
            [one.scenario.name.replace("_", " "), one.scenario.passage, tag("ul", contexts)]
        )
    heads = ["Scenario", "Passage of the post", "Training contexts"]
    return table(heads, rows, caption="The scenarios of the library")


def _colophon(found: Sequence[Answer], how: How) -> Html:
    runs = sum(one.measured.runs for one in found)
    told = [f"size={how.size:g}"] if how.size != 1.0 else []
    if how.seed:
        told.append(f"seed={how.seed}")
    again = f'make report ARGS="{" ".join(told)}"' if told else "make report"
    other = [*told[: len(told) - bool(how.seed)], f"seed={how.seed + 1}"]
    return tag(
        "section",
        tag("h2", "How this page was made"),
        tag(
            "p",
            f"{runs:,} runs, from seed {how.seed}. The same command with the same versions makes "
            "the same page; the second draws other agents, and other points where there is no "
            "grid, which shows how much of a number is owed to them.",
        ),
        tag("pre", tag("code", f'{again}\nmake report ARGS="{" ".join(other)}"')),
        id="colophon",
    )
