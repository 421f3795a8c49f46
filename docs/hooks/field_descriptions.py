"""For Griffe: a field's description is its docstring, and its default its value.

Used while the site is built (mkdocs.yml), and no part of it.
"""

from __future__ import annotations

import ast
from typing import Any

from griffe import Attribute, Docstring, ExprCall, ExprKeyword, Extension


class FieldDescriptions(Extension):
    """Reads `Field(default, description="...")` of the specs."""

    def on_attribute(self, *, attr: Attribute, **_: Any) -> None:
        """Give a field its docstring, and the default without the call around it."""
        call = attr.value
        if not isinstance(call, ExprCall) or str(call.function) != "Field":
            return
        named = {a.name: a.value for a in call.arguments if isinstance(a, ExprKeyword)}
        plain = [a for a in call.arguments if not isinstance(a, ExprKeyword)]
        if "description" in named and attr.docstring is None:
            text = ast.literal_eval(str(named["description"]))
            attr.docstring = Docstring(text, lineno=attr.lineno, parent=attr)
        attr.value = plain[0] if plain and str(plain[0]) != "..." else None
