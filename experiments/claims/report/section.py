"""A claim's section: what a reader needs in view, and what is folded away until it is asked for."""

from __future__ import annotations

from collections.abc import Collection

from experiments.claims.figure import MOST, alternative_text, claim_figure
from experiments.claims.figure_svg import inline_svg
from experiments.claims.measures import How
from experiments.claims.readings import judged_readings, reading_text
from experiments.claims.report.beside import beside, figure_box
from experiments.claims.report.experiment import experiment, levels, numbers, tests
from experiments.claims.report.markup import Content, Html, tag
from experiments.claims.report.verdicts import badge
from experiments.claims.study import Answer, verdict_text

#: What belongs together: by claim, the claim or part of the page that it leads to, and why.
_RELATED = {
    "picture": [("define_terms", "what changes with the definition")],
    "evidential": [("conjunction", "the funnel, which counts the same agents")],
    "causal": [("evidential", "what gaming is evidence of")],
    "define_terms": [("footnote1", "the two senses of one word")],
    "conjunction": [("evidential", "what seeing the same agents game says of them")],
    "footnote1": [("define_terms", "five definitions instead of two")],
    "footnote4": [("regimes", "the map of regimes, in which gaming some of the time is one")],
    "footnote6": [("footnote7", "the exception that the post thinks of")],
    "footnote7": [("footnote6", "what sabotage needs")],
}


def fold(name: str, says: str, content: Content) -> Html:
    """Return content that is folded away: a key, a link to it and printing open it."""
    return tag("details", tag("summary", says), content, id=name, class_="fold")


def section(found: Answer, how: How, *, there: Collection[str]) -> Html:
    """Return a claim's section.

    Args:
        found: The claim with what came out.
        how: How it was run.
        there: Which claims, and parts besides claims, the page has.
    """
    claim, judged = found.claim, found.judged
    more = beside(found, funnel="conjunction" in there)
    own = _own_figure(found)
    has_figure = claim.name in ("conjunction", "footnote4")
    by_level = levels(found)
    shown = has_figure and judged.kind == "depends"
    return tag(
        "section",
        tag("h2", claim.title, " ", badge(found)),
        tag("p", tag("strong", claim.says)),
        tag(
            "blockquote",
            tag("p", f"“{claim.quote}”"),
            tag("footer", f"The post: {claim.passage}"),
        ),
        tag(
            "div",
            tag("p", verdict_text(found)),
            [tag("p", reading_text(*one)) for one in judged_readings(found)],
            class_=f"verdict {judged.kind}",
        ),
        tag("h3", "What it means here"),
        tag("p", claim.means),
        (tag("h3", "Why"), tag("p", claim.why)) if claim.why else None,
        by_level if shown else None,
        None if has_figure else own,
        more,
        (tag("h3", "What it cannot say"), tag("p", claim.limits)) if claim.limits else None,
        fold(
            f"{claim.name}-numbers",
            "The numbers: each test, and how the quantities lie",
            [
                own if has_figure else None,
                tests(found),
                None if shown else by_level,
                numbers(found),
            ],
        ),
        fold(
            f"{claim.name}-experiment",
            "The experiment: what was run, and the command that repeats it",
            experiment(found, how),
        ),
        _related(claim.name, there),
        id=claim.name,
    )


def _own_figure(found: Answer) -> Html:
    name = found.claim.name
    svg = inline_svg(claim_figure(found), name=name, alternative=alternative_text(found))
    tests = len(found.claim.test)
    met = f"{int(found.judged.true.sum()):,} of {int(found.judged.given.sum()):,} points"
    caption = (
        f"{f'All {tests} tests are' if tests > 1 else 'The test is'} met at {met}. Dashed on the "
        f"left: {'thresholds' if tests > 1 else 'the threshold'}. On the right, at most {MOST} "
        "points of each kind are drawn"
        + ("; those of one level stand apart to be seen." if found.claim.region.grid else ".")
    )
    return figure_box(f"{name}-figure", svg, caption)


def _related(name: str, there: Collection[str]) -> Html:
    links = [
        (tag("a", text, href=f"#{'funnel' if to == 'conjunction' else to}"), " · ")
        for to, text in _RELATED.get(name, ())
        if to in there
    ]
    back = tag("a", "Back to the verdicts", href="#verdicts")
    return tag("p", "See also " if links else "", links, back, class_="meta")
