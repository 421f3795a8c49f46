"""How much of a likelihood ratio is cause.

The same agents are trained once more with paths cut by which gaming changes them
(`CUTS`), and the hypothesis is read there, while the observation stays the one made of the agent as
it was trained. So the observation, and who shows it, is the same; what differs is what gaming did.

    feedback   motive credit 0; and learning rates 0 for awareness, horizon, competence, and
               capabilities (all that moves these goes through gaming: practice, and the penalty for
               what is visible). Gaming moves habit alone, which is gaming itself and neither a goal
               nor a capability; and it still shields values from training.
    gaming     nobody games until training ends, and agents are measured free of that: what gaming
               shields from training is trained, too.

Cutting changes how much agents game, and so what is shielded: that is part of what cause adds. Here
counts are drawn again as they are. Where the cut turned nobody, the interval has no width, and says
no more than that.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.analysis.likelihood_ratios import (
    DRAWS,
    Flags,
    interval_of,
    joint_counts,
    likelihood_ratio,
    resample,
    smallest_count,
)
from sim.specs.intervention import Interventions

#: Worlds in which paths are cut.
CUTS = ("feedback", "gaming")


def cuts(steps: int) -> dict[str, Interventions]:
    """Return interventions by what they cut in so many steps of training."""
    return {
        "feedback": [
            {"key": "training.motive_credit", "set": 0},
            {"key": "training.transfer", "set": 0},
            *(
                {"key": f"training.learning_rate.{name}", "set": 0}
                for name in ("awareness", "log_horizon", "log_competence", "capability")
            ),
        ],
        "gaming": [{"key": "gaming", "set": 0, "stop": steps}],
    }


def cause_table(
    signs: Mapping[str, Flags],
    true: Mapping[str, Flags],
    cut: Mapping[str, Mapping[str, Flags]],
    *,
    seed: int = 0,
    draws: int = DRAWS,
) -> pd.DataFrame:
    """Return each likelihood ratio as it is and with paths of cause cut, and their difference.

    Args:
        signs: By observation, of each agent as it was trained [N].
        true: By hypothesis, of the same agents as they were trained [N].
        cut: By what was cut, the hypotheses, of the same agents trained so [N].
        seed: Of the bootstrap, which draws agents: the same for both.
        draws: How many times.

    Returns:
        `observation`, `hypothesis`, `cut`; `ratio`, and `ratio_cut` with the hypothesis as it is
        with the cut; `adds`, the difference of their logarithms, with `adds_low` and `adds_high`;
        `few` and `few_of` as in `likelihood_table`, of both. Nan where there are too few.
    """
    names = [(o, h, c) for c in cut for o in signs for h in true]
    joint = np.array(
        [joint_counts(true[h], cut[c][h], signs[o]) for o, h, c in names], np.int64
    ).reshape(-1, 8)
    draws_again = resample(joint, seed=seed, stream="cause", draws=draws)
    ratios = [likelihood_ratio(_margin(joint, side)) for side in (0, 1)]
    with np.errstate(all="ignore"):
        adds = np.log(ratios[0]) - np.log(ratios[1])
        full, without = (np.log(likelihood_ratio(_margin(draws_again, side))) for side in (0, 1))
        low, high = interval_of(full - without)
    few, few_of = smallest_count(_margin(joint, 0))
    few_cut, few_cut_of = smallest_count(_margin(joint, 1))
    first = few >= 0
    frame = pd.DataFrame(
        {
            "observation": [o for o, _, _ in names],
            "hypothesis": [h for _, h, _ in names],
            "cut": [c for _, _, c in names],
            "ratio": ratios[0],
            "ratio_cut": ratios[1],
            "adds": adds,
            "adds_low": low,
            "adds_high": high,
            "few": np.where(first, few, few_cut),
            "few_of": np.where(first, few_of, few_cut_of),
        }
    )
    numbers = ["ratio", "ratio_cut", "adds", "adds_low", "adds_high"]
    frame.loc[frame["few"] >= 0, numbers] = np.nan
    return frame


def _margin(joint: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    """Return counts [..., 4] of one hypothesis of the two from counts of both [..., 8]."""
    cube = joint.reshape(*joint.shape[:-1], 2, 2, 2)  # sign, cut, full
    margin: NDArray[np.int64] = cube.sum(axis=-2 if side == 0 else -1)
    return margin.reshape(*joint.shape[:-1], 4)
