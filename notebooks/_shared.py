"""What the five lessons share: the gate, figures with words beside them, exercises."""

import base64
import html
import io
from collections.abc import Mapping

import marimo as mo
import matplotlib as mpl
from matplotlib.figure import Figure

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
_STYLE = {
    "font.size": 12.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 12.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "lines.linewidth": 2.0,
    "svg.hashsalt": "lessons",
    "svg.fonttype": "path",
    "legend.frameon": False,
    "legend.fontsize": 11.0,
}


def canvas(rows: int = 1, *, height: float = 3.4) -> tuple[Figure, list]:
    """Return a figure of one column of axes, wide as the text, and its axes."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        figure = Figure(figsize=(6.6, height * rows), layout="constrained")
        axes = figure.subplots(rows, 1, squeeze=False)[:, 0]
    return figure, list(axes)


def plate(figure: Figure, says: str) -> mo.Html:
    """Return a figure with what it shows in words: below it, and as its text alternative."""
    drawn = io.BytesIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    picture = base64.b64encode(drawn.getvalue()).decode()
    words = html.escape(says)
    return mo.Html(
        f'<figure class="lesson"><img alt="{words}" src="data:image/svg+xml;base64,{picture}">'
        f"<figcaption>{words}</figcaption></figure>"
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
    waiting = any(guess.value is None for guess in guesses)
    told = mo.md("*What the model says appears here once you have answered.*")
    mo.stop(waiting, None if quietly else told)


def reply(guess: object, right: str) -> mo.Html:
    """Say whether an answer is what the model computes."""
    if guess.value == right:
        return mo.callout(
            mo.md("**As you predicted.** Now say why, before you read on."), "success"
        )
    return mo.callout(
        mo.md("**Not what the model computes.** Where did your reasons part?"), "warn"
    )


def exercise(number: int, task: str, answer: str) -> mo.Html:
    """Return an exercise with its answer folded away."""
    return mo.vstack(
        [
            mo.md(f"**Exercise {number}.** {task}"),
            mo.accordion({f"Answer to exercise {number}": mo.md(answer)}),
        ]
    )


def percent(share: float) -> str:
    """Write a share of 1 in per cent, without rounding what is not 0 or 100 to either."""
    shown = 100 * float(share)
    if 0 < shown < 0.1:
        return "less than 0.1 %"
    near_an_end = 0 < shown < 1 or 99 < shown < 100
    return f"{shown:.1f} %" if near_an_end else f"{shown:.0f} %"


def signed(number: float, places: int = 2) -> str:
    """Write a number with a true minus sign, and no minus before nothing."""
    return f"{round(float(number), places) + 0.0:.{places}f}".replace("-", "−")
