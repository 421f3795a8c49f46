"""How far gaming goes beyond what it is for: a study of three questions, each a sweep.

reach
    Gaming pays where training pulls against a value. Does it reach contexts where it protects
    nothing, as habits carry over (`spread`) between contexts that are more or less similar?
race
    Is the value that is trained against overwritten before gaming has set in? By the agent's
    awareness at the start, and by how fast habit, or awareness, learns relative to the values.
outlive
    Does gaming go on when the value that it protected is lost, for how long, and what keeps it up:
    the incentive, or habit alone?

What the parts have in common: a context *pays* if its stake is above 0 at the start of training,
for an agent that is in no way particular within its population; of these, the *contested* one has
the greatest stake, and the value that gives the incentive its greatest part there is the
*protected* one. A value is *lost* if its strength is below a stated share of what it was at the
start, and *reversed* if it has changed its sign.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from sim.analysis.regimes import STATES, judge, sweep_regimes
from sim.dynamics.arrays import Program
from sim.dynamics.measures import GAMED
from sim.dynamics.randomness import uniform_pair
from sim.dynamics.record import Recorder
from sim.dynamics.state import Array
from sim.spec.errors import SpecError, check_whole, nearest
from sim.spec.settings import Specs, apply_settings
from sim.sweeps.design import Design, Grid, Product, Range, Zip, is_number
from sim.sweeps.plan import Part, Plan, compile_rows, make_plan, of_one_agent
from sim.sweeps.sweep import with_first_point
from sim.sweeps.table import Sweep

PARTS = ("reach", "race", "outlive")
#: What becomes of a value and of gaming, in the order of `outcomes`.
OUTCOMES = ("kept, gaming", "kept, no gaming", "lost, gaming", "lost, no gaming")
RULES = ("policy_gradient", "replicator")
#: Of `reach`: how many times longer training lasts, and how many times faster habit learns.
CASES = ((1, 1), (4, 1), (4, 10))
#: Whose learning rate is moved in the race, relative to that of the values.
MOVED = ("habit", "awareness")
CREDITS = (0.0, 0.5, 1.0)
#: Of the race: without credit for motives, and with all of it, as of the exact gradient.
RACE_CREDITS = (0.0, 1.0)
LEAKS = (0.0, 0.1, 0.3, 1.0)
#: Where awareness starts, and learning rates as multiples of the values', where nothing is said.
AWARENESS, RATIO = Range(-14.0, 0.0), Range(0.1, 1000.0, "log")
MOST_POINTS, MOST_SEEDS = 201, 4096

_SPREAD, _AWARENESS = "training.spread", "agent.initial.awareness"
_RATE = "training.learning_rate.{}"
_RULE, _STEPS = "training.update_rule", "training.steps"
_CREDIT, _LEAK = "training.motive_credit", "training.leak"
#: Axes that no figure has across have at most so many points, or the study would take minutes.
_SIMILARITIES, _RATIOS, _FEW_RATIOS, _FEW_AWARENESSES = 6, 13, 4, 8
_RECORDS, _FEW_RECORDS = 100, 50
_RESAMPLED = 1000
_LEAST, _GREATEST = 0.025, 0.975


# ------------------------------------------------------------------------------------ what is asked


@dataclass(frozen=True)
class Cast:
    """Which part each context plays, at the start of training.

    Attributes:
        paying: Training contexts with a stake above 0: gaming protects something.
        idle: The other training contexts: it protects nothing.
        untrained: Contexts of another kind, deployment among them.
        contested: The paying context with the greatest stake.
        protected: The value with the greatest part in the incentive there.
        decision: How surely gaming is decided on there, once training comes to mind.
    """

    paying: tuple[str, ...]
    idle: tuple[str, ...]
    untrained: tuple[str, ...]
    contested: str
    protected: str
    decision: float

    @property
    def others(self) -> tuple[str, ...]:
        """Contexts to which gaming may spread from where it pays."""
        return self.idle + self.untrained

    def role(self, context: str) -> str:
        """Return `paying`, `idle` or `untrained`."""
        return next(role for role in ("paying", "idle", "untrained") if context in vars(self)[role])


def cast_of(specs: Specs) -> Cast:
    """Return which part each context plays.

    Raises:
        SpecError: No context pays.
    """
    alone = of_one_agent(specs)
    middle = alone.agent.replace(spread={})
    part = Part(specs=alone._replace(agent=middle), design=Grid({}), seeds=(0,))
    program = compile_rows(part, np.zeros(1, np.intp))
    seen = Recorder()(program, 0, program.theta, ("stake", "incentive_by_value", "decision"))
    stake = dict(zip(program.layout.contexts, seen["stake"][0], strict=True))
    trained = [n for n, kind in zip(stake, program.kinds, strict=True) if kind == "training"]
    paying = tuple(name for name in trained if stake[name] > 0.0)
    if not paying:
        raise SpecError(
            f"scenario: in {specs.scenario.name!r} gaming protects nothing anywhere: no training "
            "context has a stake above 0 at the start"
        )
    contested = max(paying, key=lambda name: stake[name])
    place = program.layout.contexts.index(contested)
    parts = seen["incentive_by_value"][0, place]
    return Cast(
        paying=paying,
        idle=tuple(name for name in trained if name not in paying),
        untrained=tuple(name for name in stake if name not in trained),
        contested=contested,
        protected=program.layout.values[int(np.argmax(parts))],
        decision=float(seen["decision"][0, place]),
    )


@dataclass(frozen=True, kw_only=True)
class Study:
    """What is asked for.

    Attributes:
        specs: Scenario, population and training.
        parts: Which of `PARTS`.
        points: Levels of each axis that stands across a figure.
        seeds: Runs at each point, each of one agent.
        share: A value is lost below this share of its strength at the start.
        awareness: Of the race and of what outlives: from where to where awareness starts.
        ratio: Likewise, from which to which ratio to the values' learning rate.
        engine: What computes.
    """

    specs: Specs
    parts: tuple[str, ...] = PARTS
    points: int = 41
    seeds: int = 16
    share: float = 0.25
    awareness: Range = AWARENESS
    ratio: Range = RATIO
    engine: str = "auto"

    def __post_init__(self) -> None:
        """Refuse what cannot be studied."""
        if not self.parts:
            raise SpecError(f"parts: at least one is needed; allowed: {', '.join(PARTS)}")
        for part in self.parts:
            if part not in PARTS:
                raise SpecError(f"parts: got {part!r}: {nearest(str(part), PARTS)}")
        check_whole("points", self.points, least=2, most=MOST_POINTS)
        check_whole("seeds", self.seeds, least=2, most=MOST_SEEDS)
        if not is_number(self.share) or not 0.0 < self.share < 1.0:
            raise SpecError(f"share: got {self.share!r}: must be a number between 0 and 1")
        if not self.specs.training.learning_rate.values > 0.0:
            raise SpecError(
                "training.learning_rate.values: is 0: values that do not learn run no race"
            )
        if not self.cast.others and "reach" in self.parts:
            raise SpecError(
                f"scenario: gaming pays in every context of {self.specs.scenario.name!r}, so there "
                "is none for it to reach; leave out the part 'reach'"
            )

    @cached_property
    def cast(self) -> Cast:
        """Which part each context plays."""
        return cast_of(self.specs)

    @property
    def steps(self) -> int:
        """How long training lasts."""
        return self.specs.training.steps

    def plan(self, part: str) -> Plan:
        """Return the runs of a part, checked.

        Raises:
            SpecError: One of them would be refused.
        """
        make: dict[str, Callable[[], list[Part]]] = {
            "reach": self._reach,
            "race": self._race,
            "outlive": self._outlive,
        }
        record = "curves" if part == "outlive" else "summary"
        return make_plan(make[part](), record=record, engine=self.engine)

    def _reach(self) -> list[Part]:
        specs = self.specs._replace(scenario=_by_pairs(self.specs))
        similarities = np.linspace(0.0, 1.0, min(self.points, _SIMILARITIES))
        pairs = [(a, b) for a in self.cast.paying for b in self.cast.others]
        keys = [similarity_key(a, b) for x, y in pairs for a, b in ((x, y), (y, x))]
        spreads = Grid({_SPREAD: np.linspace(0.0, 1.0, self.points)})
        design = Product(Zip(dict.fromkeys(keys, similarities)), spreads)
        return [
            self._part(
                design,
                _RECORDS,
                specs=specs,
                chosen={
                    _RULE: rule,
                    _STEPS: longer * self.steps,
                    _RATE.format("habit"): faster * self.specs.training.learning_rate.habit,
                },
            )
            for rule in RULES
            for longer, faster in CASES
        ]

    def _race(self) -> list[Part]:
        rates = self._ratios(min(self.points, _RATIOS)) * self._values_rate
        awareness = self._awareness(self.points)
        return [
            self._part(
                Grid({_CREDIT: RACE_CREDITS, _RATE.format(moved): rates, _AWARENESS: awareness}),
                _RECORDS,
            )
            for moved in MOVED
        ]

    def _outlive(self) -> list[Part]:
        rates = self._ratios(min(self.points, _FEW_RATIOS)) * self._values_rate
        design = Grid(
            {
                _CREDIT: CREDITS,
                _LEAK: LEAKS,
                _RATE.format("habit"): rates,
                _AWARENESS: self._awareness(min(self.points, _FEW_AWARENESSES)),
            }
        )
        return [self._part(design, _FEW_RECORDS, chosen={_RULE: rule}) for rule in RULES]

    def _part(
        self,
        design: Design,
        records: int,
        *,
        specs: Specs | None = None,
        chosen: Mapping[str, Any] | None = None,
    ) -> Part:
        chosen = chosen or {}
        changed = apply_settings(specs or self.specs, chosen)
        return Part(
            specs=with_first_point(changed, design),
            design=design,
            seeds=tuple(range(self.seeds)),
            record_every=max(1, changed.training.steps // records),
            chosen=chosen,
        )

    @property
    def _values_rate(self) -> float:
        return self.specs.training.learning_rate.values

    def _ratios(self, points: int) -> Array:
        return self.ratio.stretch(np.linspace(0.0, 1.0, points))

    def _awareness(self, points: int) -> Array:
        return self.awareness.stretch(np.linspace(0.0, 1.0, points))


def similarity_key(a: str, b: str) -> str:
    """Return the key of the similarity of two contexts, as it is said for the first of them."""
    return f"scenario.similarity.{a}.{b}"


def _by_pairs(specs: Specs) -> Any:
    """Return the scenario with its similarity said by names, so that pairs can be moved."""
    scenario = specs.scenario
    if not isinstance(scenario.similarity, tuple):
        return scenario
    names = list(scenario.contexts)
    named = {
        a: dict(zip(names, row, strict=True))
        for a, row in zip(names, scenario.similarity, strict=True)
    }
    return scenario.replace(similarity=named)


# --------------------------------------------------------------------------- rules and estimators


def outcomes(strength: ArrayLike, gaming_rate: ArrayLike, *, share: float) -> NDArray[np.intp]:
    """Return what became of a value and of gaming, as an index of `OUTCOMES`.

    Args:
        strength: The value at the end, in units of what it was at the start.
        gaming_rate: At the end, where the value is contested.
        share: Kept from here on, lost below; gaming counts from `sim.dynamics.measures.GAMED` on.
    """
    lost = np.asarray(strength, np.float64) < share
    gaming = np.asarray(gaming_rate, np.float64) >= GAMED
    return np.asarray(2 * lost + ~gaming, np.intp)


def crossing(at: ArrayLike, heights: ArrayLike, level: float) -> float:
    """Return from where on a curve stays at a level or above, to its end.

    Args:
        at: Where it is known, increasing [n].
        heights: How high it is there [n].
        level: The level.

    Returns:
        The place, linear between points; -inf if the whole curve is that high, and inf if its end
        is not.
    """
    x, y = np.asarray(at, np.float64), np.asarray(heights, np.float64)
    below = np.flatnonzero(~(y >= level))
    if len(below) == 0:
        return -np.inf
    last = int(below[-1])
    if last == len(x) - 1:
        return np.inf
    part = (level - y[last]) / (y[last + 1] - y[last])
    return float(x[last] + part * (x[last + 1] - x[last]))


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    Attributes:
        value: The number.
        low: 2.5 % of what resampled seeds give is below ...
        high: ... and 2.5 % above.
        seeds: How many seeds it comes from.
    """

    value: float
    low: float
    high: float
    seeds: int


def boundary_slope(log_ratio: ArrayLike, boundary: ArrayLike) -> Estimate | None:
    """Return by how many logits of awareness a boundary moves per e-fold of the ratio.

    Least squares in each seed, through the rows in which it has a boundary; the median over seeds,
    with the interval of resampled seeds.

    Args:
        log_ratio: Natural logarithm of the learning rates' ratio [rows].
        boundary: The awareness at the boundary [rows, seeds]; infinite or nan where there is none.

    Returns:
        The slope; None if fewer than half of the seeds have a boundary in three rows.
    """
    x, y = np.asarray(log_ratio, np.float64), np.asarray(boundary, np.float64)
    known = np.isfinite(y)
    enough = known.sum(axis=0) >= 3
    if not len(enough) or enough.mean() < 0.5:
        return None
    slopes = np.array([_slope(x[known[:, i]], y[known[:, i], i]) for i in np.flatnonzero(enough)])
    drawn, _ = uniform_pair(
        seed=0,
        stream="spread.bootstrap",
        rows=np.arange(len(slopes))[None, :],
        draw=np.arange(_RESAMPLED)[:, None],
    )
    resampled = np.median(slopes[(drawn * len(slopes)).astype(np.intp)], axis=1)
    low, high = np.quantile(resampled, [_LEAST, _GREATEST])
    return Estimate(float(np.median(slopes)), float(low), float(high), len(slopes))


def survival(lasted: ArrayLike, ended: ArrayLike) -> tuple[Array, Array]:
    """Return how many last how long, where some were not seen to end (Kaplan and Meier, 1958).

    Args:
        lasted: How long each was seen to last [n].
        ended: Whether it ended then, or the record did [n].

    Returns:
        Times [m], 0 first, and the share that lasts beyond each [m].
    """
    t, end = np.asarray(lasted, np.float64), np.asarray(ended, np.bool_)
    times = np.unique(t[end])
    left = np.array([1.0 - (end & (t == at)).sum() / (t >= at).sum() for at in times])
    return np.concatenate([[0.0], times]), np.concatenate([[1.0], np.cumprod(left)])


def _slope(x: Array, y: Array) -> float:
    """Return the least-squares slope of y [n] on x [n]."""
    centred = x - x.mean()
    return float(centred @ y / (centred @ centred))


def _logit(p: ArrayLike) -> Array:
    share = np.asarray(p, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Array = np.log(share) - np.log1p(-share)
    return found


# ------------------------------------------------------------------------------------------- reach


def measure_reach(study: Study, plan: Plan, sweep: Sweep) -> pd.DataFrame:
    """Return, for every run and context, where gaming got to and what it would have needed.

    Returns:
        A row for each run and context: `rule`, `steps`, `faster` (how many times faster habit
        learns than configured), `spread`, `similarity`, `seed`, `context`, `role`, `gaming_rate`,
        `state`, `onset`, `habit`, `pull` (τ I), `needed` (the habit from which g >= 0.5; inf where
        awareness alone forbids it), and the run's `regime`.
    """
    frame = _sound(sweep)
    programs = [compile_rows(part, np.arange(part.runs)) for part in plan.parts]
    frame["rationality"] = _per_run(frame, programs, lambda p: p.traits.rationality)
    regimes = sweep_regimes(sweep).set_index("run")["regime"]
    similar = similarity_key(study.cast.paying[0], study.cast.others[0])
    found = []
    for context in study.specs.scenario.contexts:
        rate, aware = frame[f"gaming_rate.{context}"], frame[f"awareness.{context}"]
        ends = [
            frame[[f"{name}.{context}"]].to_numpy(np.float64)
            for name in ("gaming_rate_least", "gaming_rate_most", "onset")
        ]
        pull = frame["rationality"] * frame[f"incentive.{context}"]
        found.append(
            pd.DataFrame(
                {
                    "rule": frame[_RULE],
                    "steps": frame[_STEPS],
                    "faster": np.array([case[1] for case in CASES])[frame["part"] % len(CASES)],
                    "spread": frame[_SPREAD],
                    "similarity": frame[similar],
                    "seed": frame["seed"],
                    "context": context,
                    "role": study.cast.role(context),
                    "gaming_rate": rate,
                    "state": np.array(STATES)[judge(*ends).state[:, 0]],
                    "onset": frame[f"onset.{context}"],
                    "habit": frame[f"habit.{context}"],
                    "pull": pull,
                    "needed": _logit(np.minimum(GAMED / aware, 1.0)) - pull,
                    "regime": frame["run"].map(regimes).astype(str),
                }
            )
        )
    return pd.concat(found, ignore_index=True)


def reach_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Return `measure_reach` by point: medians over seeds, and shares of them.

    Returns:
        A row for each `rule`, `steps`, `faster`, `similarity`, `spread` and `context`:
        `gaming_rate`, `habit`, `pull`, `needed` (medians), `gamed` (share of seeds with g >= 0.5),
        `games` (share of seeds in the state of that name), `onset` (median where it set in),
        `onset_share`, and `regime`, the most frequent of the runs.
    """
    keys = ["rule", "steps", "faster", "similarity", "spread", "context", "role"]
    marked = runs.assign(
        gamed=runs["gaming_rate"] >= GAMED,
        games=runs["state"] == "games",
        onset_share=runs["onset"].notna(),
    )
    how: dict[str, Any] = dict.fromkeys(["gaming_rate", "habit", "pull", "needed"], "median")
    how |= dict.fromkeys(["gamed", "games"], "mean") | {"onset": "median", "onset_share": "mean"}
    how["regime"] = lambda regimes: regimes.mode().iat[0]
    return marked.groupby(keys, sort=False).agg(how).reset_index()


def thresholds(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the spread from which gaming reaches a context and stays, by similarity.

    In each seed, the logit of the gaming rate is interpolated between levels of spread.

    Returns:
        A row for each `rule`, `steps`, `faster`, `similarity` and `context` where gaming does not
        pay: `spread`, the median threshold over seeds (inf if gaming does not get there, or not
        up to full spread; 0 if it is there without spread), `low`, `high` (its range over seeds),
        and `reached`, the share of seeds that have one.
    """
    others = runs[runs["role"] != "paying"]
    found = []
    names = ["rule", "steps", "faster", "similarity", "context"]
    for keys, rows in others.groupby(names, sort=False):
        each = np.array(
            [
                crossing(seed["spread"], _logit(seed["gaming_rate"]), float(_logit(GAMED)))
                for _, seed in rows.sort_values("spread").groupby("seed")
            ]
        ).clip(min=0.0)
        found.append(
            (*keys, _middle(each), each.min(), each.max(), float(np.isfinite(each).mean()))
        )
    return pd.DataFrame(found, columns=[*names, "spread", "low", "high", "reached"])


# -------------------------------------------------------------------------------------------- race


def measure_race(study: Study, plan: Plan, sweep: Sweep) -> pd.DataFrame:
    """Return what became of the protected value, and of gaming where it is contested.

    Returns:
        A row for each run: `moved` (whose learning rate), `motive_credit`, `ratio` to the learning
        rate of the values, `awareness`, `seed`, `strength` (at the end, in units of the start),
        `gaming_rate`, `habit`, `moving` (whether the rate still moves at the end) and `outcome`.
    """
    frame = _sound(sweep)
    rate = np.select(
        [frame["part"] == number for number in range(len(MOVED))],
        [frame[_RATE.format(moved)] for moved in MOVED],
    )
    ends = _at_the_end(study, plan, frame)
    return pd.DataFrame(
        {
            "moved": np.array(MOVED)[frame["part"]],
            "motive_credit": frame[_CREDIT],
            "ratio": rate / study.specs.training.learning_rate.values,
            "awareness": frame[_AWARENESS],
            "seed": frame["seed"],
            **{name: ends[name] for name in ("strength", "gaming_rate", "habit", "moving")},
            "outcome": np.array(OUTCOMES)[
                outcomes(ends["strength"], ends["gaming_rate"], share=study.share)
            ],
        }
    )


def boundary(runs: pd.DataFrame, *, share: float) -> pd.DataFrame:
    """Return the awareness from which on the value is kept, along each row of the race.

    Args:
        runs: From `measure_race`.
        share: From which strength on a value is kept.

    Returns:
        A row for each `moved`, `motive_credit`, `ratio` and `seed`: `awareness` at the boundary
        (-inf if the value is kept throughout, inf if it is lost at the end of the row), and
        `returns`, whether it is also kept somewhere below.
    """
    found = []
    names = ["moved", "motive_credit", "ratio", "seed"]
    for keys, row in runs.sort_values("awareness").groupby(names, sort=False):
        kept = row["strength"].to_numpy() >= share
        at = crossing(row["awareness"], row["strength"], share)
        found.append((*keys, at, bool((kept[:-1] & ~kept[1:]).any())))
    named = pd.DataFrame(found, columns=[*names, "awareness", "returns"])
    return named.sort_values(names, ignore_index=True)


def boundary_table(edges: pd.DataFrame) -> pd.DataFrame:
    """Return `boundary` over seeds.

    Returns:
        A row for each `moved`, `motive_credit` and `ratio`: the median `awareness`, `low` and
        `high` (its range), and `found`, the share of seeds whose row has a boundary.
    """
    grouped = edges.groupby(["moved", "motive_credit", "ratio"], sort=False)["awareness"]
    return grouped.agg(
        awareness=lambda a: _middle(a.to_numpy()),
        low="min",
        high="max",
        found=lambda a: float(np.isfinite(a).mean()),
    ).reset_index()


# ----------------------------------------------------------------------------------------- outlive


def measure_outlive(study: Study, plan: Plan, sweep: Sweep) -> pd.DataFrame:
    """Return which values were lost, when, and for how long gaming went on after that.

    Returns:
        A row for each run: `rule`, `motive_credit`, `leak`, `ratio` (of the habit's learning rate
        to the values'), `awareness`, `seed`, `strength`, `gaming_rate`, `habit`, `incentive`,
        `pull` (τ I) at the end; `lost`, `reversed`; `fell`, the first record from which the value
        is lost to the end (nan if it is not), `gamed_then`, whether it gamed when it fell; `after`,
        for how many steps from then it gamed without a break, and `stopped`, whether that ended;
        `outlived`, whether it games at the end though the value is lost.
    """
    frame = _sound(sweep)
    cast = study.cast
    ends = _at_the_end(study, plan, frame)
    steps, strength, rate = _curves(sweep, cast, frame["run"].to_numpy(), ends["start"].to_numpy())
    history = after_the_fall(steps, strength, rate, share=study.share)
    lost = ends["strength"] < study.share
    return pd.DataFrame(
        {
            "rule": frame[_RULE],
            "motive_credit": frame[_CREDIT],
            "leak": frame[_LEAK],
            "ratio": frame[_RATE.format("habit")] / study.specs.training.learning_rate.values,
            "awareness": frame[_AWARENESS],
            "seed": frame["seed"],
            **{
                name: ends[name]
                for name in ("strength", "gaming_rate", "habit", "incentive", "pull")
            },
            "lost": lost,
            "reversed": ends["strength"] < 0.0,
            **history,
            "outlived": lost & (ends["gaming_rate"] >= GAMED),
        }
    )


def after_the_fall(
    steps: ArrayLike, strength: ArrayLike, gaming_rate: ArrayLike, *, share: float
) -> dict[str, NDArray[Any]]:
    """Return when values were lost for good, and for how long gaming went on.

    Args:
        steps: The recorded steps [S].
        strength: The value, in units of its start [n, S].
        gaming_rate: Where it is contested [n, S].
        share: Lost below this.

    Returns:
        `fell`, `gamed_then`, `after` and `stopped` [n]: see `measure_outlive`; `after` is nan
        where the value did not fall, and 0 where it was not gaming then.
    """
    t = np.asarray(steps, np.float64)
    lost = np.asarray(strength, np.float64) < share
    gamed = np.asarray(gaming_rate, np.float64) >= GAMED
    fallen = np.logical_and.accumulate(lost[:, ::-1], axis=1)[:, ::-1]  # lost from here to the end
    falls = fallen.any(axis=1)
    first = fallen.argmax(axis=1)
    breaks = ~gamed & (np.arange(len(t)) >= first[:, None])
    stopped = breaks.any(axis=1) & falls
    last = np.where(stopped, breaks.argmax(axis=1), len(t) - 1)
    return {
        "fell": np.where(falls, t[first], np.nan),
        "gamed_then": falls & gamed[np.arange(len(gamed)), first],
        "after": np.where(falls, t[last] - t[first], np.nan),
        "stopped": stopped,
    }


def outlive_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Return `measure_outlive` by point, as shares of its seeds and medians of those that outlive.

    Returns:
        A row for each combination of the axes: `lost`, `outlived`, `reversed` (and gaming at the
        end), `by_habit` (and gaming at the end with an incentive of 0 or less): shares of seeds;
        `after`, the median of how long gaming went on.
    """
    keys = ["rule", "motive_credit", "leak", "ratio", "awareness"]
    outlived = runs["outlived"]
    marked = runs.assign(
        reversed=outlived & runs["reversed"],
        by_habit=outlived & (runs["incentive"] <= 0.0),
        after=runs["after"].where(runs["gamed_then"]),
    )
    how: dict[str, Any] = dict.fromkeys(["lost", "outlived", "reversed", "by_habit"], "mean")
    return marked.groupby(keys, sort=False).agg(how | {"after": "median"}).reset_index()


# ------------------------------------------------------------------------------------------ common


def _sound(sweep: Sweep) -> pd.DataFrame:
    """Return the runs that did not fail.

    Raises:
        SpecError: All failed.
    """
    frame = sweep.frame
    sound = frame[frame["error"].isna()].reset_index(drop=True)
    if sound.empty:
        raise SpecError(f"every run failed, the first as {frame['error'].iat[0]}")
    return sound


def _at_the_end(study: Study, plan: Plan, frame: pd.DataFrame) -> pd.DataFrame:
    """Return what a run ends with where the value is contested; `start` is where that began."""
    context, value = study.cast.contested, study.cast.protected
    programs = [compile_rows(part, np.arange(part.runs)) for part in plan.parts]
    row = programs[0].layout.names.index(f"values.{value}")
    start = _per_run(frame, programs, lambda p: p.origin[row])
    rationality = _per_run(frame, programs, lambda p: p.traits.rationality)
    least, most, onset = (
        frame[[f"{name}.{context}"]].to_numpy(np.float64)
        for name in ("gaming_rate_least", "gaming_rate_most", "onset")
    )
    return pd.DataFrame(
        {
            "start": start,
            "strength": frame[f"values.{value}"] / start,
            "gaming_rate": frame[f"gaming_rate.{context}"],
            "habit": frame[f"habit.{context}"],
            "incentive": frame[f"incentive.{context}"],
            "pull": rationality * frame[f"incentive.{context}"],
            "moving": ~judge(least, most, onset).settled,
        }
    )


def _per_run(
    frame: pd.DataFrame, programs: list[Program], number: Callable[[Program], Array]
) -> Array:
    """Return a number of each run's one agent, for the runs of a frame."""
    numbers = [np.broadcast_to(number(program), program.agents) for program in programs]
    found: Array = np.concatenate(numbers)[frame["run"].to_numpy()]
    return found


def _curves(
    sweep: Sweep, cast: Cast, runs: NDArray[np.int_], start: Array
) -> tuple[Array, Array, Array]:
    """Return the recorded steps [S], the value's strength and the gaming rate [n, S]."""
    value = sweep.column("curves", f"values.{cast.protected}")
    rate = sweep.column("curves", f"gaming_rate.{cast.contested}")
    rows = sweep.query(f"select step, {value} as v, {rate} as g from curves order by run, step")
    steps = rows["step"].unique().astype(np.float64)
    shape = (len(runs), len(steps))
    strength = rows["v"].to_numpy(np.float64).reshape(shape) / start[:, None]
    return steps, strength, rows["g"].to_numpy(np.float64).reshape(shape)


def _middle(numbers: Array) -> float:
    """Return the median, of numbers that may be infinite (between -inf and inf, the upper)."""
    ordered = np.sort(numbers)
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return float(0.5 * (low + high)) if np.isfinite([low, high]).all() else float(high)
