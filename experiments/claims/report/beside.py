"""What two claims have beside their own figure: footnote 4 case by case, and the funnel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.claims.figure_beside import beside_figure
from experiments.claims.figure_svg import inline_svg
from experiments.claims.funnel_text import (
    attempts_text,
    brief_text,
    chance_text,
    context_texts,
    contexts_text,
    everywhere_text,
    near_text,
    post_text,
    steps_text,
    term_texts,
    together_text,
    training_text,
)
from experiments.claims.measures import How
from experiments.claims.populations import NEAR, Population
from experiments.claims.report.markup import Content, Html, table, tag
from experiments.claims.spec import Claim
from experiments.claims.studies import funnel_point, populations_setting
from experiments.claims.study import Answer, axis_text, number_text, share_text
from experiments.footnote4.partial_gaming import PERTURBATION, Outcome
from experiments.worst_case.funnel import stage_name
from sim.analysis.worst_case import TERMS, Thresholds
from sim.specs.deployment import Deployment
from sim.specs.prior import Prior
from sim.utils.format import join_words, percent


def figure_box(name: str, svg: str, caption: Content = None) -> Html:
    """Return a figure that scrolls by itself, and says so, where a page is narrower than it."""
    return tag(
        "figure",
        tag("p", "Scroll the figure sideways →", class_="hint"),
        tag("div", Html(svg), class_="scroll", tabindex=0, role="group", aria_label="Figure"),
        tag("figcaption", caption) if caption else None,
        id=name,
    )


def beside(found: Answer, *, funnel: bool) -> Content:
    """Return what a claim's study shows in more detail; None: nothing.

    Args:
        found: The claim with what came out.
        funnel: Whether the page has the funnel, to lead to.
    """
    of = found.measured.beside
    if of.get("footnote4"):
        return _cases(found, of["footnote4"])
    if of.get("funnels"):
        funnels: Mapping[str, Population] = of["funnels"]
        return (
            _funnel(found, funnels)
            if found.claim.name == "conjunction"
            else (_everywhere(found, funnels, leads=funnel))
        )
    return None


def _drawn(found: Answer) -> Html:
    drawn = beside_figure(found)
    assert drawn is not None
    figure, alternative = drawn
    name = f"{found.claim.name}-beside"
    return figure_box(f"{name}-figure", inline_svg(figure, name=name, alternative=alternative))


def _cases(found: Answer, outcomes: Sequence[Outcome]) -> Content:
    story = outcomes[0].context.replace("_", " ")
    looked_at = max(sum(one.fixed_points.values()) for one in outcomes)
    return [
        tag("h3", f"Case by case, in the {story}", id="cases"),
        tag(
            "p",
            f"The same in one context of one story, with {outcomes[0].agents} agents a panel. "
            "Each panel is one assumption; its colours are shares of agents over training (a "
            "logarithmic scale). Where the band of the undecided goes, being undecided did not "
            "last.",
        ),
        _drawn(found),
        table(
            ["assumption", "undecided at the end", "half by step", "left of a nudge", "verdict"],
            [
                [
                    one.case.label,
                    percent(one.undecided[-1]),
                    f"{one.half_life:,.0f}" if np.isfinite(one.half_life) else "–",
                    "–" if np.isnan(one.perturbation_ratio) else f"{one.perturbation_ratio:.2f}",
                    one.verdict,
                ]
                for one in outcomes
            ],
            caption="Agents that start undecided, under each assumption",
        ),
        tag(
            "details",
            tag("summary", "What each panel assumes, and what a nudge is"),
            tag(
                "dl",
                [(tag("dt", one.case.label), tag("dd", one.case.meaning)) for one in outcomes],
            ),
            tag(
                "p",
                f"A nudge moves the log-odds of gaming by {PERTURBATION:g}, at half-time, in those "
                "that are still undecided; what is left of it at the end, as a share, tells "
                "whether something brings them back. A stable fixed point was looked for from "
                f"where the undecided ended, from at most {looked_at} of them in a case.",
            ),
            id="cases-assume",
            class_="fold",
        ),
    ]  # fmt: skip


def _funnel(found: Answer, funnels: Mapping[str, Population]) -> Content:
    scenario, steps, _ = populations_setting(found.claim, How())
    contexts = context_texts(scenario)
    return [
        tag("h3", "The funnel", id="funnel"),
        tag(
            "p",
            training_text(scenario, steps),
            f" To game everywhere is to game in all {len(contexts)} training contexts:",
        ),
        tag(
            "dl",
            [
                (tag("dt", name.capitalize()), tag("dd", text))
                for name, text in contexts.items()
            ],
        ),
        tag("p", _which_point(found.claim)),
        tag(
            "p",
            "Read a column from the top. A bar counts who meets its condition and all above it: "
            "of all agents, those that game somewhere; of these, those that game everywhere; of "
            "these, those that are egregiously misaligned; and so on. A ring counts who meets "
            "that one condition, whatever else they do. The scale is logarithmic: half the length "
            "is much less than half as many.",
        ),
        tag("p", steps_text(funnels)),
        _drawn(found),
        tag(
            "p",
            "The claim is about the eight terms whether an agent games or not, and the funnel puts "
            "gaming before them. So, like with like:",
        ),
        tag("ul", [tag("li", together_text(prior, one)) for prior, one in funnels.items()]),
        _paragraph(chance_text(funnels)),
        _warning(funnels),
        tag("p", attempts_text(funnels, Deployment().caution)),
        tag("h4", "Those that game everywhere", id="everywhere"),
        _who_games_everywhere(funnels),
        tag("h4", "The priors and the eight terms"),
        tag(
            "dl",
            [
                (tag("dt", f"Prior: {prior}"), tag("dd", _about(prior)))
                for prior in funnels
            ],
        ),
        _terms(funnels),
    ]  # fmt: skip


def _who_games_everywhere(funnels: Mapping[str, Population]) -> Content:
    """Return the counts, then the reason, then what follows."""
    told = (everywhere_text, near_text, contexts_text, post_text)
    return [_paragraph(text(funnels)) for text in told]


def _paragraph(text: str) -> Content:
    return tag("p", text) if text else None


def _which_point(claim: Claim) -> str:
    point = [f"{axis_text(key)} {number_text(value)}" for key, value in funnel_point(claim).items()]
    per = 1
    for levels in claim.region.grid.values():
        per *= len(levels)
    return (
        f"Of the {per} points of each prior, the funnel shows the one at which training is as it "
        f"is by default ({join_words(point)}). It is chosen by this rule, before anything is counted; "
        "at the other points only the claim itself is tried."
    )


def _warning(funnels: Mapping[str, Population]) -> Content:
    """Say where a run of bars rests on a handful of agents, so that nobody reads steps into it."""
    few = []
    for prior, one in funnels.items():
        counts = [one.count(term) for term in TERMS]
        left = [number for number in counts if number]
        if left and left[-1] < 10 and counts.count(left[-1]) > 1:
            few.append(
                f"{left[-1]} {'agent' if left[-1] == 1 else 'agents'} under “{prior}”, in "
                f"{counts.count(left[-1])} bars in a row"
            )
    if not few:
        return None
    return tag(
        "p",
        f"Some bars rest on a handful of agents ({join_words(few)}): they cannot show which of these "
        "conditions lets fewer through.",
    )


def _about(prior: str) -> str:
    return f"{Prior.load(prior).about.capitalize()}."


def _terms(funnels: Mapping[str, Population]) -> Html:
    texts = term_texts(Thresholds())
    rows = [
        [
            stage_name(term),
            texts[term],
            *(share_text(one.alone(term) / one.agents) for one in funnels.values()),
        ]
        for term in TERMS
    ]
    heads = ["Term", "What it asks", *funnels]
    caption = "The eight terms, and the share of agents that meets each whatever else they do"
    return table(heads, rows, caption=caption)


def _everywhere(found: Answer, funnels: Mapping[str, Population], *, leads: bool) -> Content:
    head = tag("h3", "Gaming somewhere, gaming everywhere")
    ratios = _ratios(found)
    if not leads:
        return [head, ratios, _who_games_everywhere(funnels)]
    return [
        head,
        ratios,
        tag(
            "p",
            "Counted among ",
            tag("a", "the agents of the funnel", href="#funnel"),
            f", where training is as it is by default: {brief_text(funnels)} Which of these "
            "differences are beyond chance, why, and what follows for the post's sentence on "
            "consistent gaming: ",
            tag("a", "those that game everywhere", href="#everywhere"),
            ".",
        ),
    ]


def _ratios(found: Answer) -> Content:
    """Say the likelihood ratios of gaming in one context and in all, as medians over points."""
    frame = found.frame()
    frame = frame[frame["given"]]

    def median(name: str, where: str) -> str:
        return number_text(round(float(frame.loc[frame[where].notna(), name].median()), 2))

    points = {name: int(frame[name].notna().sum()) for name in ("ratio", "near_ratio")}
    says = []
    if points["ratio"]:
        says.append(
            "The verdict is about gaming in one training context, drawn at random. For egregious "
            f"misalignment the median of its likelihood ratio is {median('ratio', 'ratio')}, over "
            f"the {points['ratio']} points at which it is defined."
        )
    if points["near_ratio"]:
        says.append(
            f"For being near the worst case (lacking at most {NEAR} of its eight terms) it is "
            f"{median('near_ratio', 'near_ratio')}, over {points['near_ratio']} points; at these "
            f"the median for egregious misalignment is {median('ratio', 'near_ratio')}."
        )
    every = int(frame["ratio_everywhere"].notna().sum())
    if every:
        says.append(
            "Gaming in all training contexts tells something else: for egregious misalignment its "
            f"median is {median('ratio_everywhere', 'ratio_everywhere')}, over {every} points; at "
            f"these that of gaming in one is {median('ratio', 'ratio_everywhere')}."
        )
    if not says:
        return None
    numbers = tag("a", "the numbers", href=f"#{found.claim.name}-numbers")
    return tag("p", f"{' '.join(says)} Elsewhere too few agents are of one kind: ", numbers, ".")
