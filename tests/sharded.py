"""Sweeps of small shards, for tests of stores and executors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import sim
from sim.sweeps import plan, record

#: Shards of four runs of two agents.
AGENTS = 8
COMPUTE = record.compute


@contextmanager
def small_shards() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "MAXIMUM_AGENTS", AGENTS)
        patch.setattr(plan, "MINIMUM_AGENTS", AGENTS)
        yield patch


def planned(sweep: Callable[..., object], *args: Any, **options: Any) -> plan.Plan:
    """Return the plan of a sweep, and compute nothing."""
    plans: list[plan.Plan] = []
    with small_shards() as patch:
        patch.setattr("sim.sweeps.sweep.run_plan", lambda plan, **_: plans.append(plan))
        sweep(*args, **options)
        assert plans[0].shards  # cut as long as they are small
    return plans[0]


def shards_of(root: Path) -> list[str]:
    return sorted(path.stem for path in (root / "shards").glob("*.json"))


class Noting:
    """Takes the place of `compute`: notes the names of shards, and may fail at one."""

    def __init__(self, fail_at: str = "nowhere", error: BaseException | None = None) -> None:
        self.fail_at, self.error, self.names = fail_at, error, list[str]()

    def __call__(self, shard: plan.Shard, **options: Any) -> Any:
        self.names.append(shard.name)
        if shard.name.startswith(self.fail_at):
            assert self.error is not None
            raise self.error
        return COMPUTE(shard, **options)


def swept(scenario: Any, place: object, **options: Any) -> sim.Sweep:
    with small_shards():
        return sim.sweep(scenario, store=place, **options)  # type: ignore[arg-type]
