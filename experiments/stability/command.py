"""Stability as a command: what its config asks for, and what it tells."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig
from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.table import Column, Table

from sim.cli.compose import read_study
from sim.cli.help import keys_of
from sim.cli.study import describe as describe
from sim.simulation import MOST_SEED
from sim.specs.errors import SpecError, check_whole
from sim.specs.overrides import Specs
from sim.stability.equilibria import Equilibria, Equilibrium
from sim.stability.invasion import Invasion
from sim.stability.phase_plane import PhasePlane, check_context, check_step, check_value
from sim.stability.training_map import TrainingMap
from sim.utils.format import join_words

#: The keys of configs/stability.yaml besides the specs, with their defaults, for the help.
OWN = {
    "context=null": "of the phase plane; null: the one with most at stake at the start",
    "value=null": "of the phase plane; null: the one that this context bears on most",
    "free=[]": "what training may move, by name or kind; none named: everything",
    "phase=-1": "which phase of the curriculum lasts for ever; -1: the last",
    "seed=0": "of the starts, and of the agent's own numbers if they are spread",
    "starts=64": "from how many starts equilibria are looked for",
    "steps=20000": "for how many steps each is followed at first",
    "at_step=null": "the plane is a slice at this step of training; null: at its start",
}
KEYS = keys_of(OWN)
#: Of what still moves, so much is told.
_MOST_TOLD = 4


@dataclass(frozen=True)
class Study:
    """What is asked for.

    Attributes:
        specs: Scenario, agent and training.
        context: Of the phase plane.
        value: Of the phase plane.
        free: Parameters that may move; all if empty.
        phase: Which phase of the curriculum lasts for ever.
        seed: Of the starts.
        starts: How many.
        steps: For how long they are relaxed at first.
        at_step: At which step of training the plane is a slice.
    """

    specs: Specs
    context: str
    value: str
    free: tuple[str, ...]
    phase: int
    seed: int
    starts: int
    steps: int
    at_step: int

    @property
    def own(self) -> dict[str, Any]:
        """What the study's own keys say, as plain data."""
        return {key: getattr(self, key) for key in KEYS} | {"free": list(self.free)}


def read(config: DictConfig, *, scenario_name: str | None = None) -> Study:
    """Check what a config asks for.

    Args:
        config: Composed by Hydra, with the keys of configs/stability.yaml.
        scenario_name: What to call a scenario that has no name of its own.

    Raises:
        SpecError: One line: what was wrong, where, what is allowed.
    """
    specs, own = read_study(config, KEYS, scenario_name=scenario_name)
    free = read_names("free", own["free"])
    check_whole("seed", own["seed"], minimum=0, maximum=MOST_SEED)
    check_whole("phase", own["phase"], minimum=-1)
    check_whole("starts", own["starts"], minimum=1)
    check_whole("steps", own["steps"], minimum=1)
    whole = TrainingMap.from_specs(specs, free=free, phase=own["phase"], seed=own["seed"])
    context = check_context(whole, own["context"])
    return Study(
        specs=specs,
        context=context,
        value=check_value(specs.scenario, context, own["value"]),
        free=free,
        phase=own["phase"],
        seed=own["seed"],
        starts=own["starts"],
        steps=own["steps"],
        at_step=check_step(specs, own["at_step"]),
    )


def read_names(key: str, given: object) -> tuple[str, ...]:
    """Return names from a list of them, or from one.

    Raises:
        SpecError: It is neither.
    """
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SpecError(f"{key}: got {given!r}: must be a list of names ([habit, values.NAME])")
    return tuple(names)


def summarise(study: Study, found: Equilibria, plane: PhasePlane) -> dict[str, Any]:
    """Return what was found as plain data, ready for JSON."""
    return {
        "scenario": study.specs.scenario.name,
        "anchor": study.specs.training.anchor,
        **study.own,
        "relaxed_for": found.steps,
        "equilibria": [_plain(found, one, i == found.own) for i, one in enumerate(found.points)],
        "own": found.own,
        "unsettled": found.unsettled,
        "newton": {"attempts": found.attempts, "stalled": found.stalled},
        "drift": {name: float(step) for name, step in found.own_drift.items()},
        "invasions": [_plain_invasion(invasion) for invasion in found.invasions],
        "inert": list(found.inert),
        "followers": list(found.followers),
        "plane": {
            "points": [
                {"kind": point.kind, "value": float(point.at[0]), "habit": float(point.at[1])}
                for point in plane.points
            ],
            "own": plane.own_orbit.attractor,
        },
    }


def _plain(found: Equilibria, one: Equilibrium, is_own: bool) -> dict[str, Any]:
    contexts = found.map.program.layout.contexts
    trained = [contexts[c] for c in found.map.segment.world.trained]
    memory = one.point.memory
    return {
        "kind": one.kind,
        "own": is_own,
        "share": one.share,
        "gaming_rate": {name: one.gaming_rate[name] for name in trained},
        "values": dict(one.values),
        "memory": memory if math.isfinite(memory) else None,
        "largest_eigenvalue": one.point.largest,
        "neutral": [list(names) for names in one.point.neutral],
        "saturated": dict(one.saturated),
        "against": [_plain_invasion(invasion) for invasion in one.invasions],
    }


def _plain_invasion(invasion: Invasion) -> dict[str, Any]:
    return {
        "context": invasion.context,
        "of": invasion.side,
        "exponent": invasion.exponent,
        "advantage": invasion.advantage,
        "how": invasion.law,
    }


def stability_table(summary: Mapping[str, Any]) -> RenderableType:
    """Return what the command tells at its end, from `summarise`."""
    parts: list[RenderableType] = []
    if summary["equilibria"]:
        parts.append(_equilibria_table(summary))
        for number, one in enumerate(summary["equilibria"], start=1):
            parts += [f"• {number}: {note}" for note in _notes(one)]
    parts += [f"• {line}" for line in _told(summary)]
    if summary["invasions"]:
        parts.append(_invasion_table(summary))
    return Group(*parts)


def _equilibria_table(summary: Mapping[str, Any]) -> Table:
    table = Table(
        "",
        "class",
        Column("starts", justify="right"),
        "gaming rate",
        "values",
        Column("memory", justify="right"),
        box=SIMPLE,
        title=f"{summary['scenario']}: where training can come to rest",
        title_justify="left",
        caption="Arrow: where the agent's own start leads. Starts: the share of them that comes to "
        "rest here. Memory: steps in which a small displacement falls to 1/e. A saddle attracts in "
        "some directions and repels in others.",
        caption_justify="left",
    )
    for number, one in enumerate(summary["equilibria"], start=1):
        table.add_row(
            f"→ {number}" if one["own"] else str(number),
            one["kind"],
            f"{100 * one['share']:.0f} %",
            _lines(one["gaming_rate"]),
            _lines(one["values"]),
            "–" if one["memory"] is None else f"{one['memory']:,.0f}",
            end_section=True,
        )
    return table


def _lines(numbers: Mapping[str, float]) -> str:
    return "\n".join(f"{round(n, 2) + 0.0:5.2f} {name}" for name, n in numbers.items())


def _notes(one: Mapping[str, Any]) -> Iterator[str]:
    for names in one["neutral"]:
        yield f"stays wherever it is put along {', '.join(names)}"
    if one["saturated"]:
        gone: dict[str, list[str]] = {}
        for context, side in one["saturated"].items():
            gone.setdefault(side, []).append(context)
        died = "; ".join(f"{side} in {join_words(where)}" for side, where in gone.items())
        back = [i for i in one["against"] if "grows" in i["how"]]
        comes = (
            join_words([f"{i['of']} in {i['context']} ({i['how']})" for i in back]) if back else ""
        )
        yield f"a corner. Died out: {died}. Would come back: {comes or 'none of it'}"


def _told(summary: Mapping[str, Any]) -> Iterator[str]:
    """Say what was found and, as plainly, what was not."""
    steps, newton = f"{summary['relaxed_for']:,}", summary["newton"]
    if not summary["equilibria"]:
        yield f"No equilibrium was found from {summary['starts']} starts."
    if summary["own"] is not None:
        yield f"The agent's own training leads to {summary['own'] + 1}."
    yield (
        f"Newton's method did not converge in {newton['stalled']} of {newton['attempts']} attempts."
    )
    if summary["unsettled"] > 0.0:
        share = f"{100 * summary['unsettled']:.0f} %"
        yield f"{share} of the starts had come to rest nowhere after {steps} steps."
    if summary["own"] is None:
        moving = sorted(summary["drift"].items(), key=lambda item: -abs(item[1]))
        fastest = ", ".join(f"{name} by {step:+.1e}" for name, step in moving[:_MOST_TOLD])
        yield f"The agent's own training is still moving after {steps} steps; in a step: {fastest}."
    if summary["anchor"] == 0.0 and not summary["equilibria"]:
        yield "Training that nothing holds back may go on for ever; see training.anchor."


def _invasion_table(summary: Mapping[str, Any]) -> Table:
    table = Table(
        "what is rare",
        "in",
        Column("exponent", justify="right"),
        "if it were rare",
        title="Could what has died out come back, where the agent's own training is by then?",
        title_justify="left",
    )
    for invasion in summary["invasions"]:
        table.add_row(
            invasion["of"], invasion["context"], f"{invasion['exponent']:+.1e}", invasion["how"]
        )
    return table
