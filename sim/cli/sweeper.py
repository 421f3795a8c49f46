"""A Hydra sweep as a few array programs: from overrides to a plan, and from a plan to a table.

Overrides whose values are numbers of the arrays become columns. Everything else is composed by
Hydra, once for each combination. All runs are checked before the first one starts.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    ChoiceSweep,
    IntervalSweep,
    Override,
    RangeSweep,
    Transformer,
)
from omegaconf import DictConfig, ListConfig, OmegaConf

from sim.cli.compose import RunInputs, read
from sim.cli.console import err, out, prepare_shard, progress_bar
from sim.cli.curves import draw_curves
from sim.cli.errors import FAILED, INTERRUPTED, Stopped, stopping
from sim.cli.keys import CONFIGS, scenario_choice, sweeper_settings
from sim.cli.tables import sweep_table
from sim.specs.errors import SpecError, check_whole, nearest
from sim.specs.keys import field_at, is_vectorisable
from sim.specs.overrides import apply_overrides
from sim.sweeps.design import (
    MOST_PARTS,
    Design,
    Grid,
    LatinHypercube,
    Product,
    Range,
    Sobol,
    Zip,
    check_runs,
    is_number,
    level_labels,
)
from sim.sweeps.executors import LocalExecutor
from sim.sweeps.plan import Part, Plan, make_plan
from sim.sweeps.result import Sweep
from sim.sweeps.sweep import run_plan, with_first_point
from sim.utils.format import count_of, safe_name
from sim.utils.parallel import raise_on_ctrl_c

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
        return self.key == "seed" or (
            is_vectorisable(self.key) and all(map(is_number, self.values))
        )


class Links:
    """Finds the keys of a config that follow a swept number by an interpolation of any kind.

    The numbers stand in the config as interpolations themselves, which note that they are read.
    """

    def __init__(self, axes: Sequence[Axis]) -> None:
        self.followers: dict[str, str] = {}  # by the key that is swept, the first that follows it
        self._axes = list(axes)
        self._reads: set[int] = set()
        OmegaConf.register_new_resolver("sweep.first", self._first, replace=True)

    def text(self, axis: Axis) -> str:
        """Return what stands for the first number of an axis in an override."""
        return f"${{sweep.first:{self._axes.index(axis)}}}"

    def _first(self, place: int) -> Any:
        self._reads.add(place)
        return self._axes[place].values[0]

    def look(self, node: DictConfig | ListConfig, path: str = "") -> None:
        """Look through a config, below a path that ends in a point."""
        names: Any = node if isinstance(node, DictConfig) else range(len(node))
        for name in names:
            key = f"{path}{name}"
            if key == "hydra":
                continue
            if not OmegaConf.is_interpolation(node, name):
                child = None if OmegaConf.is_missing(node, name) else node[name]
                if isinstance(child, DictConfig | ListConfig):
                    self.look(child, f"{key}.")
                continue
            self._reads.clear()
            value = node[name]
            if OmegaConf.is_config(value):
                OmegaConf.to_container(value, resolve=True)
            for axis in (self._axes[place] for place in self._reads):
                if axis.key != key:
                    self.followers.setdefault(axis.key, key)


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
        raise_on_ctrl_c()
        directory = _directory(plan, config, settings)
        directory.mkdir(parents=True, exist_ok=True)
        err.print(
            f"{count_of(plan.runs, 'run')} in {count_of(len(plan.shards), 'shard')}, "
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
            f"{result.failed:,} of {count_of(plan.runs, 'run')} failed, the first because "
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
    overrides = _that_hold(parsed)
    swept = {i: _axis(each) for i, each in enumerate(overrides) if each.is_sweep_override()}
    axes = list(swept.values())
    _check_axes(swept, [str(each.key_or_group) for each in overrides])
    seeds = _seeds(axes)
    links = Links(axes)

    def compose(levels: Mapping[str, str]) -> RunInputs:
        """Compose a combination of levels; numbers of the arrays are there as their first."""
        lines = [str(each.input_line) for each in overrides]
        for i, axis in swept.items():
            lines[i] = levels.get(axis.key, f"{axis.element}={links.text(axis)}")
        with _at(levels):
            return _compose(config, loader, lines, links)

    columns = [axis for axis in axes if axis.is_column]
    while True:
        points = _design([axis for axis in columns if axis.key != "seed"], settings)
        discrete = [axis for axis in axes if axis not in columns]
        combinations = prod(len(axis.values) for axis in discrete)
        check_runs("axes", combinations, maximum=MOST_PARTS)
        check_runs("axes", combinations * len(points) * max(len(seeds), 1))
        links.followers.clear()
        choices = [_Choice(*choice, compose(choice[0])) for choice in _choices(axes, columns)]
        if not links.followers:
            break
        # What follows a number is another config for each of its levels, which Hydra composes.
        for axis in [axis for axis in columns if axis.key in links.followers]:
            zipped = settings["combine"] == "zip" and axis.key != "seed"
            if axis.interval is not None or zipped:
                raise SpecError(
                    f"{links.followers[axis.key]}: follows {axis.key}, which is "
                    f"{'zipped' if zipped else 'drawn from an interval'}: must have numbers of its "
                    f"own, or {axis.key} a list of levels in a grid"
                )
            columns.remove(axis)
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
                seeds=seeds if "seed" not in choice.texts and seeds else (run["seed"],),
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
    if isinstance(swept, RangeSweep) and swept.step:
        start, stop = float(swept.start or 0), float(swept.stop or 0)
        check_runs(key, int((stop - start) / float(swept.step)))
    items = list(override.sweep_iterator(transformer=Transformer.identity))
    values = [Override._convert_value(item) for item in items]
    texts = [f"{element}={Transformer.str(item)}" for item in items]
    if not values:
        raise SpecError(f"{key}: has nothing in it")
    return Axis(key, element, values, texts)


def _that_hold(overrides: Sequence[Override]) -> list[Override]:
    """Return the overrides without those that a later one replaces, as everywhere in Hydra.

    A mapping changes the keys that it names, and replaces nothing.
    """
    holding: list[Override] = []
    replaced: set[str] = set()
    for override in reversed(overrides):
        key, value = override.get_key_element(), override.value()
        if key not in replaced:
            holding.insert(0, override)
        levels = value.list if isinstance(value, ChoiceSweep) else [value]
        if not any(isinstance(level, dict) for level in levels):
            replaced.add(key)
    return holding


def _check_axes(axes: Mapping[int, Axis], keys: Sequence[str]) -> None:
    """Refuse what cannot be swept, and axes that a later override would undo.

    `axes` are by their place among all overrides, which have `keys`.
    """
    for place, axis in axes.items():
        if axis.key in _OF_A_SWEEP or axis.key.split(".")[0] == "executor":
            raise SpecError(f"{axis.key}: a sweep has one for all its runs")
        later = keys[place + 1 :]
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
        is_known = "." not in axis.key or field_at(axis.key)[0] is not None
        if axis.interval is not None and is_known:  # composing refuses what is not
            raise SpecError(f"{axis.key}: cannot be drawn from an interval; give it values")
    labels = [level_labels(axis.key, axis.values) for axis in discrete]
    for places in itertools.product(*(range(len(axis.values)) for axis in discrete)):
        levels = list(zip(discrete, labels, places, strict=True))
        yield (
            {axis.key: axis.texts[place] for axis, _, place in levels},
            {axis.key: names[place] for axis, names, place in levels if axis.key != "seed"},
        )


def _compose(
    config: DictConfig, loader: ConfigLoader, overrides: list[str], links: Links
) -> RunInputs:
    composed = loader.load_sweep_config(config, overrides)
    links.look(composed)
    return read(composed, scenario_name=scenario_choice(composed.hydra))


def _directory(plan: Plan, config: DictConfig, settings: Mapping[str, Any]) -> Path:
    """Return where the sweep is kept: in a directory that is named for what it is."""
    default = OmegaConf.load(CONFIGS / "application.yaml")
    directory, default_directory = (
        OmegaConf.to_container(node, resolve=False)["dir"]  # type: ignore[index, call-overload]
        for node in (config.hydra.sweep, default.hydra.sweep)
    )
    root = settings["dir"] if directory == default_directory else config.hydra.sweep.dir
    if "://" in str(root):
        raise SpecError(f"hydra.sweep.dir: got {root!r}: must be a directory of this machine")
    names = list(dict.fromkeys(part.specs.scenario.name for part in plan.parts))
    name = "+".join(names) if len(names) <= 3 else f"{len(names)}-scenarios"
    return Path(root).expanduser() / f"{safe_name(name)}-{plan.id[:8]}"


def _first_error(result: Sweep) -> str:
    row = result.query(
        "select run, error from summary where error is not null order by run limit 1"
    )
    return f"(run {row['run'].iat[0]}) {row['error'].iat[0]}"


def _show(result: Sweep, directory: Path) -> None:
    if result.resumed:
        err.print(f"there already: {count_of(result.resumed, 'run')}", style="dim")
    if result.damaged:
        err.print(f"done again, as they were damaged: {count_of(result.damaged, 'shard')}")
    out.print(sweep_table(result))
    if result.described["record"] != "summary" and result.failed < result.described["runs"]:
        figure = directory / "curves.png"
        if result.resumed < result.described["runs"] or not figure.exists():
            draw_curves(result, directory)
        out.print(f"figure: {figure}", soft_wrap=True)
    err.print(f"numbers and data: {directory}", style="dim", soft_wrap=True)
