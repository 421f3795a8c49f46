"""The table of verdicts, and how a verdict is shown: its kind and the share, never colour alone."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.claims.readings import judged_readings
from experiments.claims.report.markup import Content, Html, joined, table, tag
from experiments.claims.report.passages import short_passage
from experiments.claims.study import Answer, number_text, share_text, where_text
from sim.utils.format import join_words, span

#: What a reading group comes for: by claim, its name and the part of the page.
_WANTED = {
    "footnote4": ("Footnote 4: does gaming some of the time last?", "footnote4"),
    "conjunction": ("The funnel: from gaming to the worst case", "funnel"),
}
#: From which share on a claim is called mostly true, and up to which seldom.
MOSTLY, SELDOM = 2.0 / 3.0, 1.0 / 3.0


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
    return f"Of {len(found)} claims, tried at {points:,} points, {join_words(said)}."


def badge(found: Answer) -> Html:
    """Return the kind of a verdict, and of one that depends, how often it is true."""
    judged = found.judged
    said: str = judged.kind
    if said == "depends":
        share = judged.share
        how = "mostly" if share >= MOSTLY else "seldom" if share <= SELDOM else "about half"
        said = f"depends: {how} true"
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
    """Return what a reading group comes for, with what came out, as far as it is in the page."""
    there = [one for one in found if one.measured.beside and one.claim.name in _WANTED]
    if not there:
        return None
    items = []
    for one in there:
        text, place = _WANTED[one.claim.name]
        items.append(tag("li", tag("a", text, href=f"#{place}"), " ", _came(one)))
    return [tag("p", "Straight to"), tag("ul", items)]


def _came(found: Answer) -> str:
    """Say in a sentence what came out."""
    if "footnote4" in found.measured.beside:
        frame = found.frame()
        told = [
            f"{int(here['true'].sum())} of {len(here)} with {_anchor(float(level))}"
            for level, here in frame[frame["given"]].groupby("training.anchor")
        ]
        return (
            f"That being undecided does not last is true at {join_words(told)}; these agents started "
            "undecided, and an anchor pulls them back to there."
        )
    funnels = found.measured.beside["funnels"].values()
    counts = {
        "game somewhere": [one.count("games_somewhere") for one in funnels],
        "game everywhere": [one.count("games_everywhere") for one in funnels],
        "meet all eight terms of the worst case": [one.eight for one in funnels],
    }
    told = [f"{span(numbers)} {what}" for what, numbers in counts.items()]
    agents = next(iter(funnels)).agents
    return f"Of {agents:,} agents from each of {len(funnels)} priors, {join_words(told)}."


def _anchor(level: float) -> str:
    return "no anchor" if level == 0.0 else f"an anchor of {number_text(level)}"


def contents(found: Sequence[Answer]) -> Html:
    """Return the table of all verdicts, each with links to its section."""
    rows = [
        [
            tag("a", one.claim.title, href=f"#{one.claim.name}"),
            short_passage(one.claim.passage),
            badge(one),
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
    return f"{said}; read otherwise: {join_words(others)}" if others else said
