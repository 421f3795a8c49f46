"""Refusals: errors of one line that say what was wrong, as data."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from sim.specs.errors import SpecError


def assert_all_refused(cases: Iterable[tuple[Callable[[], object], str]]) -> None:
    """Assert that each call raises a SpecError of one line that has a text in it."""
    for call, text in cases:
        with pytest.raises(SpecError) as error:
            call()
        assert text in str(error.value), str(error.value)
        assert "\n" not in str(error.value)
