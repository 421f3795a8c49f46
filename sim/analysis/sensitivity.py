"""Sensitivity of outcomes to inputs: Morris screening and Sobol indices of any function.

A `Sample` holds points of the unit cube; `analyse` takes the outcomes of a function there, and
returns indices with intervals.

    morris   trajectories in which one input changes at a time. mu_star, the mean size of an input's
             effect over its whole range, in units of the outcome; mu, with its sign; sigma, how
             far the effect depends on the other inputs (Morris 1991; Campolongo et al. 2007)
    sobol    `first`, the share of an outcome's variance that an input explains by itself, and
             `total`, by itself and together with others (Saltelli et al. 2010); `second`, what a
             pair explains beyond its two inputs

Samples, estimates and their bootstrap are those of SALib. This is the one place of the project
whose random draws are a library's: the scrambling of the sequence, the trajectories and the
resamples belong to published procedures. They come from NumPy generators that get the study's
seed, so the same seed gives the same bits.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.dynamics.state import Array
from sim.specs.errors import SpecError, check_whole
from sim.utils.progress import parts_of

Method = Literal["morris", "sobol"]
METHODS: tuple[Method, ...] = get_args(Method)
#: The index by which inputs are ranked.
MAIN: dict[Method, str] = {"morris": "mu_star", "sobol": "total"}
#: Number of bootstrap resamples, and the share of them that an interval holds.
RESAMPLES, LEVEL = 200, 0.95
#: Half-width above which an interval is wide, as a share: of 1 (sobol), of the largest mu_star.
WIDE: dict[Method, float] = {"morris": 0.25, "sobol": 0.1}
#: Fewest base points, or trajectories, that carry information, and most for the sake of memory.
FEWEST, MOST = 8, 2**16

State = Literal["varies", "constant", "undefined"]


@dataclass(frozen=True, repr=False)
class Sample:
    """Points of the unit cube at which a function is to be evaluated.

    Attributes:
        method: The method that the sample is for.
        names: Names of the inputs [D].
        shares: The points [R, D].
        block: Number of points in a trajectory, or of a base point.
        levels: Of the grid of trajectories.
        second_order: Whether effects of pairs can be estimated.
    """

    method: Method
    names: tuple[str, ...]
    shares: Array
    block: int
    levels: int = 4
    second_order: bool = False

    def __repr__(self) -> str:
        points, inputs = self.shares.shape
        return f"Sample({self.method}, points={points}, inputs={inputs}, blocks={self.blocks})"

    @property
    def blocks(self) -> int:
        """The number of trajectories, or base points."""
        return len(self.shares) // self.block

    def select_blocks(self, mask: NDArray[np.bool_]) -> Sample:
        """Return the sample with some of its blocks [blocks]."""
        return replace(self, shares=self.shares[np.repeat(mask, self.block)])


@dataclass(frozen=True, repr=False)
class Indices:
    """Sensitivity indices of outcomes.

    Attributes:
        sample: The points.
        frame: A row for each outcome, input and index: `outcome`, `input`, `index`, `value`, `low`
            and `high` (the interval), `wide`, `blocks` (how many it rests on). Without an interval
            they are nan; an outcome that is constant or undefined has no rows.
        states: By outcome, whether it varies, is constant, or is not defined (often enough).
        left_out: By outcome, how many blocks were left out, as the outcome was not finite there.
        resampled: By outcome, the main index in each resample [B, D]; outcomes with as many blocks
            share their resamples. Sobol only.
    """

    sample: Sample
    frame: pd.DataFrame
    states: Mapping[str, State]
    left_out: Mapping[str, int]
    resampled: Mapping[str, Array]

    def __repr__(self) -> str:
        return f"Indices({self.sample.method}, {', '.join(self.states)})"

    def main(self, outcome: str) -> Array:
        """Return the index by which inputs are ranked [D]; nan where the outcome has none."""
        frame = self.frame
        rows = (frame["outcome"] == outcome) & (frame["index"] == MAIN[self.sample.method])
        values = frame[rows].set_index("input")["value"].reindex(self.sample.names)
        return np.asarray(values, np.float64)


def morris_sample(
    names: Sequence[str], *, trajectories: int, levels: int = 4, seed: int = 0
) -> Sample:
    """Return trajectories through the unit cube, D + 1 points each, on a grid of even `levels`.

    Raises:
        SpecError: One line: what was wrong, what is allowed.
    """
    check_whole("trajectories", trajectories, minimum=FEWEST, maximum=MOST)
    check_whole("levels", levels, minimum=4, maximum=100)
    if levels % 2:
        raise SpecError(f"levels: got {levels}: must be even, or the grid has no middle to step by")
    from SALib.sample import morris  # takes more than a second to import

    options = {"num_levels": levels, "seed": _library_seed(seed)}
    shares = np.asarray(morris.sample(_problem(names), trajectories, **options), np.float64)
    return Sample("morris", tuple(names), shares, block=len(names) + 1, levels=levels)


def sobol_sample(
    names: Sequence[str], *, points: int, second_order: bool = False, seed: int = 0
) -> Sample:
    """Return Saltelli's sample: N (D + 2) points of a scrambled Sobol sequence, or N (2 D + 2).

    N, the number of base points, is a power of 2; effects of pairs (`second_order`) take the larger
    sample. The seed is that of the scrambling.

    Raises:
        SpecError: One line: what was wrong, what is allowed.
    """
    check_whole("points", points, minimum=FEWEST, maximum=MOST)
    if points & (points - 1):
        below = 1 << (points.bit_length() - 1)
        raise SpecError(
            f"points: got {points}: must be a power of 2, such as {below} or {2 * below}, or the "
            "Sobol sequence loses its balance"
        )
    if not isinstance(second_order, bool):
        raise SpecError(f"second_order: got {second_order!r}: must be true or false")
    from SALib.sample import sobol

    options = {"calc_second_order": second_order, "seed": _library_seed(seed)}
    shares = np.asarray(sobol.sample(_problem(names), points, **options), np.float64)
    block = (2 if second_order else 1) * len(names) + 2
    return Sample("sobol", tuple(names), shares, block=block, second_order=second_order)


def analyse(
    sample: Sample,
    outcomes: Mapping[str, Array],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    progress: Callable[[float], None] | None = None,
) -> Indices:
    """Return indices of every outcome, from its number at each point of a sample [R].

    A block in which an outcome is not finite somewhere is left out for that outcome. The seed is
    that of the bootstrap.
    """
    frames: list[pd.DataFrame] = []
    states: dict[str, State] = {}
    left_out: dict[str, int] = {}
    resampled: dict[str, Array] = {}
    reports = parts_of(progress, [1.0] * len(outcomes))
    for (name, outcome), report in zip(outcomes.items(), reports, strict=True):
        by_block = np.asarray(outcome, np.float64).reshape(sample.blocks, sample.block)
        finite = np.asarray(np.isfinite(by_block).all(axis=1), np.bool_)
        left_out[name] = int((~finite).sum())
        states[name] = _state(by_block[finite])
        if states[name] == "varies":
            estimate = _estimate_morris if sample.method == "morris" else _estimate_sobol
            part = sample.select_blocks(finite)
            frame, main = estimate(part, by_block[finite].ravel(), seed, resamples)
            frame.insert(0, "outcome", name)
            frame["blocks"] = int(finite.sum())
            frames.append(frame)
            if main is not None:
                resampled[name] = main
        report(1.0)
    columns = ["outcome", "input", "index", "value", "low", "high", "wide", "blocks"]
    table = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)
    return Indices(sample, table, states, left_out, resampled)


def convergence(
    sample: Sample,
    outcomes: Mapping[str, Array],
    indices: Indices,
    *,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> pd.DataFrame:
    """Return the main index from a quarter, half and all of the blocks (`indices`).

    Other arguments are as for `analyse`. Columns as of `Indices.frame`, and `settled`: whether the
    value from all of the blocks lies in the interval from half of them.
    """
    frames = []
    parts = [b for b in (sample.blocks // 4, sample.blocks // 2) if b >= 2]
    for blocks, report in zip(parts, parts_of(progress, parts or [1.0]), strict=False):
        first = sample.select_blocks(np.arange(sample.blocks) < blocks)
        in_part = {name: outcome[: len(first.shares)] for name, outcome in outcomes.items()}
        frames.append(analyse(first, in_part, seed=seed, progress=report).frame)
    every = [f[f["index"] == MAIN[sample.method]] for f in (*frames, indices.frame)]
    table, place = pd.concat(every, ignore_index=True), ["outcome", "input"]
    if frames:
        both = every[-1].merge(every[-2], on=place, suffixes=("", "_half"))
        inside = (both["value"] >= both["low_half"]) & (both["value"] <= both["high_half"])
        table = table.merge(both[place].assign(settled=inside), on=place, how="left")
    return table


def _estimate_sobol(
    sample: Sample, outcome: Array, seed: int, resamples: int
) -> tuple[pd.DataFrame, Array | None]:
    from SALib.analyze import sobol

    with _no_warnings():
        estimates = sobol.analyze(
            _problem(sample.names),
            outcome,
            calc_second_order=sample.second_order,
            keep_resamples=True,
            **_bootstrap(seed, resamples),
        )
    limit = WIDE["sobol"]
    frames = [
        _index_frame(sample.names, index, estimates[key], estimates[f"{key}_conf"], limit)
        for index, key in (("total", "ST"), ("first", "S1"))
    ]
    if sample.second_order:
        pair = np.triu_indices(len(sample.names), 1)
        pairs = [f"{sample.names[i]} × {sample.names[j]}" for i, j in zip(*pair, strict=True)]
        value, half = estimates["S2"][pair], estimates["S2_conf"][pair]
        frames.append(_index_frame(pairs, "second", value, half, limit))
    return pd.concat(frames, ignore_index=True), np.asarray(estimates["ST_conf_all"], np.float64)


def _estimate_morris(
    sample: Sample, outcome: Array, seed: int, resamples: int
) -> tuple[pd.DataFrame, Array | None]:
    from SALib.analyze import morris

    with _no_warnings():
        estimates = morris.analyze(
            _problem(sample.names),
            sample.shares,
            outcome,
            num_levels=sample.levels,
            **_bootstrap(seed, resamples),
        )
    size, sign, sigma, half = (
        np.ma.filled(np.ma.asarray(estimates[key], np.float64), np.nan)
        for key in ("mu_star", "mu", "sigma", "mu_star_conf")
    )
    none, limit = np.full(len(size), np.nan), WIDE["morris"] * float(size.max())
    rows = (("mu_star", size, half), ("mu", sign, none), ("sigma", sigma, none))
    frames = [_index_frame(sample.names, index, x, width, limit) for index, x, width in rows]
    return pd.concat(frames, ignore_index=True), None


def _index_frame(
    names: Sequence[str], index: str, value: Array, half: Array, limit: float
) -> pd.DataFrame:
    interval = {"low": value - half, "high": value + half, "wide": half > limit}
    return pd.DataFrame({"input": list(names), "index": index, "value": value, **interval})


def _state(by_block: Array) -> State:
    if len(by_block) < 2:
        return "undefined"
    size = max(1.0, float(np.abs(by_block).max()))
    return "varies" if float(np.ptp(by_block)) > 1e-12 * size else "constant"


def _problem(names: Sequence[str]) -> dict[str, Any]:
    return {"num_vars": len(names), "names": list(names), "bounds": [[0.0, 1.0]] * len(names)}


def _bootstrap(seed: int, resamples: int) -> dict[str, Any]:
    return {"num_resamples": resamples, "conf_level": LEVEL, "seed": _library_seed(seed)}


def _library_seed(seed: int) -> int:
    """Return a seed for SALib, whose Sobol analysis takes 0 for none."""
    return int(seed) + 1


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Silence warnings of resamples in which an outcome happens to be constant: index 0."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield
