"""Counter-based random numbers: a draw is a function of its purpose, not of when it is made.

The key is the seed; the counter is (draw, step, row, stream). So twins under an intervention share
every draw, and one more agent, context, chunk or thread changes no other agent's draws. The
generator is Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

Words = NDArray[np.uint64]

_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_ROUNDS = 10


def rounds(
    a: Words, b: Words, c: Words, d: Words, k0: Words, k1: Words
) -> tuple[Words, Words, Words, Words]:
    """Return the four output words of Philox 4x32-10 for a counter (a, b, c, d) and a key.

    All are 32-bit words in uint64, arrays or single numbers; engines compile this very function.
    """
    for _ in range(_ROUNDS):
        first, second = a * _M0, c * _M1
        a, b, c, d = (
            (second >> _HALF) ^ b ^ k0,
            second & _LOW,
            (first >> _HALF) ^ d ^ k1,
            first & _LOW,
        )
        k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    return a, b, c, d


def words(
    *, seed: ArrayLike, stream: str, rows: ArrayLike, step: ArrayLike = 0, draw: ArrayLike = 0
) -> tuple[Words, Words, Words, Words]:
    """Return four random words of 32 bits for each combination of row and draw.

    Args:
        seed: The seed of each row's run, 0 <= seed < 2**64; of a shape that broadcasts.
        stream: What the draws are for; each name is a stream of its own.
        rows: Numbers of the agents in their runs, shape [n].
        step: The training step.
        draw: Which draw of this stream in this step, of a shape that broadcasts with [n].
    """
    key = np.asarray(seed, np.uint64)
    counter = (
        np.asarray(draw, np.uint64),
        np.asarray(step, np.uint64),
        np.asarray(rows, np.uint64),
        np.asarray(stream_id(stream), np.uint64),
        key & _LOW,
        key >> _HALF,
    )
    return rounds(*np.broadcast_arrays(*counter))


def fresh_seed(source: object = None) -> int:
    """Return a seed drawn from whatever NumPy takes for one; from the machine's entropy if None.

    Raises:
        TypeError, ValueError: NumPy takes no such thing.
    """
    return int(np.random.default_rng(source).integers(2**32))  # type: ignore[arg-type]


def seeds_of(seed: int, count: int) -> tuple[int, ...]:
    """Return distinct seeds of 64 bits for `count` runs that belong to one seed.

    The first few are the same, whatever the count. Seeds that are counted from one number to the
    next are shared by neighbours; of these, those of two seeds have one in common by chance alone
    (of 1000 each, once in 2 · 10¹³).
    """
    seeds: dict[int, None] = {}
    start = 0
    while len(seeds) < count:
        rows = np.arange(start, start + count - len(seeds))
        high, low, _, _ = words(seed=seed, stream="seeds of runs", rows=rows)
        seeds.update(dict.fromkeys(((high << _HALF) | low).tolist()))
        start += len(rows)
    return tuple(seeds)


def stream_id(name: str) -> int:
    """Return the 32-bit number of a stream: the same for a name wherever it is used."""
    return zlib.crc32(name.encode())


def uniform_pair(
    *, seed: ArrayLike, stream: str, rows: ArrayLike, step: ArrayLike = 0, draw: ArrayLike = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return two independent uniform draws in [0, 1), with 53 random bits each; see `words`."""
    first, second, third, fourth = words(seed=seed, stream=stream, rows=rows, step=step, draw=draw)
    return fraction(first, second), fraction(third, fourth)


def normal(
    *, seed: ArrayLike, stream: str, rows: ArrayLike, step: ArrayLike = 0, draw: ArrayLike = 0
) -> NDArray[np.float64]:
    """Return one standard normal draw for each row (Box-Muller); arguments as `words`."""
    first, second = uniform_pair(seed=seed, stream=stream, rows=rows, step=step, draw=draw)
    radius: NDArray[np.float64] = np.sqrt(-2.0 * np.log1p(-first))
    return radius * np.cos(2.0 * np.pi * second)


def fraction(high: Words, low: Words) -> NDArray[np.float64]:
    """Return the number in [0, 1) that the upper 53 of two words' 64 bits make."""
    bits = (high >> np.uint64(5)) * np.uint64(1 << 26) + (low >> np.uint64(6))
    return bits.astype(np.float64) * 2.0**-53


def coarse_fraction(word: Words) -> NDArray[np.float64]:
    """Return the middle, in (0, 1), of the 2**-32 that one word stands for."""
    return (word.astype(np.float64) + 0.5) * 2.0**-32
