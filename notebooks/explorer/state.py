"""What the explorer is set to, as settings of specs and as a command line, there and back.

What a user types is cut into `key=number` or `key=word` and goes to the specs, which know what is
allowed. Nothing of it is evaluated, and a scenario is a name in the library, never a path.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from sim.simulation import MOST_SEED
from sim.specs.errors import SpecError, check_whole, nearest
from sim.specs.keys import full_key
from sim.specs.library import names
from sim.specs.overrides import Specs, apply_overrides, as_population, read_specs

Value = int | float | bool | str
#: The command that a state is shared as.
COMMAND = ("python", "experiments/emergence.py")
#: More would not answer a slider in time; the command line takes any number.
MOST_AGENTS, MOST_STEPS = 256, 20_000
#: The longest text that is read.
_MOST_TEXT = 4000
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_WHOLE = re.compile(r"[-+]?[0-9]{1,20}")
_NUMBER = re.compile(r"[-+]?([0-9]{1,20}\.?[0-9]{0,20}|\.[0-9]{1,20})([eE][-+]?[0-9]{1,3})?")
#: What can be set of a scenario.
_OF_SCENARIO = re.compile(
    r"scenario\.(contexts\.[^.]+\.(weight|info|cue|scratchpad)|human_values\.[^.]+)"
)
#: One number for all, or by name. The command line replaces the one by the other where this
#: program changes one of many, so all are said.
_BY_NAME = (
    "agent.initial.values",
    "agent.initial.habit",
    "agent.spread.initial.values",
    "agent.spread.initial.habit",
    "agent.spread.initial.capability",
)


@dataclass(frozen=True)
class State:
    """Settings of the explorer.

    Attributes:
        scenario: A name in the library.
        settings: What differs from the scenario as it is, by full dotted key.
        agents: How many.
        seed: Of all random draws.
        record_every: Steps from one record to the next.
    """

    scenario: str = "copyright"
    settings: Mapping[str, Value] = field(default_factory=dict)
    agents: int = 32
    seed: int = 0
    record_every: int = 20

    def specs(self) -> Specs:
        """Return the specs, checked.

        Raises:
            SpecError: One line: what was wrong, where, what is allowed.
        """
        check_whole("agents", self.agents, minimum=1, maximum=MOST_AGENTS)
        check_whole("seed", self.seed, minimum=0, maximum=MOST_SEED)
        check_whole("record_every", self.record_every, minimum=1)
        for key in self.settings:
            _check_key(key)
        # One number for all goes before those that are set by name, as on a command line.
        found = base(self.scenario)
        whole = {key: self.settings[key] for key in self.settings if key in _BY_NAME}
        rest = {key: value for key, value in self.settings.items() if key not in whole}
        if whole:
            found = apply_overrides(found, whole)
        found = apply_overrides(found, rest)
        steps = found.training.steps
        if steps > MOST_STEPS:
            raise SpecError(
                f"training.steps: got {steps}: the explorer takes at most {MOST_STEPS}; the "
                "command line takes any number"
            )
        if found.training.selection.every and self.agents < 2:
            raise SpecError("agents: got 1: selection needs 2 or more")
        return found

    def overrides(self) -> list[str]:
        """Return the settings of the command line that gives the same numbers.

        Raises:
            SpecError: The state cannot be used.
        """
        specs = self.specs()
        said: dict[str, Value] = {
            "scenario": self.scenario,
            "agents": self.agents,
            "seed": self.seed,
            "record_every": self.record_every,
        }
        for key, value in self.settings.items():
            place = next((place for place in _BY_NAME if key.startswith(f"{place}.")), None)
            said |= {key: value} if place is None else _all_of(specs, place)
        for place in _BY_NAME:  # said by name, so not as one number
            if any(key.startswith(f"{place}.") for key in said):
                said.pop(place, None)
        return [f"{key}={_text(value)}" for key, value in said.items()]

    def command(self) -> str:
        """Return the command line, quoted for a shell."""
        return shlex.join([*COMMAND, *self.overrides()])

    @classmethod
    def read(cls, text: str) -> State:
        """Return the state of a command line, or of its settings alone.

        Raises:
            SpecError: It is none that the explorer understands.
        """
        words = _split(text, "command")
        while words and "=" not in words[0]:
            words = words[1:]
        return cls().with_settings(words)

    def with_settings(self, words: Iterable[str]) -> State:
        """Return this state, changed by settings such as `training.leak=0.3` or `seed=3`.

        Raises:
            SpecError: One is no setting.
        """
        changed, settings = self, dict(self.settings)
        for word in words:
            key, equals, text = word.partition("=")
            key = key.lstrip("+")
            if not equals or not _KEY.fullmatch(key):
                raise SpecError(f"{_short(word)}: must be KEY=VALUE, such as training.leak=0.3")
            value = read_value(key, text)
            if key == "scenario":
                changed = replace(changed, scenario=str(value))
            elif key in ("agents", "seed", "record_every"):
                check_whole(key, value, minimum=0)
                changed = replace(changed, **{key: value})  # type: ignore[arg-type]
            else:
                _check_key(key)
                settings[full_key(key)] = value
        return replace(changed, settings=settings)


def split_settings(text: str) -> list[str]:
    """Return the settings of a text, which stand between spaces.

    Raises:
        SpecError: The text is too long, or a quotation does not end.
    """
    return _split(text, "settings")


def read_value(key: str, text: str) -> Value:
    """Return what stands behind a key: a number, or a word.

    Raises:
        SpecError: It is neither.
    """
    if _WHOLE.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text) or text.lower().lstrip("+-") in ("inf", "nan"):
        return float(text)
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if _WORD.fullmatch(text):
        return text
    raise SpecError(f"{key}: got {_short(text)}: must be a number or a word")


@cache
def base(scenario: str) -> Specs:
    """Return what experiments/emergence.py runs on a scenario if nothing else is said.

    Raises:
        SpecError: The library has no scenario of that name.
    """
    if scenario not in names("scenario"):
        hint = nearest(scenario, names("scenario"))
        raise SpecError(f"scenario: no scenario is named {_short(scenario)}; {hint}")
    return as_population(read_specs(scenario))


def _check_key(key: str) -> None:
    first = key.split(".")[0]
    known = ("agent", "training", "scenario", "agents", "seed", "record_every")
    if first not in known:
        raise SpecError(f"{key[:60]}: unknown key; {nearest(first, known)}")
    if key in ("agent", "training"):
        raise SpecError(f"{key}: name a number in it, such as training.leak=0.3")
    if first == "scenario" and not _OF_SCENARIO.fullmatch(key):
        raise SpecError(
            f"{key[:60]}: of a scenario, the explorer sets human_values.VALUE and "
            "contexts.NAME.weight, .info, .cue and .scratchpad; the command line sets the rest"
        )


def _all_of(specs: Specs, place: str) -> dict[str, Value]:
    """Return what a place says by name, by full key."""
    node: object = specs
    for part in place.split("."):
        node = getattr(node, part)
    assert isinstance(node, Mapping)
    return {f"{place}.{name}": number for name, number in node.items()}


def _split(text: str, what: str) -> list[str]:
    if len(text) > _MOST_TEXT:
        raise SpecError(f"{what}: at most {_MOST_TEXT} characters are read")
    try:
        return shlex.split(text)
    except ValueError as error:
        raise SpecError(f"{what}: {str(error).lower()}") from None


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _short(text: str) -> str:
    shown = repr(text)
    return shown if len(shown) <= 60 else shown[:57] + "..."
