"""Counter-based draws: published vectors, the right distribution, and nobody disturbed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sim.dynamics import randomness
from sim.dynamics.randomness import normal, rounds, seeds_of, stream_id, uniform_pair

#: Known answers of Philox 4x32-10 (Random123, kat_vectors): counter, key, output.
KNOWN = [
    ("00000000" * 4, "00000000" * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff" * 4, "ffffffff" * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (
        "243f6a8885a308d313198a2e03707344",
        "a4093822299f31d0",
        "d16cfe09 94fdcceb 5001e420 24126ea1",
    ),
]


def words(text: str) -> list[int]:
    return [int(text[i : i + 8], 16) for i in range(0, len(text), 8)]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_philox_gives_the_published_answers(counter: str, key: str, answer: str) -> None:
    given = [np.array([word], np.uint64) for word in words(counter + key)]
    found = rounds(*given)
    assert [int(word[0]) for word in found] == words(answer.replace(" ", ""))


def test_a_draw_depends_on_what_it_is_for_and_on_nothing_else() -> None:
    everyone = normal(seed=3, stream="habit", rows=np.arange(100), step=7)
    some = normal(seed=3, stream="habit", rows=[42, 7], step=7)
    assert some.tolist() == [everyone[42], everyone[7]]
    for other in (
        {"seed": 4},
        {"stream": "values"},
        {"step": 8},
        {"draw": 1},
        {"seed": 3 + 2**32},
    ):
        settings = {"seed": 3, "stream": "habit", "rows": np.arange(100), "step": 7} | other
        assert not np.any(normal(**settings) == everyone)


def test_seeds_of_runs_are_distinct_and_the_first_are_the_same_whatever_the_count() -> None:
    many = seeds_of(5, 3000)
    assert len(set(many)) == len(many) == 3000
    assert seeds_of(5, 7) == many[:7]
    assert seeds_of(5, 0) == ()
    assert all(type(seed) is int and 0 <= seed < 2**64 for seed in many)
    assert max(many) > 2**63 > min(many)


def test_different_seeds_have_no_seed_of_runs_in_common() -> None:
    """Neighbours, and the largest; a false alarm once in 10¹⁰ choices of constants."""
    every = [set(seeds_of(seed, 1000)) for seed in (*range(20), 2**32, 2**64 - 1)]
    assert len(set().union(*every)) == sum(map(len, every))


def test_seeds_of_runs_that_are_drawn_twice_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def repeats_itself(*, rows: np.ndarray[Any, Any], **_: object) -> tuple[Any, ...]:
        drawn = np.where(rows == 2, 1, rows).astype(np.uint64)
        return drawn, drawn, drawn, drawn

    monkeypatch.setattr(randomness, "words", repeats_itself)
    for count in range(5):
        expected = tuple(i * 2**32 + i for i in (0, 1, 3, 4))[:count]
        assert seeds_of(0, count) == expected


def test_streams_have_numbers_of_their_own() -> None:
    names = [f"agent.initial.values.v{i}" for i in range(2000)]
    assert len({stream_id(name) for name in names}) == len(names)


def test_normal_draws_are_normal() -> None:
    """Moments within 5 standard errors: a false alarm in about 2 of a million seeds."""
    count = 200_000
    draws = normal(seed=11, stream="test", rows=np.arange(count))
    assert abs(draws.mean()) < 5 / np.sqrt(count)
    assert abs(draws.var() - 1) < 5 * np.sqrt(2 / count)
    assert abs((draws**4).mean() - 3) < 5 * np.sqrt(96 / count)
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 5 / np.sqrt(count)


def test_uniform_draws_fill_the_unit_interval_evenly() -> None:
    """Chi-square over 100 bins within 5 standard deviations of its mean, seed fixed."""
    for draws in uniform_pair(seed=1, stream="test", rows=np.arange(100_000)):
        counts = np.histogram(draws, bins=100, range=(0, 1))[0]
        chi_square = ((counts - 1000.0) ** 2 / 1000.0).sum()
        assert abs(chi_square - 99) < 5 * np.sqrt(2 * 99)
