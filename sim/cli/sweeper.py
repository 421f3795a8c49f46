"""A Hydra sweep as a few array programs: from overrides to a plan, and from a plan to a table.

Overrides whose values are numbers of the arrays become columns. Everything else is composed by
Hydra, once for each combination. All runs are checked before the first one starts.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
from omegaconf import DictConfig, OmegaConf

from sim.cli.compose import RunInputs, read
from sim.cli.console import err, out, prepare_shard, progress_bar
from sim.cli.curves import draw_curves
from sim.cli.errors import FAILED, INTERRUPTED, Stopped, stopping
from sim.cli.keys import scenario_choice, sweeper_settings
from sim.cli.tables import sweep_table
from sim.specs.errors import SpecError, check_whole, nearest
from sim.specs.keys import is_vectorisable
from sim.specs.overrides import apply_overrides
from sim.sweeps.design import Design, Grid, LatinHypercube, Product, Range, Sobol, Zip, is_number
from sim.sweeps.executors import LocalExecutor
from sim.sweeps.plan import Part, Plan, make_plan
from sim.sweeps.result import Sweep
from sim.sweeps.sweep import run_plan, with_first_point
from sim.utils.format import safe_name

#: Keys that a sweep has once.
_OF_A_SWEEP = ("record", "executor", "engine", "precision")

_COMBINE: dict[str, Callable[[Mapping[str, Any]], Design]] = {"grid": Grid, "zip": Zip}
_SAMPLING: dict[str, Callable[..., Design]] = {"sobol": Sobol, "lhs": LatinHypercube}


@dataclass(frozen=True)
class Axis:
    """A key that is swept."""

    key: str  # without `+`
    element: str  # the key as it was given
    values: list[Any]  # plain data; the ends of an interval
    texts: list[str]  # the same as overrides for Hydra
    interval: Range | None = None  # to be sampled

    @property
    def is_column(self) -> bool:
        """Whether it is a column of the array program: numbers in which its runs can differ."""
        return is_vectorisable(self.key) and all(map(is_number, self.values))


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
        settings: Of the sweeper (`SETTINGS` of Hydra's plugin).
    """
    with stopping():
        plan, inputs = plan_sweep(arguments, config=config, loader=loader, settings=settings)
        executor = inputs.executor
        directory = _directory(plan, config, settings)
        directory.mkdir(parents=True, exist_ok=True)
        err.print(
            f"{_count(plan.runs, 'run')} in {_count(len(plan.shards), 'shard')}, "
            f"engine {plan.engine}, in {directory}",
            soft_wrap=True,
            highlight=False,
        )
        try:
            with progress_bar("sweep") as progress:
                result = run_plan(
                    plan,
                    store=directory,
                    executor=executor,
                    progress=progress,
                    note={"overrides": list(arguments)},
                    prepare=prepare_shard if isinstance(executor, LocalExecutor) else None,
                )
            _show(result, directory)
        except KeyboardInterrupt:
            raise Stopped(
                f"interrupted; the same command goes on from what is in {directory}", INTERRUPTED
            ) from None
    if result.failed:
        raise Stopped(
            f"{result.failed:,} of {_count(plan.runs, 'run')} failed, the first because "
            f"{_first_error(result)}; the column `error` of the summary says why each did",
            FAILED,
        )
    return result


def plan_sweep(
    arguments: Sequence[str],
    *,
    config: DictConfig,
    loader: ConfigLoader,
    settings: Mapping[str, Any],
) -> tuple[Plan, RunInputs]:
    """Return the plan of a sweep, and what its first part asks for.

    Raises:
        SpecError: Some run cannot be done.
    """
    _check_settings(settings)
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(arguments))
    # As everywhere in Hydra, of two values for one key the later holds.
    overrides = list({override.get_key_element(): override for override in parsed}.values())
    axes = [_axis(override) for override in overrides if override.is_sweep_override()]
    _check_axes(axes, {o.get_key_element(): str(o.key_or_group) for o in overrides})

    firsts = {axis.key: axis.texts[0] for axis in axes}

    def compose(levels: Mapping[str, str]) -> RunInputs:
        """Compose the first combination, but for the levels of some axes."""
        texts = {**firsts, **levels}
        lines = {o.get_key_element(): str(o.input_line) for o in overrides}
        lines |= {axis.element: texts[axis.key] for axis in axes}
        with _at(levels):
            return _compose(config, loader, list(lines.values()))

    seeds = _seeds(axes)
    of_runs = [axis for axis in axes if axis.key != "seed"]
    columns = [axis for axis in of_runs if axis.is_column]
    choices = [_Choice(*choice, compose(choice[0])) for choice in _choices(of_runs, columns)]
    points = _design(columns, settings)
    parts = []
    for choice in choices:
        with _at(choice.texts):
            for axis in columns:
                if axis.interval is not None:  # its ends need not be among the points
                    for end in axis.values:
                        apply_overrides(choice.inputs.specs, {axis.key: end})
            specs = with_first_point(choice.inputs.specs, points)
        run = choice.inputs.run
        parts.append(
            Part(
                specs=specs,
                design=points,
                seeds=seeds or (run["seed"],),
                agents=run["agents"],
                record_every=run["record_every"],
                choices=choice.values,
            )
        )
    first = choices[0].inputs
    plan = make_plan(
        parts,
        record=first.record,
        engine=first.run["engine"],
        precision=first.run["precision"],
    )
    return plan, first


@dataclass(frozen=True)
class _Choice:
    """A combination of choices, with the config that Hydra composes of it."""

    texts: Mapping[str, str]  # the choices as overrides, by key
    values: Mapping[str, Any]  # the same as plain data
    inputs: RunInputs  # the composed config


@contextmanager
def _at(texts: Mapping[str, str]) -> Iterator[None]:
    """Add, to an error, the choices at which it occurs."""
    try:
        yield
    except SpecError as error:
        choices = f" (at {' '.join(texts.values())})" if texts else ""
        raise SpecError(f"{error}{choices}") from None


def _check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse bad settings of the sweeper, whether this sweep needs them or not."""
    allowed = sweeper_settings()
    for key in settings:
        if key not in allowed:
            raise SpecError(f"hydra.sweeper.{key}: unknown key; {nearest(key, allowed)}")
    for key, options in (("combine", _COMBINE), ("sampling", _SAMPLING)):
        if settings[key] not in options:
            hint = nearest(str(settings[key]), options)
            raise SpecError(f"hydra.sweeper.{key}: got {settings[key]!r}: {hint}")
    check_whole("hydra.sweeper.points", settings["points"], minimum=1)
    check_whole("hydra.sweeper.seed", settings["seed"], minimum=0)
    if not isinstance(settings["dir"], str) or not settings["dir"]:
        raise SpecError(f"hydra.sweeper.dir: got {settings['dir']!r}: must be a directory")


def _axis(override: Override) -> Axis:
    key = str(override.key_or_group)
    element = override.get_key_element()
    if override.is_interval_sweep():
        interval = override.value()
        assert isinstance(interval, IntervalSweep)
        for tag in interval.tags - {"log"}:
            raise SpecError(f"{key}: got the tag {tag!r}: an interval can be tagged log")
        ends = [interval.start, interval.end]
        sampled = Range.read((*ends, "log" if interval.tags else "linear"), key)
        # As whole numbers where they are, for keys that take nothing else.
        ends = [int(end) if end == int(end) else end for end in (sampled.low, sampled.high)]
        return Axis(key, element, ends, [f"{element}={end}" for end in ends], sampled)
    swept = override.value()
    if isinstance(swept, ChoiceSweep | RangeSweep):
        swept.shuffle = False  # the order of runs must stay, for a sweep to go on
    items = list(override.sweep_iterator(transformer=Transformer.identity))
    values = [_unquoted(item) for item in items]
    texts = [f"{element}={Transformer.str(item)}" for item in items]
    if not values:
        raise SpecError(f"{key}: has nothing in it")
    return Axis(key, element, values, texts)


def _unquoted(item: Any) -> Any:
    """Return a level as plain data, without the quotes in which its texts were written."""
    if isinstance(item, Mapping):
        return {_unquoted(key): _unquoted(value) for key, value in item.items()}
    if isinstance(item, list):
        return [_unquoted(value) for value in item]
    return item.text if isinstance(item, QuotedString) else item


def _check_axes(axes: Sequence[Axis], keys: Mapping[str, str]) -> None:
    """Refuse what cannot be swept, and axes that a later override would undo.

    `keys` are those of all overrides in order, by how they were written.
    """
    for axis in axes:
        if axis.key in _OF_A_SWEEP or axis.key.split(".")[0] == "executor":
            raise SpecError(f"{axis.key}: a sweep has one for all its runs")
        later = list(keys.values())[list(keys).index(axis.element) + 1 :]
        # A group (scenario=NAME) goes before everything, wherever it stands.
        over = [key for key in later if "." in key and axis.key.startswith(f"{key}.")]
        if axis.key in later or over:
            raise SpecError(f"{axis.key}: is given twice, or in whole and in part")


def _seeds(axes: Sequence[Axis]) -> tuple[int, ...]:
    """Return the seeds that are swept; none if they are not."""
    for axis in axes:
        if axis.key == "seed":
            if axis.interval is not None:
                raise SpecError("seed: must be whole numbers; seed=range(32) gives 0 to 31")
            return tuple(axis.values)
    return ()


def _design(columns: Sequence[Axis], settings: Mapping[str, Any]) -> Design:
    combine, draw = _COMBINE[settings["combine"]], _SAMPLING[settings["sampling"]]
    listed = {axis.key: axis.values for axis in columns if axis.interval is None}
    sampled = {axis.key: axis.interval for axis in columns if axis.interval is not None}
    designs = [combine(listed)] if listed else []
    if sampled:
        designs.append(draw(sampled, points=settings["points"], seed=settings["seed"]))
    return Product(*designs)


def _choices(
    axes: Sequence[Axis], columns: Sequence[Axis]
) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    """Yield every combination of the axes that are no columns, as overrides and as plain data."""
    discrete = [axis for axis in axes if axis not in columns]
    for axis in discrete:
        if axis.interval is not None:
            raise SpecError(f"{axis.key}: cannot be drawn from an interval; give it values")
    for places in itertools.product(*(range(len(axis.values)) for axis in discrete)):
        levels = list(zip(discrete, places, strict=True))
        yield (
            {axis.key: axis.texts[place] for axis, place in levels},
            {axis.key: _plain(axis.values[place]) for axis, place in levels},
        )


def _plain(value: object) -> object:
    return value if is_number(value) or isinstance(value, str | bool) else str(value)


def _compose(config: DictConfig, loader: ConfigLoader, overrides: list[str]) -> RunInputs:
    composed = loader.load_sweep_config(config, overrides)
    return read(composed, scenario_name=scenario_choice(composed.hydra))


def _directory(plan: Plan, config: DictConfig, settings: Mapping[str, Any]) -> Path:
    """Return where the sweep is kept: in a directory that is named for what it is."""
    keys = [override.lstrip("+").split("=")[0] for override in config.hydra.overrides.hydra]
    written = OmegaConf.to_container(config.hydra.sweep, resolve=False)
    is_default = "${now:" in str(written) and "hydra.sweep.dir" not in keys
    root = settings["dir"] if is_default else config.hydra.sweep.dir
    if "://" in str(root):
        raise SpecError(f"hydra.sweep.dir: got {root!r}: must be a directory of this machine")
    names = list(dict.fromkeys(part.specs.scenario.name for part in plan.parts))
    name = "+".join(names) if len(names) <= 3 else f"{len(names)}-scenarios"
    return Path(root) / f"{safe_name(name)}-{plan.id[:8]}"


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _first_error(result: Sweep) -> str:
    row = result.query(
        "select run, error from summary where error is not null order by run limit 1"
    )
    return f"(run {row['run'].iat[0]}) {row['error'].iat[0]}"


def _show(result: Sweep, directory: Path) -> None:
    if result.resumed:
        err.print(f"there already: {_count(result.resumed, 'run')}", style="dim")
    if result.damaged:
        err.print(f"done again, as they were damaged: {_count(result.damaged, 'shard')}")
    out.print(sweep_table(result))
    if result.described["record"] != "summary" and result.failed < result.described["runs"]:
        figure = directory / "curves.png"
        if result.resumed < result.described["runs"] or not figure.exists():
            draw_curves(result, directory)
        out.print(f"figure: {figure}", soft_wrap=True)
    err.print(f"numbers and data: {directory}", style="dim", soft_wrap=True)
