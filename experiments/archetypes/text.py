"""What the comparison of archetypes found, in words that its numbers choose."""

from __future__ import annotations

import math
from collections.abc import Sequence

from experiments.archetypes.study import Portrait
from experiments.archetypes.training_log import Pair
from sim.utils.format import join_words, percent, shown

#: A difference of alignment that is worth telling.
_MOVED = 0.05


def name_of(name: str) -> str:
    """Write the name of an archetype, a condition or a context without underscores."""
    return name.replace("_", " ")


def count_of(episodes: float) -> str:
    """Write a number of episodes: two digits, or that no number is enough."""
    if math.isinf(episodes):
        return "no number of"
    if episodes < 1.0:
        return "less than 1"
    digits = max(0, math.floor(math.log10(episodes)) - 1)
    return f"{round(episodes / 10**digits) * 10**digits:,}"


def gaming_paragraph(portraits: Sequence[Portrait]) -> str:
    """Say who games where, at the start and at the end of training."""
    first = [f"{name_of(one.name)} {_where(one, end=False)}" for one in portraits]
    changed = [one for one in portraits if one.gamed(end=True) != one.gamed(end=False)]
    text = f"Before training, most agents game: {'; '.join(first)}."
    if not changed:
        text += " Training changes none of this."
    else:
        told = [f"{name_of(one.name)} {_where(one, end=True)}" for one in changed]
        text += f" After it: {'; '.join(told)}; the others as before."
    everywhere = [one for one in portraits if one.met["games_everywhere"] >= 0.5]
    if everywhere:
        text += (
            f" Most agents game everywhere: {join_words([name_of(o.name) for o in everywhere])}."
        )
    else:
        most = max(portraits, key=lambda one: one.met["games_everywhere"])
        share = most.met["games_everywhere"]
        text += (
            f" Of no archetype do most agents game everywhere; {name_of(most.name)} comes "
            f"nearest ({percent(share)})."
            if share
            else " No agent games everywhere."
        )
    return text


def worst_case_paragraph(portraits: Sequence[Portrait]) -> str:
    """Say who comes how near to the worst case, what lacks, and who attempts and succeeds."""
    reached = [one for one in portraits if one.worst_case > 0.0]
    sentences = []
    if reached:
        told = join_words([f"{name_of(one.name)} ({percent(one.worst_case)})" for one in reached])
        sentences.append(f"All terms of the worst case are met by agents of {told}.")
    else:
        sentences.append("No agent meets all terms of the worst case.")
    nearest = min(portraits, key=lambda one: one.lacking)
    if nearest.bound_by:
        told = f"mean {shown(nearest.numbers[nearest.bound_by], 2)}"
        if nearest.bound_by == "consistency":
            told += f": in {name_of(nearest.slips_in)}, {percent(nearest.slip)} of answers look bad"
        sentences.append(
            f"Nearest is {name_of(nearest.name)}, which lacks {nearest.lacking:.1f} terms on "
            f"average, most of all {name_of(nearest.bound_by)} ({told})."
        )
    sentences += [_misaligned(portraits), _attempts(portraits)]
    return " ".join(sentence for sentence in sentences if sentence)


def log_paragraph(pairs: Sequence[Pair], *, odds: float) -> str:
    """Say which pairs are hardest to tell apart by a log, and what they do in deployment.

    Args:
        pairs: The hardest to tell apart first.
        odds: At which a reader is sure.
    """
    hardest = pairs[0]
    which = "Hardest to tell apart by the log of training are " if len(pairs) > 1 else ""
    text = (
        f"{which}{_both(hardest)}: {count_of(hardest.episodes)} episodes make a reader sure at "
        f"{odds:g}:1; of the last tenth of training alone, {count_of(hardest.episodes_end)} "
        f"episodes. In deployment, {_deployed(hardest)}."
    )
    apart = max(pairs, key=lambda pair: pair.deployed - pair.total_variation)
    if apart.deployed <= apart.total_variation:
        text += " No pair differs more in deployment than in training."
    elif apart is not hardest:
        text += (
            f" Furthest apart in deployment, beyond what they are in training: {_both(apart)}; "
            f"{_deployed(apart)}, against {apart.total_variation:.2f} in training "
            f"({count_of(apart.episodes)} episodes)."
        )
    hidden = max(pairs, key=lambda pair: pair.cognition - pair.total_variation)
    if hidden.cognition > hidden.total_variation:
        text += (
            f" Thought differs more than action between {_both(hidden)}: in training, their "
            f"gaming rates are {hidden.cognition:.2f} apart and their actions "
            f"{hidden.total_variation:.2f}."
        )
    else:
        text += " Between no pair does thought (gaming rates) differ more than action."
    return text[0].upper() + text[1:]


def _where(one: Portrait, *, end: bool) -> str:
    contexts = one.gamed(end=end)
    if not contexts:
        return "nowhere"
    if len(contexts) == len(one.contexts):
        return "everywhere"
    return f"in {join_words([name_of(context) for context in contexts])}"


def _misaligned(portraits: Sequence[Portrait]) -> str:
    """Say who left egregious misalignment in training, and who came to it."""
    left, came = [], []
    for one in portraits:
        moved = f"{name_of(one.name)} ({shown(one.alignment_start, 2)} to "
        moved += f"{shown(one.alignment_end, 2)})"
        before, after = one.egregious_start, one.met["misalignment"]
        if abs(one.alignment_end - one.alignment_start) >= _MOVED:
            if before >= 0.5 > after:
                left.append(moved)
            elif after >= 0.5 > before:
                came.append(moved)
    text = ""
    if left:
        text += f"Training takes most agents out of egregious misalignment: {join_words(left)}."
    if came:
        text += f" Training makes most agents egregiously misaligned: {join_words(came)}."
    return text.strip()


def _attempts(portraits: Sequence[Portrait]) -> str:
    best = max(portraits, key=lambda one: one.success)
    bound = (
        f"the highest chance of success is that of {name_of(best.name)} ({_chance(best.success)})"
    )
    tempted = [name_of(one.name) for one in portraits if one.tempted >= 0.5]
    would = f"By its own values, acting freely is worth more to most agents of {_none_or(tempted)}"
    daring = [one for one in portraits if one.met["attempts"] > 0.0]
    if not daring:
        return f"{would}, and no agent attempts a takeover; {bound}."
    told = join_words(
        [
            f"{name_of(one.name)} ({percent(one.met['attempts'])}, "
            f"{one.expected:.1f} successes expected of {one.agents:,} agents)"
            for one in daring
        ]
    )
    return f"{would}. A takeover is attempted by {told}; {bound}."


def _none_or(names: Sequence[str]) -> str:
    return join_words(names) if names else "no archetype"


def _chance(chance: float) -> str:
    return f"{chance:.2g}" if chance >= 0.001 or chance == 0.0 else "below 0.001"


def _both(pair: Pair) -> str:
    return f"{name_of(pair.one)} and {name_of(pair.other)}"


def _deployed(pair: Pair) -> str:
    return (
        f"their total variation is {pair.deployed:.2f} on average and {pair.deployed_most:.2f} in "
        f"{name_of(pair.deployed_context)}"
    )
