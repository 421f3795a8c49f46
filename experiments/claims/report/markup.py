"""HTML as values: text is escaped here and nowhere else, markup is marked as such."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from typing import TypeAlias


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


Content: TypeAlias = "Html | str | Iterable[Content] | None"

#: A number and its sign stay in one line.
_PER_CENT = re.compile(r"(\d) %")
#: Elements without an end tag.
_VOID = {"br", "col", "hr", "meta"}


def tag(element: str, /, *content: Content, **attributes: str | int | bool | None) -> Html:
    """Return an element.

    Args:
        element: Its name.
        content: What is in it: text (escaped), markup, or lists of either.
        attributes: `class_` for class, `aria_label` for aria-label, and so on; None and False are
            left out, True stands alone.
    """
    said = "".join(
        f" {key.rstrip('_').replace('_', '-')}"
        + ("" if value is True else f'="{escape(str(value), quote=True)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if element in _VOID:
        return Html(f"<{element}{said}>")
    return Html(f"<{element}{said}>{joined(content)}</{element}>")


def joined(content: Content) -> Html:
    """Return content one after the other."""
    if content is None:
        return Html("")
    if isinstance(content, Html):
        return content
    if isinstance(content, str):
        return Html(_PER_CENT.sub("\\1\u00a0%", escape(content, quote=False)))
    return Html("".join(joined(part) for part in content))


def table(
    heads: Iterable[Content],
    rows: Iterable[Iterable[Content]],
    *,
    caption: Content,
    class_: str = "",
) -> Html:
    """Return a table that scrolls by itself where a page is narrow; first cells head their rows."""
    head = tag("tr", [tag("th", one, scope="col") for one in heads])
    body = []
    for row in rows:
        first, *others = row
        body.append(tag("tr", tag("th", first, scope="row"), [tag("td", one) for one in others]))
    return tag(
        "div",
        tag(
            "table",
            tag("caption", caption),
            tag("thead", head),
            tag("tbody", body),
            class_=class_ or None,
        ),
        class_="wide",
        tabindex=0,
        role="region",
        aria_label=_plain(caption),
    )


def _plain(content: Content) -> str:
    return "" if content is None else str(content) if isinstance(content, str) else "table"
