"""The phase diagram as a study: its settings, its run, and the tables of regimes and of runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import Field

from sim.analysis.phase_diagram import FAILED, MOST_POINTS, PhaseDiagram, prepare
from sim.analysis.regimes import Rules
from sim.cli.fields import End, Engine, Few, Share, Spec, Store
from sim.specs.overrides import Specs
from sim.utils.files import atomic_write
from sim.utils.format import safe_name


class AxisSettings(Spec):
    """An axis of the diagram."""

    key: str
    low: End
    high: End
    points: Annotated[int, Field(ge=2, le=MOST_POINTS, strict=True)]
    scale: Literal["linear", "log"]


class RuleSettings(Spec):
    """Thresholds of the regimes, as gaming rates."""

    gamed: Share
    idle: Share
    steady: Share


class Settings(Spec):
    """The study's own keys; their meaning and defaults are in config.yaml."""

    x: AxisSettings
    y: AxisSettings
    seeds: Few
    contour: str
    refine: Annotated[bool, Field(strict=True)]
    stride: Few
    engine: Engine
    rules: RuleSettings
    store: Store


def plan(specs: Specs, settings: Settings) -> Any:
    """Return the plan of the diagram (`sim.analysis.phase_diagram.prepare`)."""
    return prepare(
        specs,
        x=settings.x.model_dump(),
        y=settings.y.model_dump(),
        seeds=settings.seeds,
        contour=settings.contour,
        rules=Rules(**settings.rules.model_dump()),
        refine=settings.refine,
        stride=settings.stride,
        engine=settings.engine,
    )


def check(specs: Specs, settings: Settings) -> None:
    """Refuse axes, thresholds and contours that the scenario cannot have.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    plan(specs, settings)


def run(
    specs: Specs, settings: Settings, *, progress: Callable[[float], None] | None = None
) -> PhaseDiagram:
    """Compute the diagram; its runs are kept in a directory of its own below `store`.

    Raises:
        SpecError: As for `check`.
    """
    survey = plan(specs, settings)
    place = f"{settings.store}/{safe_name(survey.name)}-{survey.id}"
    store = None if settings.store is None else place
    diagram: PhaseDiagram = survey.execute(store=store, progress=progress)
    return diagram


def tables(diagram: PhaseDiagram) -> dict[str, pd.DataFrame]:
    """Return the share of the diagram in each regime, and the numbers of runs."""
    shares = [
        {"regime": name, "share": share}
        for name, share in diagram.shares.items()
        if name != FAILED or share > 0.0
    ]
    runs = {name: getattr(diagram, name) for name in ("runs", "full_runs", "saved", "resumed")}
    return {"regimes": pd.DataFrame(shares), "runs": pd.DataFrame([runs])}


def summary(diagram: PhaseDiagram) -> dict[str, Any]:
    """Return the axes, the shares of the regimes and the numbers of runs, ready for JSON."""
    return {
        "scenario": diagram.provenance["scenario"]["name"],
        "x": asdict(diagram.x),
        "y": asdict(diagram.y),
        "seeds": diagram.seeds,
        "contour": diagram.contour,
        "engine": diagram.provenance["engine"],
        "shares": diagram.shares,
        "runs": diagram.runs,
        "full_runs": diagram.full_runs,
        "saved": diagram.saved,
        "resumed": diagram.resumed,
        "levels": list(diagram.levels),
    }


def write(diagram: PhaseDiagram, directory: Path) -> None:
    """Write the diagram as netCDF (`PhaseDiagram.to_xarray`), without the time of its making."""
    data = diagram.to_xarray()
    settings = {key: x for key, x in diagram.provenance.items() if key != "created"}
    data.attrs["provenance"] = json.dumps(settings)
    with atomic_write(directory / "phase_diagram.nc") as part:
        data.to_netcdf(part, engine="h5netcdf")
