"""Progress in parts: each part begins where the one before it ends, and the last ends at 1."""

from __future__ import annotations

from sim.analysis.progress import part_of, parts_of


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
