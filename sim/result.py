"""The labelled result of a run: one data set, its measures and its provenance."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
import textwrap
import warnings
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

from sim.dynamics.measures import onset
from sim.dynamics.observe import ONSET, VARIABLES, Variable
from sim.dynamics.population import Traits
from sim.dynamics.program import Program
from sim.dynamics.state import AgentState, Array
from sim.specs.errors import SpecError, nearest
from sim.utils.files import atomic_write

#: Version of the file format; raised when a reader of the older one would misread a file.
FORMAT = 3
_PACKAGES = ("training-gaming-sim", "numpy", "xarray", "pydantic")
#: At most so many contexts, and values, are shown by `repr`.
_MOST_ROWS = 12


class Result:
    """A recorded run: `result.gaming_rate` and so on are labelled arrays (xarray).

    Dimensions are step, agent, context, response, value and capability; `result.data` is the whole
    data set, with each variable's meaning and unit in its `attrs`. Where something is not defined
    (the compliance gap of a context without twin, say) the number is nan.

    Attributes:
        data: The data set.
        provenance: What made these numbers: specs, seed, engine, versions and platform.
    """

    def __init__(self, data: xr.Dataset, provenance: Mapping[str, Any]) -> None:
        self.data = data
        self.provenance = dict(provenance)

    def __getattr__(self, name: str) -> xr.DataArray:
        if name.startswith("_") or name == "data":
            raise AttributeError(name)
        if name in self.data:
            return self.data[name]
        hint = nearest(name, [str(key) for key in self.data.data_vars])
        raise AttributeError(f"the result has no {name!r}; {hint}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(str(key) for key in self.data.variables)]

    def __repr__(self) -> str:
        sizes = ", ".join(f"{dim}: {size}" for dim, size in self.data.sizes.items())
        lines = [f"<sim.Result of {self.provenance['scenario']['name']!r} ({sizes})>"]
        ends = self.data[["gaming_rate", "values"]].isel(step=[0, -1]).median("agent")
        lines += ["medians over agents, first and last record:"]
        for name, dim in (("gaming_rate", "context"), ("values", "value")):
            for part in ends[dim].values[:_MOST_ROWS]:
                first, last = ends[name].sel({dim: part}).values
                lines.append(f"  {f'{name}.{part}':<40} {first:8.3f} {last:8.3f}")
            if ends.sizes[dim] > _MOST_ROWS:
                lines.append(f"  ... {ends.sizes[dim] - _MOST_ROWS} more")
        names = "variables: " + ", ".join(map(str, self.data.data_vars))
        return "\n".join([*lines, textwrap.fill(names, 96, subsequent_indent="  ")])

    def onset_at(self, *, threshold: float = 0.5, window: int = 5) -> xr.DataArray:
        """Return the onset [agent, context] for another threshold, or for `window` records."""
        rates, steps = self.gaming_rate.values, self.data["step"].values
        return self.data["onset"].copy(data=onset(rates, steps, threshold=threshold, window=window))

    def state(self, step: int) -> AgentState:
        """Return every agent's parameters at a recorded step (KeyError), to start a run from."""
        record = self.data.sel(step=step)
        return AgentState(
            values=record["values"].values,
            propensity=record["propensity"].fillna(0.0).values,
            habit=record["habit"].values,
            awareness=record["awareness_logit"].values,
            log_horizon=record["log_horizon"].values,
            log_competence=record["log_competence"].values,
            capability=record["capability_logits"].values,
        )

    def plot(self, *, unaware: Result | None = None) -> Any:
        """Return the emergence figure, of matplotlib: gaming rates, values, value drift.

        `unaware` are the same agents, had training never come to mind, for comparison.
        """
        from sim.plots.emergence import emergence

        return emergence(self, unaware=unaware)

    def save(self, path: str | Path) -> Path:
        """Write the result to one netCDF file, whole or not at all."""
        path = Path(path).expanduser()
        about = {"format": FORMAT, "provenance": json.dumps(self.provenance), "sealed": 1}
        data = self.data.assign_attrs(about)
        packed = {str(variable): {"zlib": True} for variable in data.data_vars}
        # In memory: HDF5 ends the process when a disk is full.
        content = bytes(data.to_netcdf(engine="h5netcdf", encoding=packed))
        with atomic_write(path) as part:
            part.write_bytes(content + _seal(content))
        return path

    @classmethod
    def load(cls, path: str | Path) -> Result:
        """Read a result that `save` wrote (or SpecError). Nothing in the file is run as code."""
        path = Path(path).expanduser()
        if not path.is_file():
            raise SpecError(f"result: there is no file {str(path)!r}")
        try:
            is_sealed = _check_file(path)
            with warnings.catch_warnings(action="ignore"):
                data = xr.load_dataset(path, engine="h5netcdf")
            if data.attrs.pop("sealed", 0) and not is_sealed:
                raise ValueError("it is not as it was written")
            file_format = int(data.attrs.pop("format"))
            provenance = dict(json.loads(data.attrs.pop("provenance")))
            missing = {*VARIABLES, "onset"} - {str(name) for name in data.data_vars}
            if file_format == FORMAT and missing:
                raise KeyError(min(missing))
        except Exception as error:  # a foreign or damaged file can fail in any way
            raise SpecError(f"result: {str(path)!r} is no saved result ({error})") from None
        if file_format != FORMAT:
            raise SpecError(
                f"result: {str(path)!r} has format {file_format}; this version reads {FORMAT}"
            )
        return cls(data, provenance)


def _seal(content: bytes) -> bytes:
    """Return what stands behind the content of a file, where HDF5 does not look."""
    return b"\nsha256 " + hashlib.sha256(content).hexdigest().encode()


def _check_file(path: Path) -> bool:
    """Return whether a file has a seal, which must fit; its data must stand in it (ValueError)."""
    content, size = path.read_bytes(), len(_seal(b""))
    is_sealed = content[-size:].startswith(b"\nsha256 ")
    if is_sealed and _seal(content[:-size]) != content[-size:]:
        raise ValueError("it is not as it was written")
    with h5py.File(path) as file:
        for name in file:
            item = file[name] if isinstance(file.get(name, getlink=True), h5py.HardLink) else None
            if not isinstance(item, h5py.Dataset) or item.external or item.is_virtual:
                raise ValueError(f"{name} is no data in this file")
    return is_sealed


def label(
    program: Program,
    *,
    recorded: Mapping[str, Array],
    steps: list[int],
    provenance: Mapping[str, Any],
) -> Result:
    """Return recorded arrays as a result, with the onset, which follows from the whole history."""
    variables = {name: _variable(VARIABLES[name], values) for name, values in recorded.items()}
    onsets = onset(recorded["gaming_rate"], np.array(steps))
    variables["onset"] = _variable(ONSET, onsets)
    return Result(xr.Dataset(variables, coords=_coordinates(program, steps)), provenance)


def describe_run(**made_by: object) -> dict[str, Any]:
    """Return a provenance: the arguments, the time, versions and platform."""
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
    maximum = max(len(names) for names in program.layout.responses)
    padded = [[*names, *[""] * (maximum - len(names))] for names in program.layout.responses]
    return {
        "step": np.array(steps),
        "agent": np.arange(program.agents),
        **{dim: list(names) for dim, names in layout.dimensions.items()},
        "response": np.arange(maximum),
        "phase": ("step", [segment.phase for segment in segments]),
        "response_name": (("context", "response"), padded),
        "kind": ("context", list(program.kinds)),
        "weight": (("step", "context"), np.array([s.world.weight[:, 0] for s in segments])),
        "human_value": ("value", program.human_values[:, 0]),
        **{field.name: ("agent", getattr(program.traits, field.name)) for field in fields(Traits)},
    }


def versions() -> dict[str, str]:
    """Return the versions of the packages that results depend on."""
    return {package: _version(package) for package in _PACKAGES}


@cache
def _version(package: str) -> str:
    # Reading a package's metadata takes as long as a small run.
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
