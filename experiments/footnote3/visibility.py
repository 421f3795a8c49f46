"""Compute how much of gaming can be read, and how much cannot (the post's footnote 3).

Of the gaming in context c, weighted by how often the context comes up, p_c g_c s_c (1 − k_opacity)
is visible, as in the penalty for it (MODEL.md section 4). The rest is opaque, in two kinds:
p_c g_c s_c k_opacity is hidden, though there is a scratchpad, and p_c g_c (1 − s_c) has none.
`opacity_share` of a result is what both opaque kinds make of all gaming.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sim.dynamics.state import Array

#: What an episode is, in the order of `gaming_shares`.
KINDS = ("visible", "hidden", "no scratchpad", "no gaming")


def gaming_shares(
    gaming_rate: ArrayLike, *, opacity: ArrayLike, scratchpad: ArrayLike, weight: ArrayLike
) -> Array:
    """Compute the shares [..., 4] of episodes gamed visibly, gamed opaquely, and not gamed.

    Args:
        gaming_rate: g [..., C].
        opacity: k_opacity [...].
        scratchpad: s [C], room for chain of thought.
        weight: p [C] or [..., C]; contexts that do not count have 0.

    Returns:
        [..., 4] in the order of `KINDS`; they sum to 1. nan where no context counts.
    """
    rate, hidden = np.asarray(gaming_rate, np.float64), np.asarray(opacity, np.float64)
    written_share = np.asarray(scratchpad, np.float64)
    weights = np.broadcast_to(np.asarray(weight, np.float64), rate.shape)
    gaming = rate * weights
    total = weights.sum(axis=-1)
    in_writing = (gaming * written_share).sum(axis=-1)
    parts = np.stack(
        [
            in_writing * (1.0 - hidden),
            in_writing * hidden,
            (gaming * (1.0 - written_share)).sum(axis=-1),
            (weights - gaming).sum(axis=-1),
        ],
        axis=-1,
    )
    shares: Array = np.full_like(parts, np.nan)
    np.divide(parts, total[..., None], out=shares, where=total[..., None] > 0.0)
    return shares


def opaque_part(shares: ArrayLike) -> Array:
    """Compute the opaque part of gaming [...] from `gaming_shares` [..., 4]; nan without gaming."""
    parts = np.asarray(shares, np.float64)
    gaming = parts[..., :3].sum(axis=-1)
    part: Array = np.full_like(gaming, np.nan)
    np.divide(parts[..., 1] + parts[..., 2], gaming, out=part, where=gaming > 0.0)
    return part
