"""Agent-based simulation of training dynamics.

When does instrumental training-gaming emerge, when does it last, when does it grow into worst-case
behaviour? A scenario and agents go in as specs; `simulate` returns a labelled result.

The public names are those of `__init__.pyi`; each is imported when it is first used.
"""

import ast
import importlib
from pathlib import Path
from typing import Any

import sim.specs


def _read_names() -> dict[str, tuple[str, str]]:
    """Return the module of each public name and its name there, as the stub says."""
    stub = ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    return {
        alias.asname or alias.name: (str(node.module), alias.name)
        for node in imports
        for alias in node.names
    }


_MODULES = _read_names()
__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("training-gaming-sim")
    if name not in _MODULES:
        raise AttributeError(f"module 'sim' has no attribute {name!r}")
    module, attribute = _MODULES[name]
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def _draw_world(prior: str, number: str) -> Any:
    return importlib.import_module("sim.sweeps.world_sample").draw_world(prior, number)


sim.specs.draw_world = _draw_world


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
