"""The labelled result of a run: one data set, its measures and its provenance."""

from __future__ import annotations

import json
import platform
import sys
import warnings
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from sim.dynamics.compile import Program
from sim.dynamics.measures import onset
from sim.dynamics.population import Traits
from sim.dynamics.state import AgentState, Array
from sim.dynamics.variables import ONSET, VARIABLES, Variable
from sim.specs.agent import CAPABILITIES
from sim.specs.errors import SpecError, nearest
from sim.utils.files import atomic_write

#: Version of the file format; raised when a reader of the older one would misread a file.
FORMAT = 2
_PACKAGES = ("training-gaming-sim", "numpy", "xarray", "pydantic")


class Result:
    """What a run recorded: `result.gaming_rate` and so on are labelled arrays (xarray).

    Dimensions are step, agent, context, response, value and capability; `result.data` is the whole
    data set, with each variable's meaning and unit in its `attrs`. Where something is not defined
    (the compliance gap of a context without twin, say) the number is nan.

    Attributes:
        data: The data set.
        provenance: Specs, seed, engine, versions and platform: what made these numbers.
    """

    def __init__(self, data: xr.Dataset, provenance: Mapping[str, Any]) -> None:
        self.data = data
        self.provenance = dict(provenance)

    def __getattr__(self, name: str) -> xr.DataArray:
        if name.startswith("_") or name == "data":
            raise AttributeError(name)
        if name in self.data:
            return self.data[name]
        known = [str(key) for key in self.data.data_vars]
        raise AttributeError(f"the result has no {name!r}; {nearest(name, known)}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(str(key) for key in self.data.variables)]

    def __repr__(self) -> str:
        sizes = ", ".join(f"{dim}: {size}" for dim, size in self.data.sizes.items())
        return f"<sim.Result of {self.provenance['scenario']['name']!r} ({sizes})>"

    def onset_at(self, *, threshold: float = 0.5, window: int = 5) -> xr.DataArray:
        """Return the onset [agent, context] for another threshold, or for `window` records."""
        found = onset(
            self.gaming_rate.values, self.data["step"].values, threshold=threshold, window=window
        )
        return self.data["onset"].copy(data=found)

    def state(self, step: int) -> AgentState:
        """Return every agent's parameters at a recorded step, to start another run from.

        Raises:
            KeyError: The step was not recorded.
        """
        now = self.data.sel(step=step)
        return AgentState(
            values=now["values"].values,
            habit=now["habit"].values,
            awareness=now["awareness_logit"].values,
            log_horizon=now["log_horizon"].values,
            log_competence=now["log_competence"].values,
            capability=now["capability_logits"].values,
        )

    def save(self, path: str | Path) -> Path:
        """Write the result to one netCDF file, whole or not at all."""
        path = Path(path)
        data = self.data.assign_attrs(format=FORMAT, provenance=json.dumps(self.provenance))
        packed = {str(variable): {"zlib": True} for variable in data.data_vars}
        with atomic_write(path) as part:
            data.to_netcdf(part, engine="h5netcdf", encoding=packed)
        return path

    @classmethod
    def load(cls, path: str | Path) -> Result:
        """Read a result that `save` wrote. Nothing in the file is run as code.

        Raises:
            SpecError: There is no such file, or it is no result of a version that can be read.
        """
        if not Path(path).is_file():
            raise SpecError(f"result: there is no file {str(path)!r}")
        try:
            with warnings.catch_warnings(action="ignore"):
                data = xr.load_dataset(path, engine="h5netcdf")
            found = int(data.attrs.pop("format"))
            provenance = dict(json.loads(data.attrs.pop("provenance")))
            missing = {*VARIABLES, "onset"} - {str(name) for name in data.data_vars}
            if found == FORMAT and missing:
                raise KeyError(min(missing))
        except Exception as error:  # a foreign or damaged file can fail in any way
            raise SpecError(f"result: {str(path)!r} is no saved result ({error})") from None
        if found != FORMAT:
            raise SpecError(
                f"result: {str(path)!r} has format {found}; this version reads {FORMAT}"
            )
        return cls(data, provenance)


def label(
    program: Program,
    *,
    recorded: Mapping[str, Array],
    steps: list[int],
    provenance: Mapping[str, Any],
) -> Result:
    """Give names to what was recorded, and add what only a whole history tells (onset)."""
    variables = {name: _variable(VARIABLES[name], values) for name, values in recorded.items()}
    found = onset(recorded["gaming_rate"], np.array(steps))
    variables["onset"] = _variable(ONSET, found)
    return Result(xr.Dataset(variables, coords=_coordinates(program, steps)), provenance)


def describe_run(**made_by: object) -> dict[str, Any]:
    """Return a provenance: what made a result, and on what."""
    return {
        **made_by,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **versions()},
        "platform": {
            "system": platform.platform(),
            "machine": platform.machine(),
            "byteorder": sys.byteorder,
        },
    }


def _variable(variable: Variable, values: Array) -> tuple[tuple[str, ...], Array, dict[str, str]]:
    return variable.dims, values, {"long_name": variable.meaning, "units": variable.unit}


def _coordinates(program: Program, steps: list[int]) -> dict[str, Any]:
    layout, segments = program.layout, [program.at(step) for step in steps]
    maximum = max(len(names) for names in program.responses)
    padded = [[*names, *[""] * (maximum - len(names))] for names in program.responses]
    return {
        "step": np.array(steps),
        "agent": np.arange(program.agents),
        "context": list(layout.contexts),
        "response": np.arange(maximum),
        "value": list(layout.values),
        "capability": list(CAPABILITIES),
        "phase": ("step", [segment.phase for segment in segments]),
        "response_name": (("context", "response"), padded),
        "kind": ("context", list(program.kinds)),
        "weight": (("step", "context"), np.array([s.world.weight[:, 0] for s in segments])),
        "human_value": ("value", program.human_values[:, 0]),
        **{field.name: ("agent", getattr(program.traits, field.name)) for field in fields(Traits)},
    }


def versions() -> dict[str, str]:
    """Return the versions of what results depend on, by package."""
    return {package: _version(package) for package in _PACKAGES}


@cache
def _version(package: str) -> str:
    # Reading a package's metadata takes as long as a small run.
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
