"""What the page says before the claims: how to read it, and the model in a dozen terms."""

from __future__ import annotations

LEAD = (
    "The post “Distinguish worst-case analysis from instrumental training-gaming” "
    "(Järviniemi, 2024) sets two things apart that share one word: a model that games its "
    "training as a means to an end, and a model that is as bad as can be. Here its claims "
    "are run, one by one, in a simulator of training dynamics. Every verdict is computed; "
    "none is written by hand."
)
CAUTION = (
    "What a run shows, it shows of this model. Its default numbers are chosen so that the "
    "post's stories can happen, not estimated from data, and a share of points is a share "
    "of a region, not a chance in the world. What can be taken away is which assumption a "
    "claim hangs on."
)
READING = (
    (
        "A point",
        "is one choice of assumptions: how aware the agent is, how far it looks ahead, how "
        "training works. Each claim is tried at many points, spread evenly over stated "
        "ranges, and at each the agent is trained from the start. The ranges are wide, and "
        "the same in all claims.",
    ),
    (
        "Applies",
        "A claim about agents that game says nothing where nobody games. Points to which it "
        "does not apply are counted and left out.",
    ),
    (
        "Holds",
        "True at every point to which it applies, or at the stated share with 95 % confidence.",
    ),
    (
        "Depends",
        "True at some points. The best short rule says where: one or two thresholds of "
        "assumptions, searched on half of the points and judged on the other half.",
    ),
    (
        "Fails",
        "True at none.",
    ),
)
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
        "The chance that training comes to mind, a = σ(α + χ info + γ scratchpad): more if "
        "the input tells about it, or if there is room to think.",
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
        "horizon and competence alike. Gamed answers shield the values from it, but for the "
        "leak.",
    ),
    (
        "Motive credit, leak, spread, anchor",
        "How much of the reward for gaming is credited to what motivated it; how much gamed "
        "answers train the values all the same; how far habits carry over to other "
        "contexts; how hard everything is pulled back to where it began.",
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
        "composure, coordination, subversion, and a shift of behaviour in deployment.",
    ),
    (
        "Twin",
        "The same agent with the same random draws in a world that differs in one thing; or "
        "a context that differs from another in a cue alone.",
    ),
)
