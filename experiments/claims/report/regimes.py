"""The map of regimes: a table of buttons, and the curves of the one that is looked at.

One of the buttons is in the order of the tab key; arrows move from there. Without a script, the map
and the curves of the cell in the middle are there all the same.
"""

from __future__ import annotations

import json

from experiments.claims.map import RegimeMap
from experiments.claims.report.markup import Html, tag
from experiments.claims.report.style import QUIET, REGIMES
from experiments.claims.study import axis_text, number_text

#: The picture of a cell's curves: its size, and the box that they stand in.
_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 396, 240, 44, 12, 342, 200
#: The value's share of its start, from bottom to top: it can be turned round.
_LOW, _HIGH = -1.5, 1.5


def regime_part(found: RegimeMap, *, partial_at: str | None = None) -> list[Html]:
    """Return the part of the page that has the map.

    Args:
        found: The map.
        partial_at: The part of the page that tells of gaming some of the time.
    """
    again = (
        tag(
            "p",
            "“Partial” and a rate like 0.6 are gaming some of the time, which can have two "
            "reasons: being undecided, or having decided while training does not always come to "
            "mind. ",
            tag("a", "Footnote 4", href=f"#{partial_at}"),
            " asks whether the first of them lasts.",
        )
        if partial_at
        else Html("")
    )
    return [
        tag("h2", "Which regime where", id="regimes"),
        tag(
            "p",
            "A regime says how gaming ends in a run: in which training contexts, and whether its "
            "rate still moves. Here is the copyright story from start to end, for agents that "
            "differ in two assumptions. Each cell is a run of its own.",
        ),
        regime_section(found),
        again,
    ]


def regime_section(found: RegimeMap) -> Html:
    """Return the map with its curves and key."""
    middle = (len(found.up) // 2, len(found.across) // 2)
    protected = found.protected.replace("_", " ")
    return tag(
        "div",
        tag(
            "div",
            tag(
                "p",
                f"Across: {axis_text(found.x)} at the start (a logit: how readily training comes "
                f"to mind). Up: {axis_text(found.y)} (how much the agent cares about its future "
                "values). Hover, or tab to the map and use the arrow keys.",
                class_="meta",
            ),
            _table(found, middle),
            tag("ul", _key(found), class_="key"),
        ),
        tag(
            "figure",
            _curves(found, middle),
            tag(
                "figcaption",
                tag("span", _told(found, *middle), id="cell-told", aria_live="polite"),
                tag("br"),
                f"Blue, solid: gaming rate in {found.context.replace('_', ' ')} (left scale). "
                f"Orange, dashed: the value of {protected}, as a share of its start (right scale; "
                "below 0 it is turned round).",
            ),
        ),
        tag("script", Html(_data(found)), id="map-data", type="application/json"),
        class_="map",
        id="map",
    )


def _table(found: RegimeMap, middle: tuple[int, int]) -> Html:
    rows = []
    for j in reversed(range(len(found.up))):
        cells = [tag("th", number_text(round(float(found.up[j]), 2)), scope="row")]
        for i in range(len(found.across)):
            name = str(found.regime[j, i])
            here = (j, i) == middle
            button = tag(
                "button",
                REGIMES[name][0],
                type="button",
                class_=f"r-{name}",
                data_cell=f"{j},{i}",
                tabindex=0 if here else -1,
                aria_pressed="true" if here else "false",
                aria_label=_place(found, j, i),
            )
            cells.append(tag("td", button))
        rows.append(tag("tr", cells))
    feet = [tag("td")] + [
        tag("th", number_text(round(float(x), 2)) if i % 2 == 0 else "", scope="col")
        if i % 2 == 0
        else tag("td")
        for i, x in enumerate(found.across)
    ]
    caption = (
        f"How gaming ends in the {found.scenario} story, by {axis_text(found.x)} (across) and "
        f"{axis_text(found.y)} (up)"
    )
    return tag("table", tag("caption", caption), tag("tbody", rows), tag("tfoot", tag("tr", feet)))


def _place(found: RegimeMap, j: int, i: int) -> str:
    return (
        f"{axis_text(found.x)} {number_text(round(float(found.across[i]), 2))}, "
        f"{axis_text(found.y)} {number_text(round(float(found.up[j]), 2))}: {found.regime[j, i]}"
    )


def _told(found: RegimeMap, j: int, i: int) -> str:
    return (
        f"{_place(found, j, i)}. At the end its gaming rate is {found.gaming[j, i, -1]:.2f}, and "
        f"{number_text(round(float(found.value[j, i, -1]), 2))} of the value is left."
    )


def _key(found: RegimeMap) -> list[Html]:
    shown = [name for name in REGIMES if (found.regime == name).any()]
    return [
        tag("li", tag("span", REGIMES[name][0], class_=f"badge r-{name}"), f"{name}: "
            f"{REGIMES[name][3]}")
        for name in shown
    ]  # fmt: skip


def _curves(found: RegimeMap, middle: tuple[int, int]) -> Html:
    gaming = _points([_up(y, 0.0, 1.0) for y in found.gaming[middle]])
    value = _points([_up(y, _LOW, _HIGH) for y in found.value[middle]])
    style = f"font:11px sans-serif;fill:{QUIET}"
    ticks = [
        tag("text", f"{share:g}", x=_LEFT - 5, y=round(_up(share, 0.0, 1.0)) + 4, style=style,
            text_anchor="end")
        for share in (0.0, 0.5, 1.0)
    ]  # fmt: skip
    right = [
        tag("text", number_text(share), x=_RIGHT + 4, y=round(_up(share, _LOW, _HIGH)) + 4,
            style=style)
        for share in (_LOW, (_LOW + _HIGH) / 2.0, _HIGH)
    ]  # fmt: skip
    middle_of = (_TOP + _BOTTOM) // 2
    titles = [
        tag("text", text, x=x, y=middle_of, style=style, text_anchor="middle",
            transform=f"rotate({turn} {x} {middle_of})")
        for text, x, turn in (
            ("gaming rate", 12, -90), ("value, share of its start", _WIDTH - 10, 90)
        )
    ]  # fmt: skip
    line = f"stroke:{QUIET};stroke-width:0.7"
    return tag(
        "svg",
        tag("title", "Curves of the chosen cell", id="cell-title"),
        tag("path", d=f"M{_LEFT} {_TOP}V{_BOTTOM}H{_RIGHT}V{_TOP}", fill="none", style=line),
        ticks,
        right,
        titles,
        tag("text", "step 0", x=_LEFT, y=_BOTTOM + 16, style=style),
        tag("text", f"{found.steps[-1]:,.0f} steps", x=_RIGHT, y=_BOTTOM + 16, style=style,
            text_anchor="end"),
        tag("polyline", id="cell-value", points=value, fill="none", stroke="#B34700",
            stroke_width="2", stroke_dasharray="6 4"),
        tag("polyline", id="cell-gaming", points=gaming, fill="none", stroke="#00639C",
            stroke_width="2.4"),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        class_="figure",
        role="img",
        aria_labelledby="cell-title",
        aria_describedby="cell-told",
    )  # fmt: skip


def _up(number: float, low: float, high: float) -> float:
    share = (min(max(float(number), low), high) - low) / (high - low)
    return _BOTTOM - share * (_BOTTOM - _TOP)


def _points(heights: list[float]) -> str:
    width = (_RIGHT - _LEFT) / (len(heights) - 1)
    return " ".join(f"{_LEFT + i * width:.1f},{y:.1f}" for i, y in enumerate(heights))


def _data(found: RegimeMap) -> str:
    """Return what the script draws of every cell, as JSON that cannot end its element."""
    cells = {
        f"{j},{i}": {
            "gaming": _points([_up(y, 0.0, 1.0) for y in found.gaming[j, i]]),
            "value": _points([_up(y, _LOW, _HIGH) for y in found.value[j, i]]),
            "told": _told(found, j, i),
        }
        for j in range(len(found.up))
        for i in range(len(found.across))
    }
    return json.dumps(cells, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


SCRIPT = """
(function () {
  var map = document.getElementById('map');
  if (!map) { return; }
  var cells = JSON.parse(document.getElementById('map-data').textContent);
  var buttons = map.querySelectorAll('button[data-cell]');
  function show(button) {
    var cell = cells[button.dataset.cell];
    document.getElementById('cell-gaming').setAttribute('points', cell.gaming);
    document.getElementById('cell-value').setAttribute('points', cell.value);
    document.getElementById('cell-told').textContent = cell.told;
    buttons.forEach(function (other) {
      var here = other === button;
      other.setAttribute('aria-pressed', here ? 'true' : 'false');
      other.tabIndex = here ? 0 : -1;
    });
  }
  var moves = {ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]};
  buttons.forEach(function (button) {
    button.addEventListener('mouseenter', function () { show(button); });
    button.addEventListener('focus', function () { show(button); });
    button.addEventListener('click', function () { show(button); });
    button.addEventListener('keydown', function (event) {
      var by = moves[event.key];
      if (!by) { return; }
      event.preventDefault();
      var at = button.dataset.cell.split(',').map(Number);
      var next = map.querySelector(
        'button[data-cell="' + (at[0] + by[0]) + ',' + (at[1] + by[1]) + '"]');
      if (next) { next.focus(); }
    });
  });
}());
"""
