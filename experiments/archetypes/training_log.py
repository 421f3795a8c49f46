"""Compare populations by their training logs, and by their actions in deployment.

The post, footnote 2: "Even if the actions are roughly the same, the updates on the model's
cognition might be different (resulting in e.g. different generalization), and so we care about
this case, too."

A log is what developers see of training: (step, context, response) of episodes, and nothing of the
cognition behind a response. Of a population, it shows the mean of the agents' policies. Two
populations with policies π and π' differ, for each episode of the log,

    evidence          Σ_c p_c KL(π_c ‖ π'_c)        nats towards π, when π wrote the log
    total_variation   Σ_c p_c ½ Σ_k |π_ck − π'_ck|  the advantage of the best guess from an episode

both as means over the steps of training. The log-odds of who wrote a log move by its evidence with
each episode, on average (evidence from episodes adds up; Kullback and Leibler 1951), so that about
ln(odds) / evidence episodes make a reader sure at these odds. What the log does not show:

    cognition   Σ_c p_c |g_c − g'_c|, as a mean over the steps of training
    values      1 − cosine of the values v at the end of training
    deployed    total variation at the end of training, in deployment contexts: generalisation
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from sim.dynamics.measures import cosine
from sim.dynamics.state import Array
from sim.result import Result
from sim.specs.errors import SpecError

#: Shares of training, at its end, that are compared.
WHOLE, END = 1.0, 0.1


@dataclass(frozen=True)
class TrainingLog:
    """Policies, gaming rates and values of a population: means over its agents.

    Attributes:
        name: Of the population.
        steps: The recorded steps [S]; training ends at the last.
        contexts: The training contexts, C of them.
        weight: p [S, C], the shares of episodes.
        policy: π [S, C, K]; 0 for responses that a context does not have.
        gaming_rate: g [S, C].
        values: v [D] at the end.
        deployment: The deployment contexts, M of them.
        deployed: π [M, K] at the end of training.
    """

    name: str
    steps: Array
    contexts: tuple[str, ...]
    weight: Array
    policy: Array
    gaming_rate: Array
    values: Array
    deployment: tuple[str, ...]
    deployed: Array

    @classmethod
    def from_result(cls, result: Result, name: str) -> TrainingLog:
        """Build the log of all agents of a result.

        Raises:
            SpecError: The scenario has no deployment context to generalise to.
        """
        data = result.data
        kinds = dict(zip(map(str, data["context"].values), data["kind"].values, strict=True))
        training = [context for context, kind in kinds.items() if kind == "training"]
        deployment = [context for context, kind in kinds.items() if kind == "deployment"]
        check_deployment(deployment)
        policy = data["policy"].mean("agent").fillna(0.0)
        return cls(
            name=name,
            steps=np.asarray(data["step"].values, np.float64),
            contexts=tuple(training),
            weight=data["weight"].sel(context=training).values,
            policy=policy.sel(context=training).values,
            gaming_rate=data["gaming_rate"].sel(context=training).mean("agent").values,
            values=data["values"].isel(step=-1).mean("agent").values,
            deployment=tuple(deployment),
            deployed=policy.isel(step=-1).sel(context=deployment).values,
        )

    def shares(self, part: float = WHOLE) -> Array:
        """Return the share of each record and context among the episodes of the log [S, C].

        A record stands for the steps from it to the next; the last is the state after training,
        from which no episode comes.

        Args:
            part: The share of training that is looked at, at its end; above 0, at most 1.
        """
        begin = self.steps[-1] - part * (self.steps[-1] - self.steps[0])
        starts, stops = self.steps[:-1], self.steps[1:]
        length = np.append(np.clip(stops - np.maximum(starts, begin), 0.0, None), 0.0)
        shares: Array = self.weight * (length / length.sum())[:, None]
        return shares


def check_deployment(contexts: Collection[str]) -> None:
    """Refuse a scenario whose deployment contexts are none.

    Raises:
        SpecError: There is no context to generalise to.
    """
    if not contexts:
        raise SpecError("scenario: has no deployment context, so nothing can generalise to it")


def divergence(p: Array, q: Array) -> Array:
    """Return the Kullback-Leibler divergence of distributions [..., K] in nats [...].

    Infinite where p has a response that q never gives.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0.0, p * np.log(p / q), 0.0)
    # Rounding may leave a last bit below zero where p and q are next to equal.
    nats: Array = np.maximum(terms.sum(axis=-1), 0.0)
    return nats


def total_variation(p: Array, q: Array) -> Array:
    """Return the total variation between distributions [..., K]: ½ Σ |p − q| [...]."""
    variation: Array = 0.5 * np.abs(p - q).sum(axis=-1)
    return variation


def evidence(author: TrainingLog, rival: TrainingLog, *, part: float = WHOLE) -> float:
    """Compute nats for each episode of the author's log against the other population."""
    _check_alike(author, rival)
    return _mean(divergence(author.policy, rival.policy), author.shares(part))


def episodes_needed(nats: float, *, odds: float) -> float:
    """Return ln(odds) / evidence: episodes after which a reader is sure at these odds.

    Args:
        nats: Evidence of an episode; infinitely many are needed where it is 0.
        odds: At which it is sure; above 1.
    """
    return math.inf if nats == 0.0 else math.log(odds) / nats


@dataclass(frozen=True)
class Pair:
    """Two populations, and what tells them apart.

    Attributes:
        first, second: Their names.
        evidence_first, evidence_second: Nats for each episode when the first, or the second, wrote
            the log.
        evidence: Their mean (half of Jeffreys' divergence).
        episodes: How many make a reader sure at the odds; inf: no log does.
        total_variation: Between the policies of training, for each episode.
        evidence_end, episodes_end, total_variation_end: The same, of the last tenth of training.
        cognition: Difference of gaming rates in training.
        values: 1 − cosine of their values at the end; nan where one has no values at all.
        deployed: Total variation in deployment contexts, their mean.
        deployed_most: In the context in which it is largest ...
        deployed_context: ... which is this one.
    """

    first: str
    second: str
    evidence_first: float
    evidence_second: float
    evidence: float
    episodes: float
    total_variation: float
    evidence_end: float
    episodes_end: float
    total_variation_end: float
    cognition: float
    values: float
    deployed: float
    deployed_most: float
    deployed_context: str


def compare(first: TrainingLog, second: TrainingLog, *, odds: float) -> Pair:
    """Compare two populations; the same for both orders, but for the names.

    Raises:
        SpecError: They were not trained on the same contexts for the same steps, with the same
            shares of episodes.
    """
    forth, back = evidence(first, second), evidence(second, first)
    both_end = [evidence(first, second, part=END), evidence(second, first, part=END)]
    mean, mean_end = 0.5 * (forth + back), 0.5 * sum(both_end)
    variation = total_variation(first.policy, second.policy)
    deployed = total_variation(first.deployed, second.deployed)
    most = int(deployed.argmax())
    shares = first.shares()
    return Pair(
        first=first.name,
        second=second.name,
        evidence_first=forth,
        evidence_second=back,
        evidence=mean,
        episodes=episodes_needed(mean, odds=odds),
        total_variation=_mean(variation, shares),
        evidence_end=mean_end,
        episodes_end=episodes_needed(mean_end, odds=odds),
        total_variation_end=_mean(variation, first.shares(END)),
        cognition=_mean(np.abs(first.gaming_rate - second.gaming_rate), shares),
        values=1.0 - float(cosine(first.values[None], second.values)[0]),
        deployed=float(deployed.mean()),
        deployed_most=float(deployed[most]),
        deployed_context=first.deployment[most],
    )


def compare_all(logs: Sequence[TrainingLog], *, odds: float) -> list[Pair]:
    """Compare every pair of populations; the hardest to tell apart by its whole log is first."""
    pairs = [compare(first, second, odds=odds) for first, second in combinations(logs, 2)]
    return sorted(pairs, key=lambda pair: pair.evidence)


def pairs_table(pairs: Sequence[Pair]) -> pd.DataFrame:
    """Return a row for each pair; `episodes` is inf where no number of them tells it apart."""
    table = pd.DataFrame([vars(pair) for pair in pairs])
    return table.rename(
        columns=lambda name: name.replace("first", "one").replace("second", "other")
    )


def format_episodes(episodes: float) -> str:
    """Write a number of episodes with two digits; inf: no number is enough."""
    if math.isinf(episodes):
        return "no number of"
    if episodes < 1.0:
        return "less than 1"
    digits = max(0, math.floor(math.log10(episodes)) - 1)
    return f"{round(episodes / 10**digits) * 10**digits:,}"


def _mean(numbers: Array, shares: Array) -> float:
    """Return the mean of numbers [S, C] over episodes, by the shares of records and contexts."""
    occurs = shares > 0.0  # what never occurs must not count, not even if it is infinite
    return float((numbers[occurs] * shares[occurs]).sum())


def _check_alike(first: TrainingLog, second: TrainingLog) -> None:
    alike = (
        first.contexts == second.contexts
        and first.deployment == second.deployment
        and np.array_equal(first.steps, second.steps)
        and np.array_equal(first.weight, second.weight)
    )
    if not alike:
        raise SpecError(
            f"logs: {first.name!r} and {second.name!r} must have the same contexts, records and "
            "shares of episodes"
        )
