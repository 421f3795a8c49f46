"""What the shared numbers of a calibration are worth to predictions that take them as known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from experiments.calibration.measurements import RATES
from experiments.calibration.reinforced_predict import Reinforced
from sim.specs.errors import SpecError


def envelope(
    studies: Sequence[Reinforced], *, rises: Sequence[float] = (), limit: float = 3.84
) -> pd.DataFrame:
    """Return predictions of the likeliest study, with intervals that hold those of all likely ones.

    A study takes the shared numbers of the calibration as known. Studies of the same prompts with
    other such numbers (across the interval of one, say) tell what that is worth.

    Args:
        studies: With other shared numbers each.
        rises: By how much these raise χ² of the table before training; 0 for all if empty.
        limit: A study is likely if its least χ² after training, and its rise, are together at most
            so much above the least.

    Raises:
        SpecError: Studies are not of the same prompts.
    """
    after_it = np.array([float(one.variants["chi2"].min()) for one in studies])
    total = after_it + (np.array(rises) if len(rises) else 0.0)
    found = studies[int(total.argmin())].predictions.copy()
    likely = [
        one.predictions for one, x in zip(studies, total, strict=True) if x <= total.min() + limit
    ]
    for one in studies:
        if one.predictions["prompt"].tolist() != found["prompt"].tolist():
            raise SpecError("studies: an envelope is of studies of the same prompts")
    for rate in RATES:
        for end, widest in (("low", np.minimum), ("high", np.maximum)):
            name = f"{rate}_{end}"
            found[name] = widest.reduce([frame[name].to_numpy(float) for frame in likely])
    return found
