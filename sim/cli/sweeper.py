"""A Hydra sweep as a few array programs: from overrides to a plan, and from a plan to a table.

Overrides whose values are numbers of the arrays become columns. Everything else is composed by
Hydra, once for each combination. All runs are checked before the first one starts.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    IntervalSweep,
    Override,
    QuotedString,
    RangeSweep,
    Transformer,
)
from omegaconf import DictConfig

from sim.cli.compose import Asked, read
from sim.cli.console import err, out, progress_bar
from sim.cli.curves import draw_curves
from sim.cli.report import FAILED, INTERRUPTED, Stopped, stopping
from sim.cli.tables import sweep_table
from sim.spec.errors import SpecError, check_whole, nearest
from sim.sweeps.design import Design, Grid, LatinHypercube, Product, Range, Sobol, Zip, is_number
from sim.sweeps.executors import MAKERS, Executor
from sim.sweeps.plan import Part, Plan, make_plan
from sim.sweeps.sweep import run_plan, stands_in_column, with_first_point
from sim.sweeps.table import Sweep

#: Keys whose numbers are never columns: a run has them before there are arrays.
_OF_A_RUN = ("agents", "record_every", "engine", "precision")
#: Keys that a sweep has once.
_OF_A_SWEEP = ("record", "executor", "engine", "precision")

_COMBINE: dict[str, Callable[[Mapping[str, Any]], Design]] = {"grid": Grid, "zip": Zip}
_SAMPLING: dict[str, Callable[..., Design]] = {"sobol": Sobol, "lhs": LatinHypercube}


@dataclass(frozen=True)
class Axis:
    """A key that is swept.

    Attributes:
        key: The key, without `+`.
        values: What it takes, as plain data; the ends of an interval.
        texts: The same as overrides for Hydra.
        interval: The range to sample, if it is one.
    """

    key: str
    values: list[Any]
    texts: list[str]
    interval: Range | None = None

    @property
    def is_numeric(self) -> bool:
        """Whether all its values are numbers."""
        return all(is_number(value) for value in self.values)


def sweep(
    arguments: Sequence[str],
    *,
    config: DictConfig,
    loader: ConfigLoader,
    settings: Mapping[str, Any],
) -> Sweep:
    """Run the sweep that overrides describe, or what is missing of it.

    Args:
        arguments: The overrides of the command line.
        config: Composed by Hydra for the sweep as a whole.
        loader: Composes the parts.
        settings: Of the sweeper (`hydra_plugins.array_sweeper.SETTINGS`).
    """
    with stopping():
        plan, asked = plan_sweep(arguments, config=config, loader=loader, settings=settings)
        executor = make_executor(asked.sweep.get("executor"))
        directory = _directory(plan, config, settings)
        directory.mkdir(parents=True, exist_ok=True)
        err.print(
            f"{plan.runs:,} runs in {len(plan.shards):,} shards, engine {plan.engine}, "
            f"in {directory}",
            soft_wrap=True,
            highlight=False,
        )
        try:
            with progress_bar("sweep") as progress:
                found = run_plan(
                    plan,
                    store=directory,
                    executor=executor,
                    progress=progress,
                    asked_for={"overrides": list(arguments)},
                )
        except KeyboardInterrupt:
            raise Stopped(
                f"interrupted; the same command goes on from what is in {directory}", INTERRUPTED
            ) from None
        _show(found, directory)
    if found.failed:
        raise Stopped(
            f"{found.failed:,} of {plan.runs:,} runs failed, the first because "
            f"{_first_error(found)}; the column `error` of the summary says why each did",
            FAILED,
        )
    return found


def plan_sweep(
    arguments: Sequence[str],
    *,
    config: DictConfig,
    loader: ConfigLoader,
    settings: Mapping[str, Any],
) -> tuple[Plan, Asked]:
    """Return the plan of a sweep, and what its first part asks for.

    Raises:
        SpecError: Some run cannot be done.
    """
    overrides = OverridesParser.create(config_loader=loader).parse_overrides(list(arguments))
    fixed = [o for o in overrides if not o.is_sweep_override()]
    axes = [_axis(override) for override in overrides if override.is_sweep_override()]
    for axis in axes:
        if axis.key in _OF_A_SWEEP or axis.key.split(".")[0] == "executor":
            raise SpecError(f"{axis.key}: a sweep has one for all its runs")
    # What numeric axes are is looked up in the first combination of everything.
    first = _compose(config, loader, [*_texts(fixed), *(axis.texts[0] for axis in axes)])
    columns = [axis for axis in axes if _is_column(axis, first)]
    chosen = [axis for axis in axes if axis not in columns and axis.key != "seed"]
    seeds = next((axis for axis in axes if axis.key == "seed"), None)
    points = _design(columns, settings)
    parts = []
    for texts, values in _combinations(chosen):
        known = [*_texts(fixed), *texts, *(axis.texts[0] for axis in columns)]
        asked = _compose(config, loader, known)
        parts.append(
            Part(
                specs=with_first_point(asked.specs, points),
                design=points,
                seeds=tuple(seeds.values) if seeds else (asked.run["seed"],),
                agents=asked.run["agents"],
                record_every=asked.run["record_every"],
                chosen=values,
            )
        )
    plan = make_plan(
        parts,
        record=first.sweep.get("record", "summary"),
        engine=first.run["engine"],
        precision=first.run["precision"],
    )
    return plan, first


def make_executor(described: object) -> Executor:
    """Return the executor that the key `executor` of a config describes.

    Raises:
        SpecError: It describes none.
    """
    if not isinstance(described, Mapping) or "name" not in described:
        raise SpecError(f"executor: got {described!r}: choose one with executor=local or =dask")
    settings = {str(key): value for key, value in described.items() if key != "name"}
    name = str(described["name"])
    if name not in MAKERS:
        raise SpecError(f"executor: got {name!r}: {nearest(name, MAKERS)}")
    for key, value in settings.items():
        if key in ("threads", "workers") and value is not None:
            check_whole(f"executor.{key}", value, least=1)
        elif key not in ("threads", "workers", "address"):
            raise SpecError(f"executor.{key}: unknown key; {nearest(key, _KEYS[name])}")
        elif key not in _KEYS[name]:
            raise SpecError(f"executor.{key}: executor={name} has none; it has {_KEYS[name]}")
    return MAKERS[name](**settings)


_KEYS = {"local": ("threads",), "dask": ("address", "workers")}


def _axis(override: Override) -> Axis:
    key = str(override.key_or_group)
    element = override.get_key_element()
    if override.is_interval_sweep():
        interval = override.value()
        assert isinstance(interval, IntervalSweep)
        scale = "log" if "log" in interval.tags else "linear"
        ends = [float(end) for end in (interval.start, interval.end) if end is not None]
        sampled = Range.read((*ends, scale), key)
        return Axis(key, ends, [f"{element}={end}" for end in ends], sampled)
    swept = override.value()
    if isinstance(swept, ChoiceSweep | RangeSweep):
        swept.shuffle = False  # the order of runs must stay, for a sweep to go on
    listed = list(override.sweep_iterator(transformer=Transformer.identity))
    values = [value.text if isinstance(value, QuotedString) else value for value in listed]
    texts = [f"{element}={Transformer.str(value)}" for value in listed]
    if not values:
        raise SpecError(f"{key}: has nothing in it")
    return Axis(key, values, texts)


def _is_column(axis: Axis, first: Asked) -> bool:
    if axis.key == "seed":
        if axis.interval is not None:
            raise SpecError("seed: must be whole numbers; seed=range(32) gives 0 to 31")
        return False
    if not axis.is_numeric or axis.key in _OF_A_RUN:
        found = False
    else:
        found = stands_in_column(first.specs, axis.key, axis.values[0])
    if axis.interval is not None and not found:
        raise SpecError(f"{axis.key}: cannot be drawn from an interval; give it values")
    return found


def _design(columns: Sequence[Axis], settings: Mapping[str, Any]) -> Design:
    combine = _named(settings, "combine", _COMBINE)
    listed = {axis.key: axis.values for axis in columns if axis.interval is None}
    sampled = {axis.key: axis.interval for axis in columns if axis.interval is not None}
    designs = [combine(listed)] if listed else []
    if sampled:
        draw = _named(settings, "sampling", _SAMPLING)
        designs.append(draw(sampled, points=settings["points"], seed=settings["seed"]))
    return Product(*designs)


def _named(settings: Mapping[str, Any], key: str, known: Mapping[str, Any]) -> Any:
    name = settings[key]
    if name not in known:
        raise SpecError(f"hydra.sweeper.{key}: got {name!r}: {nearest(str(name), known)}")
    return known[name]


def _combinations(axes: Sequence[Axis]) -> Iterator[tuple[list[str], dict[str, Any]]]:
    """Yield every combination of choices, as overrides and by key."""
    for places in itertools.product(*(range(len(axis.values)) for axis in axes)):
        chosen = list(zip(axes, places, strict=True))
        yield (
            [axis.texts[place] for axis, place in chosen],
            {axis.key: _plain(axis.values[place]) for axis, place in chosen},
        )


def _plain(value: object) -> object:
    return value if is_number(value) or isinstance(value, str | bool) else str(value)


def _texts(overrides: Sequence[Override]) -> list[str]:
    return [f"{o.get_key_element()}={o.get_value_element_as_str()}" for o in overrides]


def _compose(config: DictConfig, loader: ConfigLoader, overrides: list[str]) -> Asked:
    composed = loader.load_sweep_config(config, overrides)
    choice = composed.hydra.runtime.choices.get("scenario")
    return read(composed, scenario_name=None if choice is None else str(choice))


def _directory(plan: Plan, config: DictConfig, settings: Mapping[str, Any]) -> Path:
    """Return where the sweep is kept: in a directory that is named for what it is."""
    given = [o for o in config.hydra.overrides.hydra if str(o).startswith("hydra.sweep.dir=")]
    root = config.hydra.sweep.dir if given else settings["dir"]
    names = list(dict.fromkeys(part.specs.scenario.name for part in plan.parts))
    name = "+".join(names) if len(names) <= 3 else f"{len(names)}-scenarios"
    return Path(root) / f"{name}-{plan.id[:8]}"


def _first_error(found: Sweep) -> str:
    row = found.query("select run, error from summary where error is not null order by run limit 1")
    return f"(run {row['run'].iat[0]}) {row['error'].iat[0]}"


def _show(found: Sweep, directory: Path) -> None:
    if found.resumed:
        err.print(f"[dim]{found.resumed:,} runs were there already[/dim]")
    if found.damaged:
        err.print(f"{found.damaged:,} damaged shards were done again")
    out.print(sweep_table(found))
    if found.described["record"] != "summary":
        _, figure, *_ = draw_curves(found, directory)
        out.print(f"figure: {figure}", soft_wrap=True)
    err.print(f"[dim]numbers and data: {directory}[/dim]", soft_wrap=True)
