"""Typesets symbols, and links every equation that is cited by its number to where it stands.

Used while the site is built (mkdocs.yml), and no part of it. In the pages with formulas E_{π^u} is
written with a superscript in a subscript; `(3.5)`, on any page, leads to section 3.5 of the model.
The source stays plain text, which is read as well.
"""

from __future__ import annotations

import re
from typing import Any

from mkdocs.utils import get_relative_url

#: Pages whose formulas are typeset; elsewhere an underscore may be part of a name.
TYPESET = ("model.md", "glossary.md", "what-changed.md")
_HEADING = re.compile(r"^(#+ (3\.\d) .*)$", flags=re.MULTILINE)
#: Code, and the addresses of links, stay as they are.
_VERBATIM = re.compile(r"(```.*?```|`[^`]*`|\]\([^)]*\))", flags=re.DOTALL)
_INDEX = re.compile(r"([_^])(?:\{((?:[^{}])*)\}|(-?[^\W_]+'?))")
_CITED = re.compile(r"\((3\.\d)((?: to 3\.\d)?)\)")


def typeset(text: str) -> str:
    """Return markdown in which indices of formulas are subscripts and superscripts."""
    parts = _VERBATIM.split(text)
    parts[::2] = [_indices(part) for part in parts[::2]]
    return "".join(parts)


def _indices(text: str) -> str:
    def index(match: re.Match[str]) -> str:
        tag = "sub" if match[1] == "_" else "sup"
        return f"<{tag}>{_indices(match[2] or match[3])}</{tag}>"

    return _INDEX.sub(index, text)


def link(html: str, model: str) -> str:
    """Return HTML in which cited equations are links to `model`, the address of its page."""
    parts = re.split(
        r"(<a\b.*?</a>|<(?:script|style)\b.*?</(?:script|style)>|<[^>]+>)", html, flags=re.DOTALL
    )
    cited = rf'(<a href="{model}#eq-\1">\1</a>\2)'
    parts[::2] = [_CITED.sub(cited, part) for part in parts[::2]]
    return "".join(parts)


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Typeset formulas, and name the equations of the model."""
    if page.file.src_uri == "model.md":
        markdown = _HEADING.sub(r"\1 { #eq-\2 }", markdown)
    return typeset(markdown) if page.file.src_uri in TYPESET else markdown


def on_page_content(html: str, *, page: Any, files: Any, **_: Any) -> str:
    """Link the equations that a page cites."""
    model = files.get_file_from_path("model.md")
    return link(html, get_relative_url(model.url, page.url)) if model else html
