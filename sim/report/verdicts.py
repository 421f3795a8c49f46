"""The table of verdicts, and how a verdict is shown: its kind and the share, never colour alone."""

from __future__ import annotations

from collections.abc import Sequence

from sim.analysis.claims import Answer, share_text, where_text
from sim.analysis.claims_readings import judged_readings
from sim.analysis.words import listed
from sim.report.markup import Content, Html, joined, table, tag
from sim.report.passages import short_passage

#: What a reading group comes for: its name, the part of the page, and the claim that has it.
_WANTED = (
    ("footnote 4: does gaming some of the time last?", "footnote4", "footnote4"),
    (
        "the funnel: where additional claims make the worst case less likely",
        "funnel",
        "conjunction",
    ),
)


def tally_text(found: Sequence[Answer]) -> str:
    """Say how many claims hold, depend and fail."""
    kinds = [one.judged.kind for one in found]
    said = [
        f"{kinds.count(kind)} {word}"
        for kind, word in (
            ("holds", "hold"),
            ("depends", "depend on assumptions"),
            ("fails", "fail"),
            ("untried", "could not be tried"),
        )
        if kind in kinds
    ]
    points = sum(one.judged.points for one in found)
    return f"Of {len(found)} claims, tried at {points:,} points, {listed(said)}."


def badge(found: Answer) -> Html:
    """Return the kind of a verdict with the share of points at which the claim is true."""
    judged = found.judged
    said: str = judged.kind
    if said == "depends":
        said = f"depends: true at {share_text(judged.share)}"
    return tag("span", said, class_=f"badge {judged.kind}")


def share_bar(found: Answer) -> Html:
    """Return the share of points at which a claim is true, as a bar and in words."""
    judged = found.judged
    given = int(judged.given.sum())
    if judged.kind == "untried":
        return tag("span", "no point to which it applies")
    width = f"{100 * judged.share:.1f}%"
    return joined(
        [
            tag(
                "span",
                tag("span", style=f"width:{width}", class_=f"fill {judged.kind}"),
                class_="bar",
                aria_hidden="true",
            ),
            f"{share_text(judged.share)} of {given:,}",
        ]
    )


def wanted(found: Sequence[Answer]) -> Content:
    """Return links to what a reading group comes for, as far as it is in the page."""
    there = {one.claim.name for one in found if one.measured.beside}
    links = [tag("a", text, href=f"#{place}") for text, place, claim in _WANTED if claim in there]
    if not links:
        return None
    return tag("p", "Straight to ", links[0], [[" and ", one] for one in links[1:]], ".")


def contents(found: Sequence[Answer]) -> Html:
    """Return the table of all verdicts, each with links to its section."""
    rows = [
        [
            tag("a", one.claim.title, href=f"#{one.claim.name}"),
            short_passage(one.claim.passage),
            tag("span", one.judged.kind, class_=f"badge {one.judged.kind}"),
            share_bar(one),
            _where(one),
        ]
        for one in found
    ]
    heads = [
        "Claim",
        "In the post",
        "Verdict",
        "True at, of the points to which it applies",
        "Where",
    ]
    caption = "All claims in the post's order, footnotes last; the title leads to each"
    return tag("nav", table(heads, rows, caption=caption, class_="contents"), aria_label="Claims")


def _where(found: Answer) -> str:
    if found.judged.rule is not None:
        said = where_text(found.judged.rule, found.claim.region)
    else:
        every = found.judged.share == 1.0
        said = {
            "depends": "no short rule",
            "holds": "wherever it applies" if every else "nearly wherever it applies",
            "fails": "nowhere",
        }.get(found.judged.kind, "–")
    others = [
        f"{share_text(judged.share)} of {int(judged.given.sum()):,}"
        for _, judged in judged_readings(found)
        if judged.kind != "untried"
    ]
    return f"{said}; read otherwise: {listed(others)}" if others else said
