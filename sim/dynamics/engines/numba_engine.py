"""The Numba engine: blocks of agents side by side, many steps in one compiled call.

A block is as many agents as a vector holds, and does all steps of a call before the next block has
its turn. So its numbers stay in the first cache; and as blocks share nothing, nor do threads, each
of which has blocks of its own.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba.core.caching import NullCache
from numpy.typing import DTypeLike, NDArray

from sim.dynamics.engines.engine import Engine, Precision
from sim.dynamics.engines.kernel import Places, Shape, Table, Tables, kernel
from sim.dynamics.program import Program, Segment, World
from sim.dynamics.state import Array, Layout
from sim.dynamics.training import LEAST_CHANCE
from sim.specs.agent import TRAITS
from sim.utils.parallel import usable_processors

#: The widest register of float64; with more, what a block has in mind leaves the first cache.
WIDTH = 8
#: Bytes; a vector that lies across two lines takes twice as long to read.
CACHE_LINE = 64
#: Agent-context-steps that keep a thread busy for several times as long as it takes to start one.
WORTH_A_THREAD = 100_000


class NumbaEngine(Engine):
    """Trains agents in blocks, on several threads, by default all; results depend on neither."""

    name = "numba"

    def __init__(
        self, *, threads: int | None = None, width: int = WIDTH, precision: Precision = "float64"
    ) -> None:
        self.threads = usable_processors() if threads is None else threads
        self.width = width
        self.precision = precision

    def start(self, program: Program) -> VectorCohort:
        """Return a program's agents at the start."""
        blocks = BlockLayout(program.agents, self.width, np.dtype(self.precision))
        return VectorCohort(program, blocks, threads=self.threads)


@dataclass(frozen=True)
class BlockLayout:
    """Division of agents into blocks; the last agent also fills the places beyond it."""

    agents: int  # N
    width: int  # W, the agents in a block
    dtype: np.dtype[np.floating]  # of the arithmetic

    @property
    def count(self) -> int:
        """The number of blocks."""
        return -(-self.agents // self.width)

    def tabulate(self, x: NDArray[Any], dtype: DTypeLike | None = None) -> Table:
        """Return numbers [..., N] or [..., 1] as a table [blocks, length, W] or [1, length, W]."""
        flat = x.reshape(-1, x.shape[-1])
        blocks = self.count if x.shape[-1] > 1 else 1
        agents = np.minimum(np.arange(blocks * self.width), x.shape[-1] - 1)
        table = aligned((blocks, len(flat), self.width), self.dtype if dtype is None else dtype)
        for length, row in enumerate(flat):
            table[:, length] = row[agents].reshape(blocks, self.width)
        return table

    def gather(self, table: Table) -> Array:
        """Return a table as numbers [length, N], float64."""
        side_by_side = table.swapaxes(0, 1).reshape(table.shape[1], -1)
        return side_by_side[:, : self.agents].astype(np.float64)


class VectorCohort:
    """All agents of a program, in blocks, on up to so many threads (see `Cohort`)."""

    def __init__(self, program: Program, blocks: BlockLayout, *, threads: int) -> None:
        traits = np.stack([getattr(program.traits, name) for name in TRAITS])
        seeds = program.agent_ids.seeds
        low, high = seeds & np.uint64(0xFFFFFFFF), seeds >> np.uint64(32)
        self._program, self._blocks, self._threads = program, blocks, threads
        self._theta = blocks.tabulate(program.theta)
        self._origin = blocks.tabulate(program.anchor_or_origin)
        self._traits = blocks.tabulate(traits)
        self._ids = blocks.tabulate(np.stack([program.agent_ids.rows, low, high]), np.uint64)
        self._segment: KernelSegment | None = None

    def advance(self, start: int, stop: int) -> None:
        """Do the training steps start <= t < stop."""
        while start < stop:
            segment = self._program.at(start)
            last = segment is self._program.segments[-1]
            end = stop if last else min(stop, segment.stop)
            if self._segment is None or self._segment.source is not segment:
                self._segment = KernelSegment(segment, self._program, self._blocks)
            self._train(self._segment, start, end)
            start = end

    def theta(self) -> Array:
        """Return a copy of θ as it is [P, N], float64."""
        return self._blocks.gather(self._theta)

    def _train(self, segment: KernelSegment, start: int, stop: int) -> None:
        """Share the blocks out among threads: to each as many, side by side."""
        work = self._program.agents * segment.shape.contexts * (stop - start)
        threads = min(self._threads, self._blocks.count, max(1, work // WORTH_A_THREAD))
        cuts = [self._blocks.count * thread // threads for thread in range(threads + 1)]
        train, width = kernel(self._blocks.width), self._blocks.width

        def train_blocks(first: int, last: int) -> None:
            room = aligned((1, segment.shape.room, width), self._blocks.dtype)
            words = aligned((1, 4, width), np.uint64)
            program = self._theta, self._origin, self._traits, self._ids
            stage = segment.tables, segment.places, segment.shape
            call_compiled(train, *program, *stage, room, words, first, last, start, stop)

        if threads == 1:
            train_blocks(0, self._blocks.count)
            return
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(train_blocks, cuts[:-1], cuts[1:]):
                pass


class KernelSegment:
    """A segment as the kernel takes it: the trained part of its world, its assumptions, its sizes.

    Where all agents share all numbers, the tables hold single ones: they take up less of the cache.
    Where any agent has its own, there are vectors of all of them.
    """

    def __init__(self, segment: Segment, program: Program, blocks: BlockLayout) -> None:
        world, assumptions = segment.world.where_trained(), segment.assumptions
        count, contexts, values, _ = world.features.shape
        least_chance = max(LEAST_CHANCE, 1e8 * float(np.finfo(blocks.dtype).tiny))
        numbers: dict[str, NDArray[Any]] = {
            "features": _against_first(world.features, world.absent[:, :, None]),
            "reward": _against_first(world.reward, world.absent),
            "present": 1.0 - world.absent[1:].swapaxes(0, 1),
            "demonstrations": world.demonstrations.swapaxes(0, 1),
            "least_chance": np.array([least_chance]),
        }
        for name in Tables._fields:
            if name not in numbers:
                numbers[name] = getattr(world if hasattr(world, name) else assumptions, name)
        if all(x.shape[-1] == 1 for x in numbers.values()):
            tables = {name: x.astype(blocks.dtype).ravel() for name, x in numbers.items()}
        else:
            tables = {name: blocks.tabulate(x) for name, x in numbers.items()}
        self.source, self.tables = segment, Tables(**tables)
        self.places = _places(world, program.layout)
        demonstrates = bool(world.demonstrates.any())
        self.shape = Shape(
            contexts=contexts,
            others=count - 1,
            values=values,
            propensities=len(self.places.context),
            habits=len(program.layout.contexts),
            episodes=assumptions.episodes if assumptions.estimator == "sampled" else 0,
            pairs=count == 2 and not world.absent.any() and not demonstrates,
            demonstrates=demonstrates,
            normalises=assumptions.advantages == "normalised",
            leaks=bool(assumptions.leak.any()),
            anchors=bool(assumptions.anchor.any()),
            natural=assumptions.update_rule == "natural_gradient",
            spreads_habit=bool(assumptions.habit_generalisation.any()),
            spreads_propensity=bool(assumptions.propensity_generalisation.any()),
        )


def _against_first(x: Array, absent: NDArray[np.bool_]) -> Array:
    """Return numbers [K, C, ...] less those of the first response [C, K - 1, ...]; 0 if absent."""
    return np.where(absent, 0.0, x - x[0])[1:].swapaxes(0, 1)


def _places(world: World, layout: Layout) -> Places:
    """Return where what belongs to the trained part of a world stands in θ."""
    rows = np.full(layout.present.T.shape, -1)
    context, source = np.empty(0, np.intp), np.empty((0, len(world.places)), np.intp)
    if layout.with_propensity:
        rows[layout.present.T] = np.arange(layout.present.sum())
        context, response = np.nonzero(layout.present.T)
        name = world.response_everywhere[response, context]
        same = world.response[:, :, None] == name  # [K, C, rows]
        place = same.argmax(axis=0) + len(same) * np.arange(len(world.places))[:, None]
        source = np.where(same.any(axis=0), place, -1).T
    return Places(
        habit=world.places.astype(np.intp),
        propensity=np.ascontiguousarray(rows[world.places], np.intp),
        context=context.astype(np.intp),
        source=np.ascontiguousarray(source, np.intp),
        demonstrates=world.demonstrates[:, 0].astype(np.intp),
    )


def aligned(shape: tuple[int, ...], dtype: DTypeLike) -> Table:
    """Return a new array that starts at a cache line; its numbers are any."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.empty(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + size].view(dtype).reshape(shape)


def call_compiled(function: Any, *arguments: object) -> None:
    """Call a compiled function, which is compiled again if the cache of its code is damaged.

    Numba reads the cache when a function is first called with some types, before it does anything.
    """
    try:
        function(*arguments)
    except Exception:  # what is no code can be read in any way
        try:
            function._cache.flush()
        except OSError:  # somebody else's cache
            function._cache = NullCache()
        function(*arguments)
