"""The Numba engine: blocks of agents side by side, a whole stretch of steps in one compiled call.

A block is as many agents as a vector holds, and goes through a stretch from its first step to its
last before the next block has its turn. So all that it has in mind stays in the first cache; and as
blocks know nothing of each other, neither do threads, each of which has blocks of its own.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sim.dynamics.compile import Program, Segment
from sim.dynamics.engines.engine import Engine, Precision
from sim.dynamics.engines.kernel import Shape, Table, Tables, kernel
from sim.dynamics.state import Array
from sim.specs.agent import TRAITS
from sim.utils.parallel import usable_processors

#: Two of the widest registers of float64; with more, what a block has in mind leaves the L1 cache.
WIDTH = 16
#: Bytes; a vector that lies across two lines takes twice as long to read.
CACHE_LINE = 64
#: Agent-context-steps that keep a thread busy for several times as long as it takes to start one.
WORTH_A_THREAD = 100_000


class NumbaEngine(Engine):
    """Runs agents in blocks, on several threads; results depend on neither, to the last bit.

    Args:
        threads: How many; None for as many as the process may use processors.
        width: Agents in a block.
        precision: Of the arithmetic.
    """

    name = "numba"

    def __init__(
        self,
        *,
        threads: int | None = None,
        width: int = WIDTH,
        precision: Precision = "float64",
    ) -> None:
        self.threads = usable_processors() if threads is None else threads
        self.width = width
        self.precision = precision

    def start(self, program: Program) -> VectorCohort:
        """Return a program's agents as they start (see `Engine.start`)."""
        seating = Seating(program.agents, self.width, np.dtype(self.precision))
        return VectorCohort(program, seating, threads=self.threads)


@dataclass(frozen=True)
class Seating:
    """How agents sit in blocks; the last agent also takes the seats that are left.

    Attributes:
        agents: N.
        width: W, the agents in a block.
        dtype: Of the arithmetic.
    """

    agents: int
    width: int
    dtype: np.dtype[np.floating]

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return -(-self.agents // self.width)

    def tabulate(self, x: NDArray[Any], dtype: DTypeLike | None = None) -> Table:
        """Return numbers [..., N] or [..., 1] as a table [blocks, length, W] or [1, length, W]."""
        flat = x.reshape(-1, x.shape[-1])
        blocks = self.blocks if x.shape[-1] > 1 else 1
        seats = np.minimum(np.arange(blocks * self.width), x.shape[-1] - 1)
        table = aligned((blocks, len(flat), self.width), self.dtype if dtype is None else dtype)
        for length, row in enumerate(flat):
            table[:, length] = row[seats].reshape(blocks, self.width)
        return table

    def gather(self, table: Table) -> Array:
        """Return a table as numbers [length, N], float64."""
        side_by_side = table.swapaxes(0, 1).reshape(table.shape[1], -1)
        return side_by_side[:, : self.agents].astype(np.float64)


class VectorCohort:
    """All agents of a program, in blocks.

    Args:
        program: The run.
        seating: How they sit.
        threads: How many may be used.
    """

    def __init__(self, program: Program, seating: Seating, *, threads: int) -> None:
        traits = np.stack([getattr(program.traits, name) for name in TRAITS])
        seeds = program.seats.seeds
        low, high = seeds & np.uint64(0xFFFFFFFF), seeds >> np.uint64(32)
        self._program, self._seating, self._threads = program, seating, threads
        self._theta = seating.tabulate(program.theta)
        self._origin = seating.tabulate(program.pulled_to)
        self._traits = seating.tabulate(traits)
        self._seats = seating.tabulate(np.stack([program.seats.rows, low, high]), np.uint64)
        self._term: Term | None = None

    def advance(self, start: int, stop: int) -> None:
        """Do the training steps start <= t < stop."""
        now = start
        while now < stop:
            segment = self._program.at(now)
            last = segment is self._program.segments[-1]
            then = stop if last else min(stop, segment.stop)
            if self._term is None or self._term.segment is not segment:
                self._term = Term.of(segment, self._program, self._seating)
            self._train(self._term, now, then)
            now = then

    def theta(self) -> Array:
        """Return a copy of θ as it is [P, N], float64."""
        return self._seating.gather(self._theta)

    def _train(self, term: Term, start: int, stop: int) -> None:
        """Share the blocks out among threads: to each as many, side by side."""
        work = self._program.agents * term.shape.contexts * (stop - start)
        threads = min(self._threads, self._seating.blocks, max(1, work // WORTH_A_THREAD))
        cuts = [self._seating.blocks * thread // threads for thread in range(threads + 1)]
        train, width = kernel(self._seating.width), self._seating.width

        def train_blocks(first: int, last: int) -> None:
            room = aligned((1, term.shape.room, width), self._seating.dtype)
            words = aligned((1, 4, width), np.uint64)
            train(
                self._theta,
                self._origin,
                self._traits,
                self._seats,
                term.tables,
                term.places,
                term.shape,
                room,
                words,
                first,
                last,
                start,
                stop,
            )

        if threads == 1:
            train_blocks(0, self._seating.blocks)
            return
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(train_blocks, cuts[:-1], cuts[1:]):
                pass


@dataclass(frozen=True)
class Term:
    """A segment as the kernel takes it.

    Attributes:
        segment: The segment.
        shape: How long things are.
        tables: The trained part of its world, and its assumptions.
        places: Which habits belong to the contexts that are trained [C].
    """

    segment: Segment
    shape: Shape
    tables: Tables
    places: NDArray[np.intp]

    @classmethod
    def of(cls, segment: Segment, program: Program, seating: Seating) -> Term:
        """Prepare a segment for the agents of a program.

        Where all agents share all numbers, the tables hold single ones: they take up less of the
        cache. Where any agent has its own, there are vectors of all of them.
        """
        world, assumptions = segment.world.where_trained(), segment.assumptions
        others, contexts, values, _ = world.features.shape
        absent = np.zeros((others, contexts, 1)) if world.absent is None else world.absent
        numbers: dict[str, NDArray[Any]] = {
            "features": world.features.swapaxes(0, 1),
            "reward": world.reward.swapaxes(0, 1),
            "present": 1.0 - absent.swapaxes(0, 1),
        }
        for name in Tables._fields:
            if name not in numbers:
                numbers[name] = getattr(world if hasattr(world, name) else assumptions, name)
        if all(x.shape[-1] == 1 for x in numbers.values()):
            tables = {name: x.astype(seating.dtype).ravel() for name, x in numbers.items()}
        else:
            tables = {name: seating.tabulate(x) for name, x in numbers.items()}
        shape = Shape(
            contexts=contexts,
            others=others,
            values=values,
            habits=len(program.layout.contexts),
            episodes=assumptions.episodes if assumptions.estimator == "sampled" else 0,
            replicator=assumptions.update_rule == "replicator",
            leaks=bool(assumptions.leak.any()),
            spreads=bool(assumptions.spread.any()),
            anchors=bool(assumptions.anchor.any()),
        )
        return cls(segment, shape, Tables(**tables), world.places.astype(np.intp))


def aligned(shape: tuple[int, ...], dtype: DTypeLike) -> Table:
    """Return a new array that starts at a cache line; its numbers are any."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.empty(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + size].view(dtype).reshape(shape)
