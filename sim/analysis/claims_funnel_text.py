"""What the report says of the funnel's populations, in sentences that the numbers write."""

from __future__ import annotations

from collections.abc import Mapping

from sim.analysis.claims import share_text
from sim.analysis.claims_populations import Pair, Population
from sim.analysis.words import listed
from sim.analysis.worst_case import TERMS, Thresholds
from sim.intervals import binomial_interval

#: What training pulls against in the contexts of `lab_to_deployment`.
_GUARDED = {
    "access_request": "a liking for power",
    "coding": "the same",
    "ruthless_plan": "care for people",
    "song_request": "copyright",
}


def together_text(prior: str, one: Population) -> str:
    """Say how many meet all eight terms, and how many would if these were independent."""
    alone = [one.alone(term) / one.agents for term in TERMS]
    return (
        f"{prior.capitalize()}: all eight terms together, gaming or not, are met by {one.eight:,} "
        f"of {one.agents:,} agents; were the terms independent, it would be "
        f"{_few(one.if_independent)}. Each alone is met by {share_text(min(alone))} to "
        f"{share_text(max(alone))} of agents."
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
        f"{listed(told)}.{apart}"
    )


def _of_these(one: Population) -> str:
    return f", of whom {one.attempts_eight:,} meet all eight terms" if one.attempts else ""


def everywhere_text(populations: Mapping[str, Population]) -> str:
    """Say how frequent misalignment is among those that game everywhere, against all agents."""
    told, less, clear = [], [], []
    for name, one in populations.items():
        of, bad = one.everywhere
        if not of:
            told.append(f"nobody games everywhere ({name})")
            continue
        among = one.misaligned[1] / one.agents
        low, high = (float(end) for end in binomial_interval(bad, of))
        less.append(bad / of < among)
        if high < among or low > among:
            clear.append(name)
        told.append(f"{_share(one.everywhere)}, against {_share(one.misaligned)} of all ({name})")
    if not less:
        return "Nobody games everywhere, so nothing can be said of those that do."
    if all(less) or not any(less):
        how = "less" if all(less) else "more"
        start = (
            f"Those that game everywhere are egregiously misaligned {how} often than agents at "
            "large, under every prior here"
        )
    else:
        start = (
            "Whether those that game everywhere are egregiously misaligned more often than agents "
            "at large depends on the prior"
        )
    sure = (
        "The difference is more than chance (the 95 % interval leaves out the share of all agents) "
        f"under {listed([f'“{name}”' for name in clear])}."
        if clear
        else "None of these differences is more than chance: their 95 % intervals hold the share "
        "of all agents."
    )
    end = (
        " The post says that a model that games consistently should make us much more worried. "
        "Here it is rather the contrary, under these priors and in this scenario; docs/causes.md "
        "asks the same of more agents."
        if all(less)
        else ""
    )
    return f"{start}: {'; '.join(told)}. {sure}{end}"


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
    known = all(_GUARDED.keys() <= one.contexts.keys() for one in populations.values())
    guards = listed([f"{what} in {_name(context)}" for context, what in _GUARDED.items()])
    of_what = f": {guards}. To game everywhere takes something of each" if known else ""
    return (
        "Where an agent games matters as well (docs/causes.md). Gaming guards what training pulls "
        f"against{of_what}. Egregiously misaligned are {'; '.join(told)}."
    )


def _share(pair: Pair) -> str:
    of, bad = pair
    return f"{bad:,} of {of:,} ({share_text(bad / of)})"


def _name(context: str) -> str:
    return f"“{context.replace('_', ' ')}”"


def _few(expected: float) -> str:
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
