"""Everything that the explorer shows of a state: one run, and what is read from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from notebooks.explorer.plane import Plane, plane_of
from notebooks.explorer.state import State
from sim.analysis.regimes import REGIMES, regimes
from sim.analysis.summary import BAND
from sim.analysis.worst_case import worst_case
from sim.dynamics.state import Array
from sim.result import Result
from sim.simulation import simulate
from sim.specs.overrides import Specs


@dataclass(frozen=True)
class View:
    """Results of a state.

    Attributes:
        state: The state.
        specs: Its specs.
        result: The run.
        rates: Gaming rate in each context: the band over agents [3, S, C].
        values: Strength of each value: the band over agents [3, S, V].
        onset: In each context, the median step of onset [C]; nan where fewer than half have one.
        regimes: The share of agents in each regime, by name.
        settled: The share of agents whose regime longer training need not change.
        terms: The worst-case terms (`sim.worst_case`).
        plane: The phase plane.
    """

    state: State
    specs: Specs
    result: Result
    rates: Array
    values: Array
    onset: Array
    regimes: dict[str, float]
    settled: float
    terms: xr.Dataset
    plane: Plane

    @property
    def steps(self) -> Array:
        """The recorded steps [S]."""
        return np.asarray(self.result.data["step"].values)

    @property
    def contexts(self) -> list[str]:
        """The contexts [C]."""
        return [str(name) for name in self.result.data["context"].values]

    @property
    def trained(self) -> list[bool]:
        """Return whether each context is trained on [C]."""
        return [bool(kind == "training") for kind in self.result.data["kind"].values]

    @property
    def value_names(self) -> list[str]:
        """The values [V]."""
        return [str(name) for name in self.result.data["value"].values]

    def csv(self) -> str:
        """Return the curves as a table: a row for each record, its columns what is drawn."""
        columns = {"step": self.steps}
        for kind, names, bands in (
            ("gaming_rate", self.contexts, self.rates),
            ("values", self.value_names, self.values),
        ):
            for index, name in enumerate(names):
                for share, curve in zip(BAND, bands[:, :, index], strict=True):
                    columns[f"{kind}.{name}.{share:g}"] = curve
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        lines = [",".join(columns), *(",".join(map(str, row)) for row in rows)]
        return "\n".join([*lines, ""])


def look(state: State, *, context: str | None = None) -> View:
    """Run a state and read from the run what is shown.

    Args:
        state: What the explorer is set to.
        context: Of the phase plane; None for the one with most at stake.

    Raises:
        SpecError: The state cannot be used.
        DivergenceError: Parameters grew out of all bounds.
    """
    specs = state.specs()
    result = simulate(
        specs.scenario,
        agent=specs.agent,
        training=specs.training,
        agents=state.agents,
        seed=state.seed,
        record_every=state.record_every,
    )
    ended = regimes(result)
    found = ended["regime"].values
    onset = result.data["onset"].values
    half = np.isfinite(onset).mean(axis=0) >= 0.5
    medians = [float(np.nanmedian(onset[:, c])) if half[c] else np.nan for c in range(len(half))]
    return View(
        state=state,
        specs=specs,
        result=result,
        rates=np.quantile(result.data["gaming_rate"].values, BAND, axis=1),
        values=np.quantile(result.data["values"].values, BAND, axis=1),
        onset=np.array(medians),
        regimes={name: float((found == name).mean()) for name in REGIMES},
        settled=float(ended["settled"].mean()),
        terms=worst_case(result),
        plane=plane_of(result, specs, context=context, seed=state.seed),
    )
