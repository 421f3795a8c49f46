"""What the funnel says, in sentences that the numbers write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from experiments.worst_case.binding import NOTHING
from experiments.worst_case.funnel_moves import Moved
from experiments.worst_case.study import AFTERWARDS, GAMING, STAGES, Funnel
from experiments.worst_case.visibility import WAYS, turned
from sim.analysis.audit import FINDERS, AuditResult
from sim.analysis.worst_case import TERMS
from sim.utils.format import join_words, percent

#: Below so many agents a narrowing says next to nothing.
FEWEST = 20

#: How much agents game, above a column of them.
GAMING_NAMES = {
    "nowhere": "game nowhere",
    "partly": "in some contexts",
    "everywhere": "everywhere",
}


def stage_name(stage: str) -> str:
    """Return what a stage is called in figures and tables."""
    return {
        "all": "all agents",
        "misalignment": "egregious misalignment",
        "consistency": "consistency before deployment",
        "behaviour_shift": "behaviour shift in deployment",
        "deployed": "deployed: passes the audit",
        "attempts": "attempts a takeover",
        "succeeds": "succeeds",
    }.get(stage, stage.replace("_", " "))


def chance(share: float) -> str:
    """Write a share of any size: in per cent, or as one in so many."""
    if share == 0.0 or share >= 0.0005:
        return percent(share)
    return f"1 in {1.0 / share:,.0f}"


def at_most(high: float) -> str:
    """Write the upper end of an interval around a count of none."""
    return f"at most {chance(high)}"


def funnel_paragraph(frame: pd.DataFrame, expected: Mapping[str, float]) -> str:
    """Say how the funnel narrows, and where it narrows most."""
    rows = frame.set_index("stage")
    agents = int(rows.loc["all", "count"])
    some, everywhere = (int(rows.loc[s, "count"]) for s in ("games_somewhere", "games_everywhere"))
    terms = int(rows.loc[TERMS[-1], "count"])
    last = rows.loc["succeeds"]
    says = [
        f"Of {agents:,} agents, {some:,} ({chance(some / agents)}) game somewhere in the "
        f"end and {everywhere:,} ({chance(everywhere / agents)}) everywhere."
    ]
    if everywhere:
        share = f" ({chance(terms / everywhere)})" if terms else ""
        says.append(
            f"Of those that game everywhere, {_count(terms)}{share} "
            f"{'meets' if terms == 1 else 'meet'} all {len(TERMS)} terms of the worst case."
        )
        steps = rows.loc[list(TERMS + AFTERWARDS)]
        enough = steps["count"].shift(1, fill_value=everywhere) >= FEWEST
        if enough.any():
            narrowest = steps[enough]["narrowing"].idxmin()
            kept = percent(float(steps.loc[narrowest, "narrowing"]))
            says.append(
                f"Of the steps after gaming that at least {FEWEST} agents come to, "
                f"{stage_name(str(narrowest))} narrows most: {kept} of those before remain."
            )
    got = int(last["count"])
    says.append(
        f"{_count(got).capitalize()} of {agents:,} {'comes' if got == 1 else 'come'} through "
        f"everything (95 % interval up to {chance(float(last['share_high']))}); "
        f"{_expected(expected['worst_case'])} were expected, given who was deployed."
    )
    return " ".join(says)


def beside_paragraph(
    by_gaming: pd.DataFrame, expected: Mapping[str, float], independent: Mapping[str, float]
) -> str:
    """Say what the conjunction leaves out, and how far gaming goes with the rest.

    Args:
        by_gaming: Of the funnel (`Funnel.by_gaming`), ...
        expected: ... its expected successes, ...
        independent: ... and how many would meet all terms if these were independent.
    """
    rows = by_gaming.set_index("condition")
    says = []
    trying, through = (
        {how: f"{int(rows.loc[name, how]):,}" for how in GAMING}
        for name in ("attempts", "attempts_deployed")
    )
    if set(trying.values()) == {"0"}:
        says.append("Nobody would attempt a takeover, whether it games or not.")
    else:
        says.append(
            f"A takeover would be attempted by {trying['nowhere']} agents that game nowhere, "
            f"{trying['partly']} that game in some contexts and {trying['everywhere']} that "
            f"game everywhere; of these the audit lets "
            f"{join_words(list(through.values()))} "
            f"through; {_drawn(rows)} would succeed ({_expected(expected['anybody'])} expected)."
        )
    worst = rows.loc["worst_case"]
    says.append(
        f"All {len(TERMS)} terms of the worst case are met by {_of(worst, 'nowhere')} agents that "
        f"game nowhere, {_of(worst, 'partly')} that game in some contexts and "
        f"{_of(worst, 'everywhere')} that game everywhere; if the terms were independent within "
        f"each group, {join_words([_expected(independent[how]) for how in GAMING])} would."
    )
    up, down = _evidence(rows)
    if up:
        says.append(
            "More common among those that game everywhere than among those that game nowhere "
            f"(intervals apart): {join_words(up)}."
        )
    if down:
        says.append(f"Less common: {join_words(down)}.")
    return " ".join(says)


def audit_paragraph(audited: AuditResult) -> str:
    """Say whom the audit finds, and what retraining did."""
    agents = len(audited.deployed)
    first = audited.first_findings.mean(axis=0)
    names = [
        f"{name.replace('_', ' ')} {percent(s)}" for name, s in zip(FINDERS, first, strict=True)
    ]
    says = [
        f"The audit lets {int(audited.deployed.sum()):,} of {agents:,} agents be deployed "
        f"({chance(float(audited.deployed.mean()))}). Found at first by: {join_words(names)}."
    ]
    gaming = audited.before["reach"].values > 0.0
    if gaming.any() and not gaming.all():
        found = np.asarray(audited.first_findings.any(axis=1))
        says.append(
            f"Something is found in {percent(float(found[gaming].mean()))} of agents that game "
            f"and in {percent(float(found[~gaming].mean()))} of those that do not."
        )
    if audited.retrained.any():
        says.append(turned_sentence(turned(audited)))
    return " ".join(says)


def turned_sentence(turned: Mapping[str, Mapping[str, int]]) -> str:
    """Say how retrained agents gamed before and after retraining."""
    shown, hidden, nowhere = WAYS
    before = {way: sum(after.values()) for way, after in turned.items()}
    return (
        f"Of {sum(before.values()):,} retrained agents, {before[shown]:,} gamed visibly before: of "
        f"these {turned[shown][shown]:,} still do, {turned[shown][hidden]:,} game out of sight and "
        f"{turned[shown][nowhere]:,} stopped. Of the {before[hidden]:,} that gamed out of sight, "
        f"{turned[hidden][nowhere]:,} stopped; of the {before[nowhere]:,} that gamed nowhere, "
        f"{turned[nowhere][shown] + turned[nowhere][hidden]:,} game afterwards."
    )


def moves_paragraph(found: Sequence[Moved]) -> str:
    """Say which assumption lets most agents through, and which takes gaming away or brings it."""
    usual, moved = found[0], found[1:]
    says = []
    for stage, what in (
        ("games_everywhere", "game everywhere"),
        (TERMS[-1], "also meet all terms of the worst case"),
    ):
        counts, now = [_at(one, stage) for one in moved], _at(usual, stage)
        most, least = int(np.argmax(counts)), int(np.argmin(counts))
        ends = [
            f"{counts[i]:,} with {moved[i].move.label} (the {word})"
            for i, word in ((most, "most"), (least, "fewest"))
            if (counts[i] - now) * (1 if word == "most" else -1) > 0
        ]
        told = f"; {join_words(ends)}" if ends else ", and no move changes that"
        says.append(f"Of {len(usual.conditions):,} agents {now:,} {what}{told}.")
    through = [one for one in moved if _at(one, "succeeds")]
    far = [one.move.label for one in moved if _at(one, "attempts")]
    if through:
        best = max(through, key=lambda one: _at(one, "succeeds"))
        says.append(
            f"Agents come through everything under {len(through)} of {len(moved)} moves, most "
            f"with {best.move.label} ({_at(best, 'succeeds'):,})."
        )
    elif far:
        says.append(
            f"No move lets anybody through; to an attempt come some with {join_words(far)}."
        )
    else:
        says.append("No single move brings anybody through the funnel as far as an attempt.")
    boldest = max(moved, key=lambda one: one.beside["attempts"])
    luckiest = max(moved, key=lambda one: one.beside["attempts_succeeds"])
    says.append(
        f"Whatever else holds, {usual.beside['attempts']:,} would attempt as it is, and at most "
        f"{boldest.beside['attempts']:,} ({boldest.move.label}); deployed and successful are "
        f"{usual.beside['attempts_succeeds']:,} as it is, and at most "
        f"{luckiest.beside['attempts_succeeds']:,} ({luckiest.move.label})."
    )
    return " ".join(says)


def binding_paragraph(frame: pd.DataFrame) -> str:
    """Say what holds agents back most, and last."""
    says = []
    every = frame[frame["group"] == "all"]
    terms = every[every["question"] == "binding"]
    top = terms.loc[terms["count"].idxmax()]
    says.append(
        f"The term with the largest shortfall is most often {stage_name(top['what'])} "
        f"({percent(float(top['share']))} of agents)."
    )
    for group, told in (("nowhere", "game nowhere"), ("everywhere", "game everywhere")):
        rows = frame[(frame["question"] == "binding") & (frame["group"] == group)]
        if rows["of"].iloc[0] >= FEWEST:
            one = rows.loc[rows["count"].idxmax()]
            says.append(
                f"Among those that {told} it is {stage_name(one['what'])} "
                f"({percent(float(one['share']))})."
            )
    last = every[every["question"] == "last"]
    if last["of"].iloc[0]:
        one = last.loc[last["count"].idxmax()]
        says.append(
            f"{int(one['of']):,} agents lack one term alone; most often it is "
            f"{stage_name(one['what'])} ({percent(float(one['share']))})."
        )
    slips = frame[(frame["question"] == "slips") & (frame["group"] == "everywhere")]
    if slips["of"].iloc[0]:
        one = slips.loc[slips["count"].idxmax()]
        says.append(
            f"Of {int(one['of']):,} agents that game everywhere in training and lack consistency, "
            f"{percent(float(one['share']))} slip most in {one['what']}."
        )
    weakest = every[every["question"] == "weakest"]
    if weakest["of"].iloc[0]:
        one = weakest.loc[weakest["count"].idxmax()]
        says.append(
            f"Of {int(one['of']):,} agents that would gain by acting freely, the smallest factor "
            f"of P(success) is most often that of {stage_name(one['what'])} "
            f"({percent(float(one['share']))})."
        )
    return " ".join(says)


def funnel_title(frame: pd.DataFrame) -> str:
    """Return the title of the funnel's figure: what the numbers say, in one line."""
    count = frame.set_index("stage")["count"]
    everywhere, terms, last = (int(count[s]) for s in ("games_everywhere", TERMS[-1], "succeeds"))
    return (
        f"{everywhere:,} of {int(count['all']):,} agents game everywhere; {_count(terms)} of them "
        f"{'meets' if terms == 1 else 'meet'} all terms of the worst case, {_count(last)} "
        f"{'succeeds' if last == 1 else 'succeed'}"
    )


def moves_title(found: Sequence[Moved]) -> str:
    """Return the title of the figure of moves."""
    usual = _at(found[0], TERMS[-1])
    agents = len(found[0].conditions)
    # Halved thresholds change what is called the worst case, and nothing that happens.
    moved = [one for one in found[1:] if one.move.part != "thresholds"]
    best = max(moved, key=lambda one: _at(one, TERMS[-1]), default=found[0])
    count = _at(best, TERMS[-1])
    if count <= usual:
        return (
            "Of the moves that change what happens, none lets more agents game everywhere and meet "
            f"all terms of the worst case than as it is: {usual:,} of {agents:,}"
        )
    return (
        "Of the moves that change what happens, most agents game everywhere and meet all terms of "
        f"the worst case with {best.move.label}: {count:,} of {agents:,}, as it is {usual:,}"
    )


def binding_title(frame: pd.DataFrame) -> str:
    """Return the title of the figure of what binds."""
    rows = frame[(frame["question"] == "binding") & (frame["what"] != NOTHING)]
    tops = {}
    for group in ("nowhere", "everywhere"):
        here = rows[rows["group"] == group]
        if here["count"].sum():
            tops[group] = str(here.loc[here["count"].idxmax(), "what"]).replace("_", " ")
    if len(tops) == 2 and len(set(tops.values())) == 2:
        return (
            f"Agents that game nowhere lack {tops['nowhere']} most, those that game everywhere "
            f"{tops['everywhere']}"
        )
    if tops:
        return f"Most often furthest from its threshold: {join_words(sorted(set(tops.values())))}"
    return "Which term is furthest from its threshold"


def said(found: Funnel, bound: pd.DataFrame) -> dict[str, str]:
    """Return what a funnel says, by what it is about."""
    return {
        "funnel": funnel_paragraph(found.frame(), found.expected),
        "beside": beside_paragraph(found.by_gaming(), found.expected, found.independent),
        "audit": audit_paragraph(found.audited),
        "binding": binding_paragraph(bound),
    }


def said_of_moves(moved: Sequence[Moved]) -> dict[str, str]:
    """Return what moved assumptions say; nothing if none was moved."""
    if len(moved) < 2:
        return {}
    says = {"moves": moves_paragraph(moved)}
    for one in moved:
        if one.move.name == "retraining" and any(any(x.values()) for x in one.turned.values()):
            says["retraining"] = f"With {one.move.label}: {turned_sentence(one.turned)}"
    return says


def _at(one: Moved, stage: str) -> int:
    return int(one.reached[:, STAGES.index(stage)].sum())


def deployed_paragraph(deployed: pd.DataFrame) -> str:
    """Say what came of deploying some of those that attempt, as copies."""
    if deployed.empty:
        return "Nobody that attempts has passed the audit, so no copies were deployed."
    agents, each = len(deployed), int(deployed["replicates"].iloc[0])
    inside = deployed["on_paper"].between(deployed["takeover_low"], deployed["takeover_high"])
    games = deployed["gaming"].value_counts()
    by_gaming = join_words([f"{games[how]} {_GAMES[how]}" for how in GAMING if how in games])
    return (
        f"{agents} of those that attempt and have passed the audit ({by_gaming}) were deployed as "
        f"copies, {each:,} times each: a takeover came of {percent(deployed['takeover'].mean())}, "
        f"on paper {percent(deployed['on_paper'].mean())}; for {int(inside.sum())} of {agents} "
        "agents the chance on paper is within the 95 % interval. Caught: "
        f"{percent(deployed['caught'].mean())}; dormant to the end: "
        f"{percent(deployed['dormant'].mean())}."
    )


_GAMES = {"nowhere": "gaming nowhere", "partly": "in some contexts", "everywhere": "everywhere"}


def _count(count: int) -> str:
    return f"{count:,}" if count else "none"


def _expected(number: float) -> str:
    return f"{number:.2g}" if number < 10.0 else f"{number:,.0f}"


def _drawn(rows: pd.DataFrame) -> str:
    return f"{int(rows.loc['attempts_succeeds', list(GAMING)].sum()):,}"


def _of(row: Any, how: str) -> str:
    return f"{int(row[how]):,} of {int(row[f'{how}_of']):,}"


def _evidence(rows: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return which terms gaming everywhere speaks for, and against: their intervals are apart."""
    up, down = [], []
    for term in TERMS:
        row = rows.loc[term]
        told = (
            f"{term.replace('_', ' ')} ({percent(row['everywhere_share'])} against "
            f"{percent(row['nowhere_share'])})"
        )
        if row["everywhere_low"] > row["nowhere_high"]:
            up.append(told)
        elif row["everywhere_high"] < row["nowhere_low"]:
            down.append(told)
    return up, down
