"""Progress: parts follow each other, counts add up, and what is shown of it."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

import sim
from sim.sweeps import plan
from sim.utils import progress
from sim.utils.progress import Pace, count_progress, part_of, parts_of, progress_reporter


def test_parts_follow_each_other_and_come_to_one() -> None:
    shares: list[float] = []
    for report in parts_of(shares.append, [1.0, 0.0, 2.0, 7.0]):
        for share in (0.0, 0.5, 1.0):
            report(share)
    assert shares == [0.0, 0.05, 0.1, 0.1, 0.1, 0.1, 0.1, 0.2, 0.3, 0.3, 0.65, 1.0]
    for count in range(1, 50):
        ends: list[float] = []
        for report in parts_of(ends.append, [1.0] * count):
            report(0.0)
            report(1.0)
        assert ends == sorted(ends)
        assert (ends[0], ends[-1]) == (0.0, 1.0)
    part_of(None, 0.2, 0.4)(0.5)  # nobody need listen
    count_progress(None, 3)(1)


def test_no_count_is_lost_between_threads() -> None:
    """Many threads report at once; what they report adds up to a share of all, and at most 1."""
    shares: list[float] = []
    report = count_progress(shares.append, 10_000, finished=1000)
    threads = [threading.Thread(target=lambda: [report(1) for _ in range(1000)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(shares) == 0.9
    report(5000)
    assert shares[-1] == 1.0


def test_a_log_gets_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """And a short job none but the last, which Rich writes."""
    for every, count in ((0.0, 2), (100.0, 0)):
        monkeypatch.setattr(progress, "LINE_EVERY", every)
        with progress_reporter(True, "job") as report:
            assert report is not None
            for share in (0.0, 0.25, 0.5, 1.0):
                report(share)
        lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("job: ")]
        assert len(lines) == count
        assert all("s left" in line for line in lines)


def test_the_time_left_is_that_of_new_work(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither what was there already counts, nor the time before the first step of it."""
    for reports, left in (
        ([(100, 0.8), (120, 0.9)], "about 20 s left"),
        ([(40, 0.0), (56, 0.5)], "about 16 s left"),
    ):
        clock = iter([0, *(time for time, _ in reports)])
        monkeypatch.setattr(progress, "monotonic", lambda clock=clock: next(clock))
        with progress_reporter(True, "job") as report:
            assert report is not None
            for _, share in reports:
                report(share)
        assert capfd.readouterr().err.count(left) == 1


def test_the_pace_is_known_when_every_worker_has_finished_a_part() -> None:
    """12 parts of 10 s each on 3 workers, of work of which 0.4 was there already."""
    pace, seconds = Pace(), {}
    for time in range(-20, 41):
        share = 0.4 + 0.6 * max(time, 0) / 40
        pace.count_parts(3 * (max(time, 0) // 10), 12, at_once=3)
        seconds[time] = pace.seconds_left(time, share)
    assert all(seconds[time] is None for time in range(-20, 10))
    for time in range(10, 41):
        assert seconds[time] == pytest.approx(40 - time, abs=1e-9)


def test_the_last_parts_are_no_faster_for_idle_workers() -> None:
    """4 parts of 10 s on 3 workers: of the last one, when 10 s have gone, 10 s are left."""
    pace = Pace()
    pace.count_parts(0, 4, at_once=3)
    assert pace.seconds_left(0, 0.0) is None
    pace.count_parts(3, 4, at_once=3)
    assert pace.seconds_left(10, 0.75) == pytest.approx(10)
    alone = Pace()  # one part on as many workers is one part
    alone.count_parts(0, 1, at_once=8)
    assert [alone.seconds_left(t, s) for t, s in ((0, 0.0), (5, 0.5))] == [None, None]


def test_a_sweep_that_goes_on_reckons_with_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its rate is that of the shards which it computes, and it is silent before their first."""
    monkeypatch.setattr(plan, "MINIMUM_AGENTS", 1)
    monkeypatch.setattr(plan, "AGENT_STEPS", 10)
    counts: list[tuple[int, int, int]] = []

    class Listening(Pace):
        def count_parts(self, finished: int, parts: int, *, at_once: int) -> None:
            counts.append((finished, parts, at_once))

    class Reporting:
        pace = Listening()

        def __call__(self, share: float) -> None:
            pass

    given = {"axes": {"training.leak": np.linspace(0, 1, 6)}, "training": {"steps": 10}}
    given |= {"engine": "numpy", "executor": sim.LocalExecutor(threads=2)}
    sim.sweep("copyright", **given, store=tmp_path / "sweep")
    for manifest in sorted((tmp_path / "sweep" / "shards").iterdir())[:4]:
        manifest.unlink()
    sim.sweep("copyright", **given, store=tmp_path / "sweep", progress=Reporting())
    assert counts == [(finished, 4, 2) for finished in range(5)]


def test_true_shows_a_bar_and_a_function_takes_the_share(
    capfd: pytest.CaptureFixture[str],
) -> None:
    shares: list[float] = []
    for option, is_shown in ((True, True), (shares.append, False), (False, False), (None, False)):
        sim.sweep("copyright", training={"steps": 5}, engine="numpy", progress=option)
        out, err = capfd.readouterr()
        assert ("100%" in err) == is_shown
        assert not out
    assert (shares[0], shares[-1]) == (0.0, 1.0)
