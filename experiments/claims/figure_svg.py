"""Figures as SVG that can stand in one HTML page: text as text, ids of their own, a title."""

from __future__ import annotations

import re
from html import escape
from io import StringIO

import matplotlib as mpl
from matplotlib.figure import Figure

from sim.plots.style import house_style


def inline_svg(figure: Figure, *, name: str, alternative: str) -> str:
    """Return a figure as an `svg` element.

    Args:
        figure: Drawn in the house style.
        name: Comes before every id, so that no two figures of a page share one.
        alternative: What a reader hears who does not see it.
    """
    with house_style():
        mpl.rcParams["svg.fonttype"] = "none"
        mpl.rcParams["svg.hashsalt"] = name
        page = StringIO()
        figure.savefig(page, format="svg", metadata={"Date": None})
    text = page.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r'\b(?:d|x|y|points)="[^"]*"', _rounded, text)
    head, body = text.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', head)
    assert box is not None
    return (
        f'<svg {box.group()} role="img" aria-labelledby="{name}-title" class="figure">'
        f'<title id="{name}-title">{escape(alternative)}</title>'
        f"{body.replace('xlink:href', 'href').strip()}"
    )


def _rounded(attribute: re.Match[str]) -> str:
    """Round the numbers of a path or a place: a hundredth of a point is less than anyone sees."""
    return re.sub(r"(\.\d\d)\d+", r"\1", attribute.group())
