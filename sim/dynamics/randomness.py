"""Counter-based random numbers: a draw is a function of what it is for, not of when it is made.

The key is the seed; the counter is (draw, step, row, stream). So twins under an intervention share
every draw, and one more agent, context, chunk or thread changes no other agent's draws. The
generator is Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

Words = NDArray[np.uint64]

_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL = (np.uint64(0x9E3779B9), np.uint64(0xBB67AE85))
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_ROUNDS = 10


def philox(counter: tuple[Words, Words, Words, Words], key: tuple[int, int]) -> tuple[Words, ...]:
    """Return the four 32-bit output words of Philox 4x32-10 for each counter.

    Args:
        counter: Four arrays of 32-bit words (in uint64), of shapes that broadcast.
        key: Two 32-bit words.
    """
    a, b, c, d = np.broadcast_arrays(*counter)
    k0, k1 = np.uint64(key[0]), np.uint64(key[1])
    for _ in range(_ROUNDS):
        first, second = a * _MULTIPLIERS[0], c * _MULTIPLIERS[1]
        a, b, c, d = (
            (second >> _HALF) ^ b ^ k0,
            second & _LOW,
            (first >> _HALF) ^ d ^ k1,
            first & _LOW,
        )
        k0, k1 = (k0 + _WEYL[0]) & _LOW, (k1 + _WEYL[1]) & _LOW
    return a, b, c, d


def fresh_seed(source: object = None) -> int:
    """Return a seed drawn from whatever NumPy takes for one; from the machine's entropy if None.

    Raises:
        TypeError, ValueError: NumPy takes no such thing.
    """
    return int(np.random.default_rng(source).integers(2**32))  # type: ignore[arg-type]


def stream_id(name: str) -> int:
    """Return the 32-bit number of a stream: the same for a name wherever it is used."""
    return zlib.crc32(name.encode())


def uniform_pair(
    *, seed: int, stream: str, rows: ArrayLike, step: int = 0, draw: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return two independent uniform draws in [0, 1) for each row, with 53 random bits each.

    Args:
        seed: The run's seed, 0 <= seed < 2**64.
        stream: What the draws are for; each name is a stream of its own.
        rows: Global numbers of the agents, shape [n].
        step: The training step.
        draw: Which draw of this stream in this step.
    """
    words = philox(
        (
            np.asarray(draw, np.uint64),
            np.asarray(step, np.uint64),
            np.asarray(rows, np.uint64),
            np.asarray(stream_id(stream), np.uint64),
        ),
        (seed & 0xFFFFFFFF, seed >> 32),
    )
    return _fraction(words[0], words[1]), _fraction(words[2], words[3])


def normal(
    *, seed: int, stream: str, rows: ArrayLike, step: int = 0, draw: int = 0
) -> NDArray[np.float64]:
    """Return one standard normal draw for each row (Box-Muller); arguments as `uniform_pair`."""
    first, second = uniform_pair(seed=seed, stream=stream, rows=rows, step=step, draw=draw)
    radius: NDArray[np.float64] = np.sqrt(-2.0 * np.log1p(-first))
    return radius * np.cos(2.0 * np.pi * second)


def _fraction(high: Words, low: Words) -> NDArray[np.float64]:
    bits = (high >> np.uint64(5)) * np.uint64(1 << 26) + (low >> np.uint64(6))
    return bits.astype(np.float64) * 2.0**-53
