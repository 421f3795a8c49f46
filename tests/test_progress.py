"""Progress in parts: each part begins where the one before it ends, and the last ends at 1."""

from __future__ import annotations

import pytest

from sim.cli import console
from sim.utils import progress
from sim.utils.progress import part_of, parts_of


def test_parts_follow_each_other_and_come_to_one() -> None:
    shares: list[float] = []
    for told in parts_of(shares.append, [1.0, 0.0, 2.0, 7.0]):
        for share in (0.0, 0.5, 1.0):
            told(share)
    assert shares == [0.0, 0.05, 0.1, 0.1, 0.1, 0.1, 0.1, 0.2, 0.3, 0.3, 0.65, 1.0]
    for count in range(1, 50):
        ends: list[float] = []
        for told in parts_of(ends.append, [1.0] * count):
            told(0.0)
            told(1.0)
        assert ends == sorted(ends)
        assert (ends[0], ends[-1]) == (0.0, 1.0)


def test_nobody_need_listen() -> None:
    part_of(None, 0.2, 0.4)(0.5)


def test_a_log_gets_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """And a short job none but the last, which Rich writes."""
    for every, lines in ((0.0, 2), (100.0, 0)):
        monkeypatch.setattr(progress, "LINE_EVERY", every)
        with console.progress_bar("job") as tell:
            for share in (0.0, 0.25, 0.5, 1.0):
                tell(share)
        told = [line for line in capfd.readouterr().err.splitlines() if line.startswith("job: ")]
        assert len(told) == lines
        assert all("s left" in line for line in told)
