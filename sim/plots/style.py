"""The common style of figures: type, colours (also in grey and for the colour-blind), labels."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from sim.utils.format import printable

#: Okabe and Ito's colours, ordered so that neighbours also differ in lightness.
COLOURS = ("#0072B2", "#D55E00", "#000000", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#8C8C8C")
#: Dashes for lines of the same colour.
DASHES: tuple[tuple[float, ...], ...] = (
    (),
    (6, 2),
    (2, 1.5),
    (8, 2, 2, 2),
    (4, 1, 1, 1, 1, 1),
    (10, 3),
    (1, 1),
    (6, 1, 2, 1),
)
MUTED = "#595959"

_RC: dict[str, Any] = {
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": MUTED,
    "axes.edgecolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "lines.linewidth": 1.8,
    "lines.dash_capstyle": "round",
    "savefig.dpi": 160,
    "svg.hashsalt": "sim",
    "svg.fonttype": "path",
}


@contextmanager
def house_style() -> Iterator[None]:
    """Apply the common style in place of the user's own settings."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)  # type: ignore[arg-type]
        yield


def literal(text: str) -> str:
    """Write text from data for a figure, where $ would begin mathematics."""
    return printable(text).replace("$", r"\$")


def head(figure: Figure, title: str, note: str) -> None:
    """Write a title in bold above a figure, and the lines of a note below it, to fit its width."""
    width = figure.get_figwidth()
    title = textwrap.fill(literal(title), int(10.5 * width))
    note = "\n".join(textwrap.fill(literal(line), int(15 * width)) for line in note.splitlines())
    size, below = 1 + title.count("\n"), 1 + note.count("\n")
    lines = "\n" * below
    figure.suptitle(f"{title}{lines}", x=0.01, ha="left", fontweight="bold", fontsize=10)
    start = "\n" * (size + 1)
    figure.text(0.01, 1.0, f"{start}{note}", va="top", color=MUTED, fontsize=8)


def title_of(figure: Figure, text: str) -> None:
    """Write a title above a figure, in lines that fit its width."""
    wrapped = textwrap.fill(literal(text), int(10.2 * figure.get_figwidth()))
    figure.suptitle(wrapped, x=0.01, ha="left", fontsize=11, fontweight="bold")


def spaced(name: object) -> str:
    """Write a name with spaces for underscores."""
    return str(name).replace("_", " ")


def cut(text: str, most: int) -> str:
    """Return a text of at most so many characters, cut in its middle, since ends tell apart."""
    end = most // 3
    return text if len(text) <= most else f"{text[: most - end - 1].rstrip()}…{text[-end:]}"


def cut_apart(texts: Sequence[str], most: int) -> list[str]:
    """Return texts of about so many characters, no two alike.

    What cutting makes alike keeps the word from which on it differs; then it is numbered.
    """
    short = [cut(text, most) for text in texts]
    for alike in {text for text in short if short.count(text) > 1}:
        places = [place for place, text in enumerate(short) if text == alike]
        columns = zip(*(texts[place] for place in places), strict=False)
        same = len(list(takewhile(lambda letters: len(set(letters)) == 1, columns)))
        start = max(texts[places[0]].rfind(" ", 0, same) + 1, same - 8)
        for place in filter(lambda place: len(texts[place]) > most, places):
            rest = texts[place][start:]
            short[place] = f"{alike[: most // 3].rstrip()}…{cut(rest, most - most // 3 - 1)}"
    for place, text in enumerate(short):
        if text in short[:place]:
            short[place] = f"{text} ({short[:place].count(text) + 1})"
    return short


def changes_text(interventions: Sequence[Mapping[str, Any]]) -> str:
    """Write interventions as they are given to `do=`, without what is not stated; or nothing."""
    unstated = (("freeze", False), ("start", 0))
    changes = [
        ", ".join(f"{k}: {v}" for k, v in x.items() if v is not None and (k, v) not in unstated)
        for x in interventions
    ]
    return f"do=[{', '.join(f'{{{text}}}' for text in changes)}]" if changes else ""


def mark_phases(ax: Axes, phases: Sequence[tuple[int, str]], *, names: str = "inside") -> None:
    """Mark where phases start (a step and a name each), if several; names: inside, above or ""."""
    first, last = ax.get_xlim()
    va, offset, most = ("bottom", (0, 3), 26) if names == "above" else ("top", (4, -4), 20)
    style: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "va": va, "fontsize": 8}
    for start, name in phases if len(phases) > 1 else ():
        if first <= start <= last:
            ax.axvline(start, color=MUTED, lw=0.6)
            text, at = literal(cut(name, most)) * bool(names), (start, 1.0)
            ax.annotate(text, at, offset, textcoords="offset points", color=MUTED, **style)


def halo(colour: str = "white", width: float = 3.0) -> dict[str, Any]:
    """Return properties of text or lines that set them off from what lies beneath."""
    return {"path_effects": [withStroke(linewidth=width, foreground=colour)]}


def short_key(key: str) -> str:
    """Return a dotted key without its section: `awareness` for `agent.initial.awareness`."""
    for start in ("agent.initial.", "agent.", "training.", "scenario.contexts."):
        key = key.removeprefix(start)
    return key


@dataclass(frozen=True)
class EndLabel:
    """A label at the right end of a line, which ends at `y` in data units."""

    text: str
    y: float
    colour: str


def label_ends(
    ax: Axes, labels: Sequence[EndLabel], *, line_height: float = 0.06, heading: str = ""
) -> None:
    """Write labels beside the right ends of lines, moved apart where they would overlap.

    Args:
        ax: Its limits must be final.
        labels: The labels.
        line_height: Distance between labels, at least, as a share of the height of the axes.
        heading: What the labels are of, above them.
    """
    if heading:
        ax.annotate(
            heading,
            xy=(1.025, 1.0),
            xytext=(0, 9),
            xycoords="axes fraction",
            textcoords="offset points",
            color=MUTED,
        )
    low, high = ax.get_ylim()
    order = np.argsort([label.y for label in labels])
    ends = [(labels[i].y - low) / (high - low) for i in order]
    placed = _within(_apart(ends, minimum=line_height), minimum=line_height)
    for i, at, end in zip(order, placed, ends, strict=True):
        label = labels[i]
        ax.annotate(
            label.text,
            xy=(1.0, end),
            xytext=(1.025, at),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            color=label.colour,
            arrowprops={
                "arrowstyle": "-",
                "color": label.colour,
                "lw": 0.6,
                "shrinkA": 1,
                "relpos": (0.0, 0.5),
            },
            annotation_clip=False,
        )


def _apart(positions: Sequence[float], *, minimum: float) -> list[float]:
    """Move increasing positions apart to a least distance, by as little as possible.

    Neighbours that are too close form a group around the mean of their positions.
    """
    groups: list[list[float]] = []
    for position in positions:
        groups.append([position])
        while (
            len(groups) > 1
            and _span(groups[-2], minimum)[1] + minimum > _span(groups[-1], minimum)[0]
        ):
            last = groups.pop()
            groups[-1] += last
    placed: list[float] = []
    for group in groups:
        start = _span(group, minimum)[0]
        placed += [start + minimum * i for i in range(len(group))]
    return placed


def _within(placed: Sequence[float], *, minimum: float) -> list[float]:
    """Push increasing positions down from above 1, then up from below 0, keeping them apart."""
    positions = list(placed)
    for i in reversed(range(len(positions))):
        positions[i] = min(
            positions[i], 1.0 if i == len(positions) - 1 else positions[i + 1] - minimum
        )
    for i in range(len(positions)):
        positions[i] = max(positions[i], 0.0 if i == 0 else positions[i - 1] + minimum)
    return positions


def _span(group: Sequence[float], minimum: float) -> tuple[float, float]:
    centre, half = float(np.mean(group)), 0.5 * minimum * (len(group) - 1)
    return centre - half, centre + half
