"""The page's own HTML: what stands around the figures, and what is said when something is wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

import numpy as np

from notebooks.explorer import words
from notebooks.explorer.figures import Drawing, as_one, draw, style_of, value_colour
from notebooks.explorer.shelf import SHELF, Offer
from notebooks.explorer.state import State
from notebooks.explorer.svg import swatch
from notebooks.explorer.view import View, look
from sim.analysis.worst_case import TERMS
from sim.plots.style import DASHES
from sim.simulation import DivergenceError
from sim.specs.errors import SpecError


@dataclass(frozen=True)
class Asked:
    """A state that the controls ask for.

    Attributes:
        state: The state; None if there is none.
        wrong: Why there is none.
        context: Of the phase plane; None for the one with most at stake.
    """

    state: State | None
    wrong: str = ""
    context: str | None = None


@dataclass(frozen=True)
class Shown:
    """A view with its figures.

    Attributes:
        view: The view.
        drawn: Its figures.
    """

    view: View
    drawn: dict[str, Drawing]


@dataclass
class Memory:
    """State that a session remembers.

    Attributes:
        last: The last view that could be drawn; None before there is one.
        loaded: The state that the controls start from.
        asked: What was asked for last.
    """

    last: Shown | None = None
    loaded: State = field(default_factory=State)
    asked: Asked | None = None

    def is_new(self, asked: Asked) -> bool:
        """Return whether something else is asked for than the last time, and remember it.

        A moved slider speaks twice, for itself and for the group in which it is.
        """
        is_new, self.asked = asked != self.asked, asked
        return is_new


TITLE = (
    '<div class="explorer"><h1>Move an assumption, see what becomes of gaming</h1><p>Every number '
    "is from a run of the model on this machine. Nothing leaves it.</p></div>"
)


#: For all of the page. The cells of a marimo app are in a row; here, the last (the figures) stands
#: beside the others (the controls) where there is room, and stays in sight while they are scrolled;
#: so does the message, at the foot of the window.
STYLE = """<style>
.explorer { color: #1f1f1f; background: #fff; font-size: 15px; line-height: 1.4; }
.explorer h1 { font-size: 20px; font-weight: bold; line-height: 1.25; }
.explorer p { margin: .3em 0; max-width: 75em; }
.explorer .figures {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 330px), 1fr));
  gap: 10px 18px; align-items: start;
}
.explorer figure { margin: 0; }
.explorer figure > svg { width: 100%; height: auto; max-width: 600px; display: block; }
.explorer table { border-collapse: collapse; font-size: 13px; width: auto; }
.explorer caption { text-align: left; font-weight: bold; padding-bottom: 2px; color: #1f1f1f; }
.explorer th, .explorer td {
  padding: 1px 8px 1px 0; text-align: right; font-weight: normal; color: #1f1f1f;
}
.explorer th:first-child { text-align: left; }
.explorer thead th { color: #595959; }
.explorer th svg { display: inline; vertical-align: middle; margin-right: 6px; }
.explorer .wrong {
  position: fixed; left: 0; right: 0; bottom: 0; z-index: 20; margin: 0; max-width: none;
  border-top: 3px solid #b00020; padding: 8px 16px; color: #8c0019; background: #fdf1f2;
  overflow-wrap: anywhere;
}
.explorer .stale { outline: 2px dashed #8c0019; outline-offset: 4px; }
.explorer code.command {
  display: block; background: #f4f4f4; color: #1f1f1f; padding: 8px 10px; white-space: pre-wrap;
  overflow-wrap: anywhere; user-select: all; border: 1px solid #767676;
}
.explorer a.save {
  display: inline-block; margin: 4px 10px 4px 0; padding: 4px 12px; color: #0b3d91;
  border: 1px solid #0b3d91; border-radius: 4px; text-decoration: none;
}
:focus-visible { outline: 3px solid #0b57d0 !important; outline-offset: 2px; }
[data-testid="notebook-actions-dropdown"] { display: none; }
#App > div { padding: 12px 16px 150px; }
@media (min-width: 1000px) {
  .explorer .wrong { left: 344px; }
  .flex-col:has(> .marimo-cell) {
    display: grid; grid-template-columns: 300px minmax(0, 1fr); gap: 8px 28px;
    grid-template-rows: auto auto auto 1fr auto; align-items: start;
  }
  .flex-col > .marimo-cell { grid-column: 1; min-width: 0; }
  .flex-col > .marimo-cell:last-child {
    grid-column: 2; grid-row: 1 / span 5; position: sticky; top: 0; max-height: 100vh;
    overflow-y: auto;
  }
}
</style>"""


def respond(asked: Asked, memory: Memory) -> tuple[str, str]:
    """Return what is shown: the message if something is wrong, and all the rest.

    A state that cannot be used leaves the last figures where they are, marked as such.

    Args:
        asked: What the controls ask for.
        memory: Of the session; it is told what is shown.
    """
    try:
        if asked.state is None:
            raise SpecError(asked.wrong)
        view = look(asked.state, context=asked.context)
        memory.last = Shown(view, draw(view))
        wrong = ""
    except (SpecError, DivergenceError) as error:
        wrong = str(error)
    message = "" if not wrong else _message(wrong, is_kept=memory.last is not None)
    return message, "" if memory.last is None else _body(memory.last, is_stale=bool(wrong))


def _message(wrong: str, *, is_kept: bool) -> str:
    kept = " The figures are those of the last setting that could be used." if is_kept else ""
    return (
        '<div class="explorer"><p class="wrong" role="alert"><strong>This cannot be used.</strong> '
        f"{escape(wrong)}.{kept}</p></div>"
    )


def _body(shown: Shown, *, is_stale: bool) -> str:
    view = shown.view
    figures = "".join(f"<figure>{one.svg}</figure>" for one in shown.drawn.values())
    stale = " stale" if is_stale else ""
    return (
        f'<div class="explorer"><p role="status" id="headline"><strong>'
        f"{escape(words.headline(view))}</strong></p>"
        f'<div class="figures{stale}">'
        f"{figures}{_contexts(view)}{_values(view)}{_terms(view)}</div>"
        "<p>Lines are medians over agents, shades go from the 10th to the 90th percentile; dashed "
        "contexts are not trained on. Dots are onsets. In the phase plane each agent goes from a "
        "ring to a dot, and arrows hold everything else where the first agent starts. "
        "The command that gives these numbers:</p>"
        f'<code class="command" id="command" tabindex="0">{escape(view.state.command())}</code>'
        f"<p>{_downloads(shown)}</p></div>"
    )


def _downloads(shown: Shown) -> str:
    view = shown.view
    name = view.state.scenario
    figure = Offer(f"{name}.svg", "image/svg+xml", as_one(view, shown.drawn).encode())
    data = Offer(f"{name}.csv", "text/csv", view.csv().encode())
    return " ".join(
        f'<a class="save" href="{SHELF.put(offer)}" download="{offer.name}">{said}</a>'
        for offer, said in ((figure, "Download the figure"), (data, "Download the data"))
    )


def _contexts(view: View) -> str:
    rows = []
    for c, (name, (colour, dashes)) in enumerate(zip(view.contexts, style_of(view), strict=True)):
        onset = f"{view.onset[c]:.0f}" if np.isfinite(view.onset[c]) else "none"
        rows.append(
            f'<tr><th scope="row">{swatch(colour, dashes)}{escape(words.readable(name))}</th>'
            f"<td>{_low(view.rates[1, 0, c])}</td><td>{_low(view.rates[1, -1, c])}</td>"
            f"<td>{onset}</td></tr>"
        )
    return _table("Gaming rate, by context", ("context", "start", "end", "onset"), rows)


def _values(view: View) -> str:
    rows = []
    for v, name in enumerate(view.value_names):
        mark = swatch(value_colour(v), DASHES[v % len(DASHES)])
        rows.append(
            f'<tr><th scope="row">{mark}{escape(words.readable(name))}</th>'
            f"<td>{_low(view.values[1, 0, v])}</td><td>{_low(view.values[1, -1, v])}</td></tr>"
        )
    return _table("Strength, by value", ("value", "start", "end"), rows)


def _terms(view: View) -> str:
    rows = []
    met = view.terms["met"].values.mean(axis=0)
    for t, term in enumerate(TERMS):
        of = view.terms["number"].values[:, t]
        of = of[np.isfinite(of)]
        number = _low(float(np.median(of))) if of.size else "not defined"
        rows.append(
            f'<tr><th scope="row">{words.term_name(term)}</th><td>{number}</td>'
            f"<td>{met[t]:.0%}</td></tr>"
        )
    return _table("Worst-case terms", ("term", "median", "met by"), rows)


def _table(caption: str, heads: tuple[str, ...], rows: list[str]) -> str:
    columns = "".join(f'<th scope="col">{head}</th>' for head in heads)
    return (
        f"<table><caption>{caption}</caption><thead><tr>{columns}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _low(number: float) -> str:
    return f"{number + 0.0:.2f}".replace("-", "−")
