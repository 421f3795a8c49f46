"""Floor 0: what a user writes. Data only, validated, frozen; knows nothing of arrays."""

from collections.abc import Callable
from typing import Any

#: Draws the world of a prior (its name) that has a number (its text). Floors above draw, so that
#: `sim/__init__.py` sets it.
draw_world: Callable[[str, str], Any]
