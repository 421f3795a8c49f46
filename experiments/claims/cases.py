"""Cases: worlds, agents and assumptions drawn together, trained as drawn and once in each arm.

Case i has world i and agent i of the prior over worlds, and draw i of the assumptions. In an arm
the same cases are trained with one thing changed; all else is the same to the bit.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtr

from sim.dynamics.engines.registry import get_engine
from sim.dynamics.loop import out_of_bounds, records
from sim.dynamics.observe import Recorder
from sim.dynamics.randomness import normal
from sim.result import versions
from sim.specs.base import is_number
from sim.specs.errors import SpecError, nearest
from sim.specs.keys import check_number, full_key, is_vectorisable
from sim.specs.prior import Prior
from sim.sweeps.design import Index, Numbers
from sim.sweeps.plan import code_digest
from sim.sweeps.prior_sample import PriorSample
from sim.sweeps.world_sample import UPHOLDS, WorldSample
from sim.utils.files import atomic_write
from sim.utils.parallel import parallel_map

from .arms import Arm
from .assumptions import Assumptions
from .batch import Batch, matching
from .outcomes import VARIABLES, outcomes

#: Cases at full size.
CASES = 32768
#: So many cases, those of all arms counted, are run in this process.
SMALL = 8192
#: The arm that changes nothing.
AS_DRAWN = "drawn"


@dataclass(frozen=True)
class RunOptions:
    """Choose where and at what size cases are run.

    Attributes:
        store: Where the outcomes of arms are kept; None: nowhere.
        size: Share of the cases that is run.
        seed: Of all draws.
        engine: As for `sim.simulate`.
        fixed: Numbers, by key, that every case has in place of its draws.
    """

    store: Path | None = None
    size: float = 1.0
    seed: int = 0
    engine: str = "auto"
    fixed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cases(self) -> int:
        """The number of cases."""
        return max(64, round(CASES * self.size))

    def check(self, prior: Prior, assumptions: Assumptions) -> None:
        """Refuse numbers that cannot be fixed (SpecError)."""
        if prior.worlds is None:
            raise SpecError("prior: says nothing of worlds, in which claims are tried")
        for key, number in self.fixed.items():
            part = key.partition(".")[0]
            if part in ("worlds", "goals"):
                if (spec := getattr(prior, part)) is None:
                    raise SpecError(f"set.{key}: the prior says nothing of {part}")
                names = [f"{part}.{field}" for field in type(spec).model_fields]
            else:
                names = [*assumptions.choices, *assumptions.ranges, *assumptions.after]
                names += list(prior.distributions)
            is_drawn = full_key(key) in map(full_key, names)
            if not is_drawn and not (part in ("agent", "training") and is_vectorisable(key)):
                raise SpecError(f"set.{key}: no such assumption; {nearest(key, names)}")
            if key in assumptions.choices:
                if number not in assumptions.choices[key]:
                    hint = nearest(str(number), [str(each) for each in assumptions.choices[key]])
                    raise SpecError(f"set.{key}: got {number!r}; {hint}")
            elif part not in ("worlds", "goals"):
                if not is_number(number) or not np.isfinite(number):
                    raise SpecError(f"set.{key}: got {number!r}: must be a number")
                if "*" not in key:
                    check_number(key, number)
        worlds = self.prior(prior).worlds
        if worlds is not None and min(worlds.unwatched) < 1:
            raise SpecError("set.worlds.unwatched: claims need at least one")

    def prior(self, prior: Prior) -> Prior:
        """Return a prior with the numbers of worlds and goals that are fixed (`worlds.upholds`)."""
        for key, number in self.fixed.items():
            part, _, name = key.partition(".")
            if part in ("worlds", "goals"):
                prior = prior.replace(**{part: getattr(prior, part).replace(**{name: number})})
        return prior

    @property
    def numbers(self) -> dict[str, Any]:
        """The numbers that are fixed, but for those of the prior."""
        return {k: n for k, n in self.fixed.items() if not k.startswith(("worlds.", "goals."))}


class Job(NamedTuple):
    """The cases of one structure in one arm."""

    prior: Prior
    assumptions: Assumptions
    arm: Arm
    group: int
    options: RunOptions


def run_cases(
    arms: Mapping[str, Arm],
    *,
    prior: Prior,
    assumptions: Assumptions,
    options: RunOptions,
    progress: Callable[[float], None] | None = None,
) -> dict[str, pd.DataFrame]:
    """Return the outcomes of all cases, by arm, a row for each case, in order.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    prior = options.prior(prior)
    sample = WorldSample(prior, points=options.cases, seed=options.seed)
    jobs = [
        Job(prior, assumptions, arm, group, options)
        for arm in arms.values()
        for group in range(len(sample.groups))
    ]
    # Other processes take seconds to start.
    workers = None if options.cases * len(arms) > SMALL else 1
    frames = parallel_map(run_group, jobs, workers=workers, progress=progress)
    size = len(sample.groups)
    by_arm = (frames[start : start + size] for start in range(0, len(frames), size))
    return {
        name: pd.concat(parts).sort_index(kind="stable")
        for name, parts in zip(arms, by_arm, strict=True)
    }


def run_group(job: Job) -> pd.DataFrame:
    """Return the outcomes of the cases of one structure in one arm, stored or computed."""
    options = job.options
    if options.store is None:
        return _compute(job)
    path = options.store / f"{job.arm.name}-{job.group:03d}-{_digest(job)}.parquet"
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError):
        pass
    frame = _compute(job)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as part:
        frame.to_parquet(part)
    return frame


def _digest(job: Job) -> str:
    """Return a hash of all that the outcomes of a job depend on."""
    folder = Path(__file__).parent
    modules = ("arms.py", "assumptions.py", "batch.py", "cases.py", "outcomes.py")
    source = {name: (folder / name).read_text("utf-8") for name in modules}
    data = {
        "prior": job.prior.model_dump(mode="json"),
        "assumptions": job.assumptions.model_dump(mode="json"),
        "arm": job.arm.model_dump(mode="json"),
        "options": [job.options.cases, job.options.seed, job.options.fixed],
        "engine": get_engine(job.options.engine).name,
        "version": versions()["training-gaming-sim"],
        "code": [code_digest(), source],
    }
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def _compute(job: Job) -> pd.DataFrame:
    engine = get_engine(job.options.engine, threads=1)
    parts = []
    for batch in batches(job):
        program = job.arm.compile(batch)
        last = program.steps
        with np.errstate(all="ignore"):
            start, end = records(engine, program, [0, last], names=VARIABLES, bounded=False)
            frame = outcomes(batch, program, start.observed, end.observed)
            diverged = out_of_bounds(program.layout, end.theta).any(axis=0)
        frame[diverged] = np.nan
        frame.index = pd.Index(batch.group.points[batch.rows])
        parts.append(frame)
    return pd.concat(parts)


def batches(job: Job) -> Iterable[Batch]:
    """Yield the cases of one structure, those of the same choices together."""
    options, region = job.options, job.assumptions
    sample = WorldSample(job.prior, points=options.cases, seed=options.seed)
    group = sample.groups[job.group]
    agents = PriorSample(
        job.prior, points=options.cases, scenario=group.scenario, seed=options.seed
    )
    fixed = {**options.numbers, **job.arm.choices}
    levels = {
        key: ((fixed[key],) if key in fixed else choice) for key, choice in region.choices.items()
    }
    places = np.zeros(len(group), int)
    for key, choice in levels.items():
        share = _uniform(key, group.points, options.seed)
        places = places * len(choice) + (share * len(choice)).astype(int)
    everyone, points = np.arange(len(group)), group.points
    world = group.at(everyone)
    human = {v: world[f"scenario.human_values.{v}"] for v in group.scenario.values}
    numbers = {**world, **agents.at(points, human_values=human)}
    after: dict[str, Numbers] = {}
    for place, ranges in ((numbers, region.ranges), (after, region.after)):
        for key, assumption in ranges.items():
            place[full_key(key)] = assumption.stretch(_uniform(key, points, options.seed))
    for key, number in fixed.items():
        place = after if key in after else numbers
        for name in () if key in levels else matching(key, place):
            place[name] = np.full(len(group), float(number))
    for index, combination in enumerate(itertools.product(*levels.values())):
        rows = everyone[places == index]
        if len(rows):
            choices = dict(zip(levels, combination, strict=True))
            columns, later = ({k: x[rows] for k, x in each.items()} for each in (numbers, after))
            yield Batch(group, rows, choices, columns, later, options.seed)


def drawn_numbers(prior: Prior, assumptions: Assumptions, options: RunOptions) -> pd.DataFrame:
    """Return what may decide a claim, as drawn: a row for each case, a column for each key."""
    prior = options.prior(prior)
    sample = WorldSample(prior, points=options.cases, seed=options.seed)
    fixed, parts = options.numbers, []
    for group in sample.groups:
        points = group.points
        agents = PriorSample(
            prior, points=options.cases, scenario=group.scenario, seed=options.seed
        ).at(points)
        numbers: dict[str, Any] = {
            key: np.array(choice, object)[
                (_uniform(key, points, options.seed) * len(choice)).astype(int)
            ]
            for key, choice in assumptions.choices.items()
        }
        numbers |= {
            key: assumption.stretch(_uniform(key, points, options.seed))
            for key, assumption in {**assumptions.ranges, **assumptions.after}.items()
        }
        numbers |= {full_key(key): column for key, column in agents.items()}
        numbers[UPHOLDS] = group.upholds(np.arange(len(points)))
        numbers["contexts"] = np.full(len(points), float(group.structure.training))
        frame = pd.DataFrame(numbers, index=pd.Index(points))
        parts.append(frame[list(assumptions.axes)])
    frame = pd.concat(parts).sort_index(kind="stable")
    keys = {full_key(key): key for key in frame}
    for key, number in fixed.items():
        if full_key(key) in keys:
            frame[keys[full_key(key)]] = number
    return frame


def outcome_names(prior: Prior, assumptions: Assumptions) -> list[str]:
    """Return the names of all outcomes, from a few cases that are drawn and not trained."""
    options = RunOptions(size=0.001)
    sample = WorldSample(prior, points=options.cases, seed=0)
    arm = Arm(name=AS_DRAWN, says="")
    names: dict[str, None] = {}
    for group in range(len(sample.groups)):
        job = Job(prior, assumptions, arm, group, options)
        batch = next(iter(batches(job)))
        program = arm.compile(batch)
        with np.errstate(all="ignore"):
            observed = Recorder()(program, 0, program.theta, VARIABLES)
            names |= dict.fromkeys(outcomes(batch, program, observed, observed))
    return list(names)


def _uniform(key: str, points: Index, seed: int) -> Numbers:
    return np.asarray(ndtr(normal(seed=seed, stream=f"assumption {key}", rows=points)))
