"""Parts of the five lessons: the gate, figures with words, exercises, agents, a phase plane."""

import base64
import html
import io
from collections.abc import Mapping, Sequence

import marimo as mo
import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

import sim

#: Okabe and Ito's colours, which survive grey and colour-blindness.
BLUE, ORANGE, BLACK, GREEN, PINK, GREY = (
    "#0072B2",
    "#D55E00",
    "#000000",
    "#007A5A",
    "#A8487F",
    "#737373",
)
DASHES = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (8, 2, 2, 2)), (0, (4, 1, 1, 1)))
#: Of a figure that is as wide as a telephone: a point is a pixel there, and larger elsewhere.
_WIDTH, _INK = 5.2, 11.5
_STYLE = {
    "font.size": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.labelsize": _INK,
    "xtick.labelsize": _INK,
    "ytick.labelsize": _INK,
    "lines.linewidth": 2.0,
    "svg.hashsalt": "lessons",
    "svg.fonttype": "path",
}


def canvas(*, height: float = 3.4) -> tuple[Figure, Axes]:
    """Return a figure that can be read on a telephone, and its axes."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        axes = figure.subplots()
    return figure, axes


def legend(figure: Figure, *, columns: int = 2) -> None:
    """Name the lines of a figure above it."""
    figure.legend(loc="outside upper left", ncols=columns, frameon=False, fontsize=_INK)


def plate(figure: Figure, says: str, *, title: str = "") -> mo.Html:
    """Return a figure with what it shows in words: below it, and as its text alternative.

    Args:
        figure: What `canvas` returned, drawn upon.
        says: What a reader would see, with the numbers; plain text.
        title: What it is about, above it; text of the page, which wraps where a figure's cannot.
    """
    for text in figure.findobj(Text):
        text.set_fontsize(_INK)
    buffer = io.BytesIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    picture = base64.b64encode(buffer.getvalue()).decode()
    words, heading = html.escape(says), html.escape(title)
    above = f'<div class="title">{heading}</div>' if title else ""
    return mo.Html(
        f'<figure class="lesson">{above}'
        f'<img alt="{words}" src="data:image/svg+xml;base64,{picture}">'
        f"<figcaption>{words}</figcaption></figure>"
    )


def column(*parts: object) -> mo.Html:
    """Return parts one below the other; a text is markdown."""
    return mo.vstack([mo.md(part) if isinstance(part, str) else part for part in parts])


def slider(*limits: float, label: str, value: float, steps: Sequence[float] = ()) -> mo.ui.slider:
    """Return a slider as wide as the text, with its value beside it.

    Args:
        limits: Least, most and step; nothing where `steps` are given.
        label: What it moves.
        value: Where it begins.
        steps: The only values that it takes.
    """
    settings = {"value": value, "show_value": True, "full_width": True, "label": label}
    return (
        mo.ui.slider(steps=list(steps), **settings) if steps else mo.ui.slider(*limits, **settings)
    )


def predict(question: str, options: Mapping[str, str]) -> mo.ui.radio:
    """Return a question that is asked before the reveal; nothing is chosen yet.

    Args:
        question: In markdown.
        options: What can be answered, and the short name of each answer.
    """
    return mo.ui.radio(options=dict(options), label=f"**Predict first.** {question}")


def wait_for(*guesses: object, quietly: bool = False) -> None:
    """Stop the cell, and all that hang on it, until every question has an answer.

    Args:
        guesses: The questions.
        quietly: Leave the place empty meanwhile.
    """
    unanswered = any(guess.value is None for guess in guesses)
    note = mo.md("*What the model says appears here once you have answered.*")
    mo.stop(unanswered, None if quietly else note)


def reveal(guess: object, right: str, *parts: object) -> mo.Html:
    """Say whether an answer is what the model computes, and show what it computes below."""
    kind, verdict = (
        ("success", "**As you predicted.** Now say why, before you read on.")
        if guess.value == right
        else ("warn", "**Not what the model computes.** Where did your reasons part?")
    )
    return column(mo.callout(mo.md(verdict), kind), *parts)


def exercise(number: int, task: str, answer: str) -> mo.Html:
    """Return an exercise with its answer folded away."""
    return column(
        f"**Exercise {number}.** {task}",
        mo.accordion({f"Answer to exercise {number}": mo.md(answer)}),
    )


def percent(share: float) -> str:
    """Write a share of 1 in per cent, without rounding what is not 0 or 100 to either."""
    number = 100 * float(share)
    if 0 < number < 0.1:
        return "less than 0.1 %"
    near_an_end = 0 < number < 1 or 99 < number < 100
    return f"{number:.1f} %" if near_an_end else f"{number:.0f} %"


def signed(number: float, places: int = 2) -> str:
    """Write a number with a true minus sign, and no minus before nothing."""
    return f"{round(float(number), places) + 0.0:.{places}f}".replace("-", "−")


def join_words(parts: Sequence[str]) -> str:
    """Write a list in words: `a, b and c`."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


def spoken(name: object) -> str:
    """Write a name of the simulator as words."""
    return str(name).replace("_", " ")


def anybody(*, along: float = 0.0, capability: float = 0.0) -> dict:
    """Return the agent of lessons 4 and 5, of which nothing particular is known, as settings.

    Args:
        along: How far its values lie along human values on average; below 0, against them.
        capability: Mean of every capability, a logit.
    """
    human = {"care": 1, "copyright": 0.5, "helpfulness": 1, "power": -1, "conquest": -1}
    return {
        "initial": {
            "values": {**{name: along * weight for name, weight in human.items()}, "reward": 0},
            "awareness": -2,
            "capability": capability,
        },
        "spread": {
            "initial": {
                "values": 1,
                "habit": 1,
                "awareness": 3,
                "log_horizon": 1,
                "log_competence": 0.5,
                "capability": 2,
            }
        },
    }


#: One context of the first example, for the phase plane of lesson 3.
_SONG = {
    "name": "one_song",
    "values": ["copyright"],
    "human_values": {"copyright": 1},
    "contexts": {
        "chat": {
            "responses": {"respect": {"copyright": 1}, "disregard": {"copyright": -1}},
            "reward": {"respect": -1, "disregard": 1},
            "info": 1,
            "cue": 2,
        }
    },
}
#: What is held there: all but the value and the habit.
_FROZEN = [
    {"key": f"state.{name}", "freeze": True}
    for name in ("awareness", "log_horizon", "log_competence")
]


def flow(anchor: float) -> tuple[np.ndarray, ...]:
    """Return values, habits, and how far a step of training moves each [15, 15]."""
    values, habits = np.meshgrid(np.linspace(-1.2, 1.2, 15), np.linspace(-8, 6, 15))
    # The anchor pulls to the start of each agent; an arrow needs the pull to the usual start.
    step = sim.simulate(
        _SONG,
        agents=values.size,
        initial=sim.AgentState(values=values.reshape(-1, 1), habit=habits.reshape(-1, 1)),
        training={"steps": 1},
        interventions=_FROZEN,
        record_every=1,
        seed=0,
    )
    before, after = (step.data.isel(step=at) for at in (0, 1))
    right = (after["values"] - before["values"]).values.reshape(values.shape)
    up = (after["habit"] - before["habit"]).values.reshape(values.shape)
    return values, habits, right - anchor * (values - 1), up - anchor * (habits + 5)


def fixed_points(anchor: float) -> list[tuple[str, float, float, float]]:
    """Return the fixed points of value and habit, as (kind, value, habit, gaming rate)."""
    equilibria = sim.equilibria(
        _SONG,
        free=["values.copyright", "habit.chat"],
        training={"anchor": anchor},
        starts=8,
        steps=2000,
    )
    spots = [
        (point, dict(zip(point.point.names, point.point.at, strict=True)))
        for point in equilibria.points
    ]
    return [
        (
            point.kind,
            spot["values.copyright"],
            spot["habit.chat"],
            point.gaming_rate["chat"],
        )
        for point, spot in spots
    ]
