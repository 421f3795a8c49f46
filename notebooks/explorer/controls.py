"""The controls of the page: what they start from, and the state that they add up to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from html import escape
from typing import Any

import marimo as mo

from notebooks.explorer.assumptions import ASSUMPTIONS, Assumption, number_of, of_values, within
from notebooks.explorer.page import Asked, Memory
from notebooks.explorer.state import State, Value, base, split_settings
from sim.specs.errors import SpecError
from sim.specs.library import names

#: The choice of the context by the program.
MOST_AT_STAKE = "the one with most at stake"
_VALUES = "Values at the start"
#: Sliders are as exact as this.
_DIGITS = 9


def pasted() -> Any:
    """Return the field that takes a command line."""
    return mo.ui.text(
        label="load a command line (paste one that somebody shared, press Enter)",
        placeholder="python experiments/emergence.py scenario=copyright ...",
        full_width=True,
    )


def load(text: object, memory: Memory) -> str:
    """Remember the state that a pasted command line describes; returns what is wrong with it.

    Nothing pasted is the state that the explorer opens with. A line that cannot be used changes
    nothing.
    """
    try:
        state = State.read(str(text)) if text else State()
        state.specs()
    except SpecError as error:
        return str(error)
    memory.loaded = state
    return ""


def head(start: State) -> Any:
    """Return the controls on which the sliders depend: the scenario, and how many agents."""
    parts = {
        "scenario": mo.ui.dropdown(names("scenario"), value=start.scenario, label="scenario"),
        "agents": _field("agents", str(start.agents)),
        "seed": _field("seed", str(start.seed)),
    }
    return _laid_out({"Run": list(parts)}).batch(**parts)


class Sliders:
    """The sliders of a scenario.

    Args:
        chosen: The value of `head`.
        start: What the sliders start from, if it is of that scenario.

    Attributes:
        elements: The controls, as one.
    """

    def __init__(self, chosen: Mapping[str, Any], start: State) -> None:
        scenario = str(chosen["scenario"] or start.scenario)
        self._start = start if scenario == start.scenario else State(scenario)
        specs = base(scenario)
        said = dict(self._start.settings)
        self._of: dict[str, tuple[Assumption, float]] = {}
        parts: dict[str, Any] = {}
        groups: dict[str, list[str]] = {}
        for group, assumptions in {**ASSUMPTIONS, _VALUES: of_values(specs)}.items():
            for assumption in assumptions:
                number = number_of(specs, assumption.key)
                if number is None:
                    continue
                name = f"s{len(parts)}"
                self._of[name] = assumption, number
                groups.setdefault(group, []).append(name)
                parts[name] = _slider(assumption, _number(said.pop(assumption.key, number)))
        trained = [name for name, c in specs.scenario.contexts.items() if c.kind == "training"]
        parts["plane"] = mo.ui.dropdown(
            [MOST_AT_STAKE, *trained], value=MOST_AT_STAKE, label="phase plane of"
        )
        more = " ".join(f"{key}={value}" for key, value in said.items())
        hint = "training.steps=1000 training.estimator=sampled"
        parts["more"] = _field("any other setting", more, hint)
        groups["Also"] = ["plane", "more"]
        self.elements = _laid_out(groups).batch(**parts)

    def asked(self, chosen: Mapping[str, Any], moved: Mapping[str, Any], *, wrong: str) -> Asked:
        """Return what the controls add up to.

        Args:
            chosen: The value of `head`.
            moved: The value of `elements`.
            wrong: What is wrong with a command line that was pasted.
        """
        if wrong:
            return Asked(None, wrong)
        plane = moved["plane"]
        context = None if plane in (None, MOST_AT_STAKE) else str(plane)
        try:
            settings: dict[str, Value] = {}
            for name, (assumption, number) in self._of.items():
                now = round(_number(moved[name]) * assumption.unit, _DIGITS)
                if now != number:
                    settings[assumption.key] = now
            state = replace(self._start, settings=settings).with_settings(
                [f"{key}={chosen[key]}" for key in ("agents", "seed")]
            )
            state = state.with_settings(split_settings(str(moved["more"])))
        except SpecError as error:
            return Asked(None, str(error))
        return Asked(state, context=context)


def _laid_out(groups: Mapping[str, list[str]]) -> mo.Html:
    """Return controls in groups, by name; styles are inside, where those of the page do not act."""
    fields = "".join(
        '<fieldset style="border:0;padding:0;margin:0;min-width:0">'
        f'<legend style="font-weight:bold;padding:0;color:#1f1f1f">{group}</legend>'
        + "".join(f"<div>{{{name}}}</div>" for name in names)
        + "</fieldset>"
        for group, names in groups.items()
    )
    return mo.Html(f'<div style="display:grid;gap:10px">{fields}</div>')


def _field(label: str, value: str, hint: str = "") -> Any:
    return mo.ui.text(value=value, label=label, placeholder=hint, debounce=300, full_width=True)


def _slider(assumption: Assumption, number: float) -> Any:
    at = round(number / assumption.unit, _DIGITS)
    low, high = within(assumption, at)
    label = escape(assumption.label)
    return mo.ui.slider(
        low, high, assumption.step, value=at, label=label, show_value=True, full_width=True
    )


def _number(value: object) -> float:
    """Return a slider's number; nan if what was sent for it is none."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else float("nan")  # type: ignore[arg-type]
