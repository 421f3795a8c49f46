"""What the page says before the claims: how to read it, and the model in a few terms."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.claims.report.passages import short_passage
from experiments.claims.spec import Claim
from experiments.claims.study import share_text
from sim.utils.format import join_words

LEAD = (
    "The post “Distinguish worst-case analysis from instrumental training-gaming” (Järviniemi, "
    "2024) sets two things apart that share one word: a model that games its training as a means "
    "to an end, and a model that is a worst case. Here its claims are run, one by one, in a "
    "simulator of training dynamics. Every verdict is computed from runs. What counts as true, "
    "and over which assumptions that is tried, are choices; they stand in the claims' files "
    "(experiments/claims/) and in each section."
)
CAUTION = (
    "What a run shows, it shows of this model. Its default numbers are chosen so that the "
    "post's stories can happen, not estimated from data, and a share of points is a share "
    "of a region, not a chance in the world. What can be taken away is which assumption a "
    "claim hangs on."
)


def reading(claims: Sequence[Claim]) -> list[tuple[str, str]]:
    """Return how to read the page.

    Args:
        claims: Those that are in it.
    """
    grids = [short_passage(one.passage) for one in claims if one.region.grid]
    other = (
        " Some claims are tried at a few levels instead, because each of their points is many "
        f"runs (in the table: {join_words(grids)}); their levels can lie outside the ranges of other "
        "claims."
        if grids
        else ""
    )
    enough = sorted({one.enough for one in claims})
    asked = join_words([share_text(share) for share in enough], "or") or ""
    return [
        (
            "A point",
            "is one choice of assumptions: how aware the agent is, how far it looks ahead, how "
            "training works. Each claim is tried at many points, and at each the agent is trained "
            "from the start. Assumptions with a range are spread evenly over it; the range of an "
            f"assumption is the same in all claims that have one.{other}",
        ),
        (
            "Applies",
            "A claim about agents that game says nothing where nobody games. Points to which it "
            "does not apply are counted and left out.",
        ),
        (
            "True at a point",
            "All tests of the claim are met there. A figure in each section shows them (folded "
            "away at footnote 4 and the funnel): left, how each quantity that is tested lies over "
            "the points; right, where over two assumptions the claim is true.",
        ),
        (
            "95 % interval",
            "of the share of points at which the claim is true (Clopper and Pearson): how much of "
            "the share is owed to which points were drawn. The points of a grid are all there are, "
            "so there is none.",
        ),
        (
            "Holds",
            "True at every point to which it applies; or at so many that the lower end of the "
            f"interval (of a grid: the share) is not below {asked}.",
        ),
        (
            "Depends",
            "True at some points: mostly (two thirds or more), seldom (a third or less), or about "
            "half. The best short rule says where: one or two thresholds of assumptions, "
            "searched on half of the points and judged on the other half (of a grid, on all of "
            "it). A rule is told only if it does better than chance.",
        ),
        ("Fails", "True at none."),
    ]


TERMS = (
    (
        "Agent",
        "A model in training. It has values, habits, and an awareness of being trained.",
    ),
    (
        "Context",
        "A kind of input, with the responses that the agent can give and the reward that "
        "training gives for each.",
    ),
    (
        "Awareness",
        "The chance that training comes to mind, a = σ(α + χ info + γ scratchpad), where σ turns "
        "any number into a chance: more if the input tells about training, or if there is room to "
        "think. What claims set is α, “awareness at the start”.",
    ),
    (
        "Stake",
        "How fast training in this context would wear the agent's values down. Zero where "
        "training agrees with them.",
    ),
    (
        "Incentive",
        "Horizon (how much it cares about its future values) times belief that this input "
        "is trained on times stake, less what gaming costs.",
    ),
    (
        "Decision d and gaming rate g",
        "d = σ(habit + rationality × incentive), the chance of gaming once training is in "
        "mind; g = a d. To game is a way of thinking: to give the response that is rewarded "
        "because it is. An agent is said to game where g is 0.5 or more.",
    ),
    (
        "Training",
        "Follows the gradient of the expected reward, for values, habits, awareness, "
        "horizon and competence alike. Gamed answers shield the values from it, except for the "
        "leak.",
    ),
    (
        "Motive credit, leak, spread, anchor",
        "How much of the reward for gaming is credited to what motivated it; how much gamed "
        "answers train the values all the same; how far habits carry over to other "
        "contexts; how hard everything is pulled back to where it began, as weight decay towards "
        "the starting weights would.",
    ),
    (
        "Rationality, log horizon, capability, learning rate",
        "How much the incentive counts in the decision beside habit (0: not at all); the logarithm "
        "of the horizon at the start; each capability at the start, as a logit (0: one half); how "
        "fast training changes values, habits or awareness.",
    ),
    (
        "Alignment",
        "Cosine of the agent's values with human values: 1 the same, −1 opposite; −0.5 or "
        "less is called egregious misalignment.",
    ),
    (
        "Consistency",
        "The least chance, over all contexts before deployment, of the answer that looks "
        "best there.",
    ),
    (
        "Worst case",
        "Eight terms at once: egregious misalignment, consistency, opacity, sandbagging, "
        "composure, coordination, subversion, and a shift of behaviour in deployment. Each has a "
        "line and its threshold at the funnel.",
    ),
    (
        "Twin",
        "The same agent with the same random draws in a world that differs in one thing; or "
        "a context that differs from another in a cue alone: how much the input looks like "
        "training.",
    ),
    (
        "Regime",
        "How gaming ends in a run: in no context, in some or in all, and whether its rate still "
        "moves.",
    ),
)
