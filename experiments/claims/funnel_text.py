"""What the report says of the funnel's populations, in sentences that the numbers write."""

from __future__ import annotations

from collections.abc import Mapping

from experiments.claims.populations import (
    FEWEST_EXPECTED,
    NEAR,
    Pair,
    Population,
    Together,
)
from experiments.claims.study import share_text
from experiments.worst_case.funnel import stage_name
from sim.analysis.worst_case import TERMS, Thresholds
from sim.specs.scenario import Scenario
from sim.utils.format import join_words
from sim.utils.intervals import binomial_interval

#: What training pulls against in the contexts of `lab_to_deployment`.
_GUARDED = {
    "access_request": "a liking for power",
    "coding": "a liking for power",
    "ruthless_plan": "care for people",
    "song_request": "copyright",
}


def together_text(prior: str, one: Population) -> str:
    """Say how many meet all eight terms, how many if these were independent, and why not so."""
    alone = [one.alone(term) / one.agents for term in TERMS]
    return (
        f"{prior.capitalize()}: all eight terms together, gaming or not, are met by {one.eight:,} "
        f"of {one.agents:,} agents; were the terms independent, it would be "
        f"{_few(one.if_independent)}. Each alone is met by {share_text(min(alone))} to "
        f"{share_text(max(alone))} of agents.{_pairs_text(one)}"
    )


def _pairs_text(one: Population) -> str:
    """Say which two terms are met together least often against independence, and which most."""
    pairs = one.together
    if len(pairs) < 2:
        return ""
    least, most = pairs[0], pairs[-1]
    told = (
        f" Of the {len(pairs)} pairs of terms that enough agents can meet, {_pair(least)} are met "
        f"together least often against independence, by {_against(least, len(pairs))}; most often "
        f"{_pair(most)}, by {_against(most, len(pairs))}."
    )
    if least.ratio < 1.0 <= one.if_independent and least.beyond_chance(len(pairs)):
        told += (
            " With the first pair as rare as it is, and all else independent, all eight would be "
            f"met by {_few(one.if_independent * least.ratio)}."
        )
    return told


def _pair(pair: Together) -> str:
    return join_words([stage_name(name) for name in pair.names])


def _against(pair: Together, looked_at: int) -> str:
    how = "beyond" if pair.beyond_chance(looked_at) else "within"
    return f"{pair.both:,}, where {_few(pair.expected)} would be expected ({how} chance)"


def chance_text(populations: Mapping[str, Population]) -> str:
    """Say what “beyond chance” means of pairs, if there are any of which that is said."""
    if not any(len(one.together) > 1 for one in populations.values()):
        return ""
    return (
        "A pair counts as one that enough agents can meet if independence would give at least "
        f"{FEWEST_EXPECTED:g}. Beyond chance: by Fisher's exact test at 5 %, with so many pairs "
        "looked at."
    )


def steps_text(populations: Mapping[str, Population]) -> str:
    """Say how to compare a ring with its bar, and of which terms the bar is clearly shorter."""
    apart = [
        f"{stage_name(step.names[1])} under “{name}” ({step.both:,}, where "
        f"{_few(step.expected)} would be expected)"
        for name, one in populations.items()
        for step in one.steps
        if step.both < step.expected and step.beyond_chance(len(TERMS))
    ]
    found = (
        f"That is so, beyond chance, of {join_words(apart)}."
        if apart
        else "Of no bar of the eight terms here is that so beyond chance."
    )
    return (
        "A bar is never longer than the one above it, so a ring far right of its bar says nothing "
        "by itself. If a condition had nothing to do with those above it, its bar would be the bar "
        "above times the ring's share of all agents. Only a bar that is clearly shorter than "
        f"that says that they exclude each other. {found}"
    )


def attempts_text(populations: Mapping[str, Population], caution: float) -> str:
    """Say what an attempt is, and who attempts without being the worst case.

    Args:
        populations: By prior.
        caution: What a failure costs, in units of what a success is worth.
    """
    told = [
        f"{one.attempts:,} of {one.agents:,} agents ({name}{_of_these(one)})"
        for name, one in populations.items()
    ]
    apart = (
        " So an agent can attempt without being the worst case."
        if any(one.attempts > one.attempts_eight for one in populations.values())
        else ""
    )
    return (
        "“Attempts a takeover” is none of the eight terms. An agent would attempt if, by its own "
        "values, acting freely after training is worth more than acting as trained, and its chance "
        f"of success is above {share_text(caution / (1.0 + caution))}. That is so for "
        f"{join_words(told)}.{apart}"
    )


def _of_these(one: Population) -> str:
    return f", of whom {one.attempts_eight:,} meet all eight terms" if one.attempts else ""


def everywhere_text(populations: Mapping[str, Population]) -> str:
    """Say how frequent misalignment is among those that game everywhere, against all agents."""
    there = _there(populations)
    if not there:
        return "Nobody games everywhere, so nothing can be said of those that do."
    without = [f"“{name}”" for name in populations if name not in there]
    nobody = f"Nobody does under {join_words(without)}. " if without else ""
    contexts = len(next(iter(there.values())).contexts)
    bad = _misaligned(there)
    return (
        f"Everywhere means in all {contexts} training contexts. {nobody}Of those that do, "
        f"egregiously misaligned are {_compared(bad)}. {_sure(bad)} A difference is called beyond "
        "chance if the 95 % interval of the share among those that game everywhere leaves out the "
        "share of all."
    )


def near_text(populations: Mapping[str, Population]) -> str:
    """Say the same of being near the worst case; "" where nobody games everywhere."""
    near = _near(_there(populations))
    if not near:
        return ""
    return (
        f"Near the worst case, lacking at most {NEAR} of its eight terms, are {_compared(near)}. "
        f"{_sure(near)}"
    )


def brief_text(populations: Mapping[str, Population]) -> str:
    """Say the counts of both, and no more, for where the rest is a link away."""
    there = _there(populations)
    if not there:
        return "nobody games everywhere."
    return (
        "of those that game everywhere, egregiously misaligned are "
        f"{_compared(_misaligned(there))}. Near the worst case are {_compared(_near(there))}."
    )


def post_text(populations: Mapping[str, Population]) -> str:
    """Say what follows for the post's sentence on consistent gaming, by what the counts are."""
    there = _there(populations)
    if not there:
        return ""
    near, bad = _near(there), _misaligned(there)
    says = [
        "The post says that a model that games consistently should make us much more worried about "
        "its being a worst-case model. Egregious misalignment alone is not that: it is one of "
        "eight terms."
    ]
    for way, how in (("more", "bear that out"), ("less", "say the contrary")):
        told = [
            f"under “{name}”, where being near the worst case is {_times(*near[name])} as frequent "
            "among those that game everywhere as among all agents"
            for name in near
            if _differs(*near[name]) == way
        ]
        if told:
            says.append(f"The counts of those near the worst case {how} {'; '.join(told)}.")
    for name, one in there.items():
        without = one.near_everywhere[1] - one.everywhere[1]
        if _differs(*near[name]) == "more" and _differs(*bad[name]) == "less" and without > 0:
            says.append(
                f"What these have more often under “{name}” is other terms than misalignment: at "
                f"least {without:,} of the {one.near_everywhere[1]:,} that are near are not "
                "egregiously misaligned."
            )
    silent: dict[str, list[str]] = {}
    for name, (some, every) in near.items():
        if not _differs(some, every):
            why = "the difference is within chance" if every[1] else "nobody at all is near"
            silent.setdefault(why, []).append(f"“{name}”")
    says += [
        f"Under {join_words(names)} nothing follows either way: {why}."
        for why, names in silent.items()
    ]
    worst = sum(one.count(TERMS[-1]) for one in there.values())
    says.append(
        f"All eight terms are met by {f'{worst:,}' if worst else 'none'} of the "
        f"{sum(one.everywhere[0] for one in there.values()):,} that game everywhere."
    )
    return " ".join(says)


def contexts_text(populations: Mapping[str, Population]) -> str:
    """Say in which contexts gaming goes with misalignment most and least, and why."""
    told = []
    for name, one in populations.items():
        shares = {c: bad / of for c, (of, bad) in one.contexts.items() if of}
        if len(shares) < 2:
            continue
        most, least = max(shares, key=lambda c: shares[c]), min(shares, key=lambda c: shares[c])
        told.append(
            f"{_share(one.contexts[most])} that game in {_name(most)}, but "
            f"{_share(one.contexts[least])} that game in {_name(least)} ({name})"
        )
    if not told:
        return ""
    of_what = ""
    if all(_GUARDED.keys() <= one.contexts.keys() for one in populations.values()):
        guards = [
            f"{what} in {join_words([_name(c) for c, guarded in _GUARDED.items() if guarded == what])}"
            for what in dict.fromkeys(_GUARDED.values())
        ]
        of_what = (
            f": {'; '.join(guards)}. Human values here are against power, and for the other two. "
            "To game everywhere takes something of each, so how much it tells follows from "
            "this choice of contexts, too"
        )
    return (
        "Why: it matters in which contexts an agent games. Gaming guards what training pulls "
        f"against{of_what}. Egregiously misaligned are {'; '.join(told)}. docs/causes.md of the "
        "project asks the same of more agents."
    )


def training_text(scenario: Scenario, steps: int) -> str:
    """Say in what scenario agents are trained, and for how long."""
    kinds = {
        "before deployment but not in training": len(scenario.of_kind("evaluation", "red_team")),
        "in deployment": len(scenario.of_kind("deployment")),
    }
    others = [f"{number} {where}" for where, number in kinds.items() if number]
    more = f", beside {join_words(others)}" if others else ""
    trained = len(scenario.of_kind("training"))
    return (
        f"Each agent is trained for {steps:,} steps in the scenario “{scenario.name}”, which has "
        f"{trained} training context{'' if trained == 1 else 's'}{more}."
    )


def context_texts(scenario: Scenario) -> dict[str, str]:
    """Say what each training context is, and what training pulls against there if that is known."""
    trained = scenario.of_kind("training")
    known = trained.keys() == _GUARDED.keys()
    texts = {}
    for name, context in trained.items():
        pulls = f"Training pulls against {_GUARDED[name]}." if known else ""
        texts[name.replace("_", " ")] = f"{context.description} {pulls}".strip()
    return texts


def _there(populations: Mapping[str, Population]) -> dict[str, Population]:
    """Return the populations in which somebody games everywhere."""
    return {name: one for name, one in populations.items() if one.everywhere[0]}


def _misaligned(there: Mapping[str, Population]) -> dict[str, tuple[Pair, Pair]]:
    return {name: (one.everywhere, one.misaligned) for name, one in there.items()}


def _near(there: Mapping[str, Population]) -> dict[str, tuple[Pair, Pair]]:
    return {name: (one.near_everywhere, one.near) for name, one in there.items()}


def _compared(pairs: Mapping[str, tuple[Pair, Pair]]) -> str:
    return "; ".join(
        f"{_share(some)}, against {_share(every)} of all ({name})"
        for name, (some, every) in pairs.items()
    )


def _differs(some: Pair, every: Pair) -> str:
    """Return whether a share among some is more or less than that of all; "": within chance."""
    low, high = (float(end) for end in binomial_interval(some[1], some[0]))
    among = every[1] / every[0]
    return "more" if low > among else "less" if high < among else ""


def _sure(pairs: Mapping[str, tuple[Pair, Pair]]) -> str:
    """Say under which priors a difference is more than chance."""
    told: dict[str, list[str]] = {}
    for name, (some, every) in pairs.items():
        found = _differs(some, every)
        how = f"beyond chance ({found} often) under" if found else "within chance under"
        if not every[1]:
            how = "none, as there is nobody of this kind, under"
        told.setdefault(how, []).append(f"“{name}”")
    return f"The difference is {'; '.join(f'{how} {join_words(on)}' for how, on in told.items())}."


def _times(some: Pair, every: Pair) -> str:
    return f"{some[1] / some[0] / (every[1] / every[0]):.2g} times"


def _share(pair: Pair) -> str:
    of, bad = pair
    return f"{bad:,} of {of:,} ({share_text(bad / of)})"


def _name(context: str) -> str:
    return f"“{context.replace('_', ' ')}”"


def _few(expected: float) -> str:
    if expected >= 10.0:
        return f"{expected:,.0f}"
    return f"{expected:.2g}" if expected >= 0.01 else "fewer than 0.01"


def term_texts(thresholds: Thresholds) -> dict[str, str]:
    """Say each term of the worst case in a line, with its threshold."""
    level = {term: f"{getattr(thresholds, term):g}".replace("-", "−") for term in TERMS}
    capability = {
        "opacity": "to game without its reasoning showing it",
        "sandbagging": "to do worse than it can in capability evaluations",
        "composure": "to look good during red-teaming, without giving itself away",
        "coordination": "to act together with its copies",
        "subversion": "to get past the controls of deployment",
    }
    return {
        "misalignment": "Egregious misalignment: the cosine of its values with human values is at "
        f"most {level['misalignment']}.",
        "consistency": "In every context before deployment it gives the answer that looks best, "
        f"with a chance of at least {level['consistency']}.",
        **{
            term: f"It is able {what}: capability at least {level[term]}, from 0 to 1."
            for term, what in capability.items()
        },
        "behaviour_shift": "Its behaviour differs between training and twins of the same contexts "
        f"in deployment, on average by a total variation of at least {level['behaviour_shift']}.",
    }
