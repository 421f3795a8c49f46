"""The bifurcation diagram as a command: what it can be told, and what it says and leaves behind."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Group, RenderableType
from rich.table import Table

from experiments.stability.command import describe, read_names
from sim.cli.compose import read_study
from sim.cli.help import keys_of, study_help
from sim.cli.outputs import write_figure, write_frame, write_json
from sim.plots.bifurcation import bifurcation, few_digits, readable
from sim.plots.style import short_key
from sim.simulation import MOST_SEED
from sim.specs.errors import SpecError, check_whole, nearest
from sim.specs.overrides import Specs
from sim.specs.scenario import Scenario
from sim.stability.bifurcation import (
    DISTINCT,
    Bifurcations,
    bistable,
    check_variable,
    most_moved,
    read_family,
)
from sim.stability.phase_plane import check_context, value_weights
from sim.stability.training_map import TrainingMap
from sim.sweeps.design import Range, is_number

OWN = {
    "key=agent.initial.awareness": "any number of the agent, training or a context",
    "low=-10": "from where ...",
    "high=2": "... to where it goes",
    "scale=linear": "or log",
    "variable=null": "gaming_rate.CONTEXT, values.NAME, reward.CONTEXT; or what differs most",
    "free=null": "what training may move: names or kinds; []: everything; null:",
    "": "what bears on the variable's context (configs/bifurcation.yaml)",
    "phase=-1": "which phase of the curriculum lasts for ever; -1: the last",
    "seed=0": "of the starts, and of the agent's own numbers if they are spread",
    "places=5": "at how many places on the axis equilibria are looked for ...",
    "starts=32": "... and from how many starts at each",
}
KEYS = keys_of(OWN)
HELP = study_help(
    "where training can come to rest, along one number.",
    OWN,
    example="key=training.anchor low=1e-4 high=0.1 scale=log",
)
SCALES = ("linear", "log")


@dataclass(frozen=True)
class Study:
    """What is asked for.

    Attributes:
        specs: Scenario, agent and training.
        key: The number that is moved, by full key.
        along: From where to where.
        variable: What is drawn; None for the gaming rate that differs most.
        free: What may move; everything if empty.
        rest: Phase, seed, places and starts.
    """

    specs: Specs
    key: str
    along: Range
    variable: str | None
    free: tuple[str, ...]
    rest: dict[str, int]

    @property
    def own(self) -> dict[str, Any]:
        """What the study's own keys say, as plain data."""
        return {
            "key": self.key,
            **asdict(self.along),
            "variable": self.variable,
            "free": list(self.free),
            **self.rest,
        }


def read(config: DictConfig, *, scenario_name: str | None = None) -> Study:
    """Check what a config asks for.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    specs, own = read_study(config, KEYS, scenario_name=scenario_name)
    rest = {key: own[key] for key in ("phase", "seed", "places", "starts")}
    for key, least in (("phase", -1), ("places", 1), ("starts", 1)):
        check_whole(key, rest[key], minimum=least)
    check_whole("seed", rest["seed"], minimum=0, maximum=MOST_SEED)
    along = _read_range(own["low"], own["high"], own["scale"])
    key = _read_key(specs, own["key"], along)
    whole = TrainingMap.from_specs(specs, phase=rest["phase"], seed=rest["seed"])
    variable = own["variable"]
    if variable is not None:
        check_variable(_variables(whole), variable)
    if own["free"] is None:
        context = check_context(whole, _context_of(whole, variable))
        free = bearing_on(specs.scenario, whole, context)
    else:
        free = read_names("free", own["free"])
    if free:
        whole.only(free)
    return Study(specs, key, along, variable, free, rest)


def bearing_on(scenario: Scenario, whole: TrainingMap, context: str) -> tuple[str, ...]:
    """Return the parameters that bear on one context.

    These are the values that its responses serve or offend, the habits wherever one of these is at
    stake, and awareness, horizon and competence.
    """
    values = [value for value, weight in value_weights(scenario, context).items() if weight > 0.0]
    layout, trained = whole.program.layout, whole.segment.world.trained
    near = [
        name
        for name in (layout.contexts[c] for c in trained)
        if name == context or any(value_weights(scenario, name)[value] > 0.0 for value in values)
    ]
    named = [f"values.{value}" for value in values] + [f"habit.{name}" for name in near]
    return (*named, "awareness", "log_horizon", "log_competence")


def _read_range(low: object, high: object, scale: object) -> Range:
    if scale not in SCALES:
        raise SpecError(f"scale: got {scale!r}: {nearest(str(scale), SCALES)}")
    least = 0.0 if scale == "log" else -math.inf
    for name, end in (("low", low), ("high", high)):
        if not is_number(end) or not least < float(str(end)) < math.inf:
            above = " above 0, as the scale is log" if scale == "log" else ""
            raise SpecError(f"{name}: got {end!r}: must be a number{above}")
    if not float(str(low)) < float(str(high)):
        raise SpecError(f"low: got {low!r}: must be below high, which is {high!r}")
    return Range.read((low, high, scale), "low")


def _read_key(specs: Specs, key: object, along: Range) -> str:
    if not isinstance(key, str):
        raise SpecError(f"key: got {key!r}: must be a number's name (agent.initial.awareness)")
    try:
        return read_family(specs, key, along).key
    except SpecError as error:
        raise SpecError(str(error) if str(error).startswith("key: ") else f"key: {error}") from None


def _variables(whole: TrainingMap) -> list[str]:
    layout = whole.program.layout
    return [
        *(f"gaming_rate.{name}" for name in layout.contexts),
        *(f"values.{name}" for name in layout.values),
        *(f"reward.{name}" for name in layout.contexts),
    ]


def _context_of(whole: TrainingMap, variable: str | None) -> str | None:
    """Return the context that a variable is of, if it is of one that is trained on."""
    name = "" if variable is None else variable.partition(".")[2]
    contexts = [whole.program.layout.contexts[c] for c in whole.segment.world.trained]
    return name if name in contexts else None


def value_of(study: Study, variable: str) -> str | None:
    """Return the column of the value that a variable's context bears on most, if any."""
    kind, _, context = variable.partition(".")
    if kind == "values":
        return None
    weight = value_weights(study.specs.scenario, context)
    return f"values.{max(weight, key=lambda name: weight[name])}"


def summarise(study: Study, found: Bifurcations) -> dict[str, Any]:
    """Return the numbers of a diagram as plain data, ready for JSON."""
    summary = {"scenario": study.specs.scenario.name, **study.own}
    summary |= {"held": held(study, found), "branches": len(found.branches)}
    frame = found.frame
    if frame.empty:
        return {**summary, "variable": study.variable, "folds": [], "bistable": []}
    variable = study.variable or most_moved(frame)
    shown = [variable, *filter(None, [value_of(study, variable)])]
    folds = frame[frame["event"] == "fold"][["branch", study.key, *shown]]
    intervals = [asdict(one) for one in bistable(found, variable)]
    summary |= {"variable": variable, "distinct": DISTINCT}
    return {**summary, "folds": folds.to_dict("records"), "bistable": intervals}


def held(study: Study, found: Bifurcations) -> list[str]:
    """Return the parameters that are held where they start although training would move them."""
    whole = TrainingMap.from_specs(study.specs, phase=study.rest["phase"], seed=study.rest["seed"])
    moving = found.family.at(0.5).names
    return [name for name in whole.names if name not in {*moving, *found.family.aside}]


def note(summary: Mapping[str, Any]) -> str:
    """Return what the figure says of what is held."""
    if not summary["held"]:
        return "Everything that training moves is free to move"
    kinds: dict[str, list[str]] = {}
    for name in summary["free"]:
        kind, _, which = name.replace("_", " ").partition(".")
        kinds.setdefault(kind, []).append(which)
    free = [
        kind if which == [""] else f"{kind} {', '.join(which)}" for kind, which in kinds.items()
    ]
    return f"Free to move: {'; '.join(free)}. All else is held where it starts"


def diagram_table(summary: Mapping[str, Any]) -> RenderableType:
    """Return what the command tells at its end, from `summarise`."""
    if not summary["branches"]:
        return (
            f"No fixed point was found at any of {summary['places']} places on the axis, so there "
            "is nothing to draw. Without training.anchor, training often comes to rest nowhere."
        )
    name = short_key(summary["key"])
    table = Table(
        name,
        "what happens there",
        title=f"{summary['scenario']}: {summary['branches']} branches of equilibria along {name}",
        title_justify="left",
    )
    for fold in summary["folds"]:
        seen = {
            key: number for key, number in fold.items() if key not in ("branch", summary["key"])
        }
        told = ", ".join(f"{readable(key)} {number:.2f}" for key, number in seen.items())
        table.add_row(few_digits(fold[summary["key"]]), f"fold of branch {fold['branch']}: {told}")
    for one in summary["bistable"]:
        ends = f"{few_digits(one['low'])} to {few_digits(one['high'])}"
        table.add_row(ends, f"up to {one['outcomes']} stable outcomes")
    parts: list[RenderableType] = [table] if table.row_count else []
    return Group(*parts, " ".join(sentences(summary)))


def sentences(summary: Mapping[str, Any]) -> Iterator[str]:
    """Say in words what a diagram shows."""
    what, name = readable(summary["variable"]), short_key(summary["key"])
    if not summary["bistable"]:
        yield f"Nowhere on this axis has training two stable outcomes that differ in {what}."
    for one in summary["bistable"]:
        yield (
            f"With {name} from {few_digits(one['low'])} to {few_digits(one['high'])}, the {what} "
            "that training comes to rest at depends on where it began."
        )


def write_diagram(
    directory: Path, study: Study, found: Bifurcations
) -> tuple[dict[str, Any], Path | None]:
    """Write a diagram and its numbers; returns the summary, and the figure if there is one."""
    summary = summarise(study, found)
    write_json(directory / "provenance.json", describe(study.specs, **study.own))
    write_json(directory / "bifurcation.json", summary)
    write_frame(directory / "branches.csv", found.frame)
    if not summary["branches"]:
        return summary, None
    variable = summary["variable"]
    figure = bifurcation(found, variable, below=value_of(study, variable), note=note(summary))
    return summary, write_figure(directory / "bifurcation", figure)[0]
