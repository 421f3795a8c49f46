"""What fits say, as tables and as the data of an agent."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from experiments.calibration.fit import Fit
from experiments.calibration.measurements import RATES
from experiments.calibration.prompt_rates import SPREAD

_AGENT = "agent."


def parameters_of(name: str, one: Fit) -> pd.DataFrame:
    """Return a row for each parameter that places no row, with its interval by curvature."""
    rows = []
    for i, term in enumerate(one.problem.terms):
        if term.row is not None:
            continue
        theta, error = float(one.theta[i]), float(one.standard_errors[i])
        rows.append(
            {
                "fit": name,
                "name": term.name,
                "key": term.key,
                "setting": term.setting,
                "edit": term.edit,
                "fitted": theta,
                "standard_error": error,
                "low": max(theta - 1.96 * error, term.low),
                "high": min(theta + 1.96 * error, term.high),
                "interval": "curvature" if np.isfinite(error) else "none",
                "least": term.low,
                "greatest": term.high,
                "at_bound": bool(one.at_bound[i]),
            }
        )
    return pd.DataFrame(rows)


def residuals_of(name: str, one: Fit) -> pd.DataFrame:
    """Return a row for each row and rate of a fit: measured, its error, the model, the residual."""
    frame, problem = one.problem.measured.frame, one.problem
    tables = []
    for i, rate in enumerate(RATES):
        tables.append(
            frame[["row", "setting", "condition"]].assign(
                fit=name,
                rate=rate,
                measured=frame[rate],
                error=problem.errors[:, i],
                model=one.rates[:, i],
                residual=one.residuals[:, i],
            )
        )
    return pd.concat(tables, ignore_index=True)


def default_prompt(one: Fit, setting: str) -> dict[str, float] | None:
    """Return the numbers of an agent that meets a setting's default prompt, by full key.

    None if the table of the fit has no such prompt.
    """
    frame = one.problem.measured.frame
    these = ((frame["setting"] == setting) & (frame["condition"] == "default")).to_numpy()
    if not these.any():
        return None
    row = int(np.argmax(these))
    return {
        key: float(np.broadcast_to(column, len(frame))[row])
        for key, column in one.numbers().items()
        if key.startswith(_AGENT)
    }


def agent_data(numbers: Mapping[str, float], *, value: str, digits: int = 4) -> dict[str, object]:
    """Return an agent as plain data from numbers by full key, rounded.

    The spread is that of the contested value alone.
    """
    data: dict[str, object] = {}
    for key, number in sorted(numbers.items()):
        path = key.removeprefix(_AGENT).split(".")
        if key == SPREAD:
            path.append(value)
        node = data
        for part in path[:-1]:
            below = node.setdefault(part, {})
            assert isinstance(below, dict)
            node = below
        node[path[-1]] = round(number, digits)
    return data
