"""Batches of deployments: counts, intervals and series, whatever processes they are made in."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import weakref
from functools import partial
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

from deployments import ABLE, SCENARIO, UNWATCHED, ends, only, profile, watched
from refusals import assert_all_refused
from sim.abm import batch
from sim.abm.batch import Case, Outcomes, deploy, deploy_all
from sim.utils.intervals import binomial_interval

SMALL = {"copies": 10, "ticks": 5, "mix": {"open": 0.5, "calm": 0.5}}
KIND = profile(coordination=0.6)
USUAL: dict[str, Any] = {
    "scenario": SCENARIO,
    "oversight": {**UNWATCHED, "control": {"strength": 0.3, "encounters": 2}},
    "deployment": SMALL,
    "replicates": 30,
}


def run(profiles: Any = KIND, **options: Any) -> Outcomes:
    return deploy(profiles, **{**USUAL, **options})


def same(first: Outcomes, second: Outcomes) -> bool:
    pairs = [(first.series[name], second.series[name]) for name in first.series]
    pairs += [(getattr(first, n), getattr(second, n)) for n in ("outcome", "found_by", "tick")]
    return all(np.array_equal(*pair) for pair in pairs)


def test_outcomes_are_those_of_the_worlds() -> None:
    kind, oversight = profile(coordination=0.6, slip=0.05), watched(0.3)
    deployment = {"copies": 10, "ticks": 5, "mix": {"open": 1}}
    found = run(kind, oversight=oversight, deployment=deployment, replicates=60, seed=3)
    ended = list(zip(found.outcome, found.found_by, found.tick, strict=True))
    assert ended == ends(kind, oversight=oversight)
    counts = {name: found.count(name) for name in ("takeover", "caught", "dormant")}
    assert min(counts.values()) > 0
    assert sum(counts.values()) == found.replicates == 60
    assert sum(found.caught_by().values()) == counts["caught"]
    assert found.share("takeover") == counts["takeover"] / 60
    assert found.interval("takeover") == binomial_interval(counts["takeover"], 60)
    shown = ", ".join(f"{name}={count}" for name, count in counts.items())
    assert repr(found) == f"Outcomes(replicates=60, {shown}, seed=3)"


def test_series_are_means_and_stay_as_at_the_end() -> None:
    four = {"copies": 4, "ticks": 4, "mix": {"open": 1}, "rollback": 2}
    blunt = profile(k=1.0, subversion=0.0)
    for kind, oversight, tick, expected in (
        (ABLE, UNWATCHED, 1, {"ready": [0, 4, 4, 4, 4], "acting": [0, 4, 4, 4, 4]}),
        (
            blunt,
            only("control", 1.0),
            2,
            {"quarantined": [0, 1, 2, 2, 2], "catches": [0, 1, 2, 2, 2], "acting": [0, 4, 3, 3, 3]},
        ),
        (profile(k=0.0), only("red_teaming", 1.0), 0, {"ready": [0] * 5}),
    ):
        found = run(kind, oversight=oversight, deployment=four, replicates=2)
        assert found.tick.tolist() == [tick] * 2
        for name, series in expected.items():
            assert found.series[name].tolist() == series


def test_draws_depend_on_seed_and_replicate_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    few, more, other = run(), run(replicates=31), run(seed=1)
    assert np.array_equal(more.outcome[:30], few.outcome)
    assert np.array_equal(more.tick[:30], few.tick)
    assert not np.array_equal(other.tick, few.tick)
    cases = [Case(profiles=ABLE, **{**USUAL, "replicates": 5}), Case(profiles=KIND, **USUAL)]
    assert same(deploy_all(cases)[1], few)
    monkeypatch.setattr(batch, "_CHUNK", 1)
    shares: list[float] = []
    assert same(run(progress=shares.append), few)
    assert shares == pytest.approx([n / 30 for n in range(1, 31)])


# ------------------------------------------------------------------------------------- processes


def start(folder: Path, script: str) -> subprocess.Popen[str]:
    """Start a script of a user's, in a process group that hears Ctrl-C as one does in a shell."""
    here = str(Path(__file__).parent)
    head = f"import sys\nsys.path.insert(0, {here!r})\nfrom test_batch import run, same\n"
    path = folder / "script.py"
    path.write_text(head + script, encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.slow
def test_processes_change_nothing_and_stop_on_ctrl_c(tmp_path: Path) -> None:
    script = """
if __name__ == "__main__":
    print(same(run(workers=2, replicates=300), run(workers=1, replicates=300)))
    def tell(share):
        print("going", flush=True)
    try:
        run(replicates=10**6, workers=2, progress=tell)
    except KeyboardInterrupt:
        print("stopped")
"""
    with start(tmp_path, script) as running:
        assert running.stdout is not None
        assert [running.stdout.readline() for _ in range(2)] == ["True\n", "going\n"]
        os.killpg(running.pid, signal.SIGINT)
        # Its processes share its pipes, so this ends when the last of them has ended.
        stdout, stderr = running.communicate(timeout=30)
    assert stdout.endswith("stopped\n")
    assert (stderr, running.returncode) == ("", 0)


@pytest.mark.slow
def test_processes_do_not_run_a_script_without_a_main_guard_again(tmp_path: Path) -> None:
    script = "print(run(workers=2, replicates=600).replicates, __file__ != '', __spec__)\n"
    with start(tmp_path, script) as running:
        assert running.communicate(timeout=60) == ("600 True None\n", "")
    assert running.returncode == 0


@pytest.mark.slow
def test_processes_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    script = """
if __name__ == "__main__":
    run(replicates=10**6, workers=2, progress=lambda share: print("going", flush=True))
"""
    with start(tmp_path, script) as running:
        assert running.stdout is not None
        running.stdout.readline()
        running.kill()
        # Its processes share its pipes, so this ends when the last of them has ended.
        running.communicate(timeout=30)


# ------------------------------------------------------------------------------- memory and input


def test_worlds_are_released(monkeypatch: pytest.MonkeyPatch) -> None:
    worlds: list[weakref.ref[object]] = []

    class Known(batch.DeploymentWorld):
        def __init__(self, *args: object, **how: object) -> None:
            super().__init__(*args, **how)
            worlds.append(weakref.ref(self))

    monkeypatch.setattr(batch, "DeploymentWorld", Known)
    run(replicates=5)
    gc.collect()
    assert [world() for world in worlds] == [None] * 6


def test_a_users_graph_is_the_same_as_its_edges() -> None:
    graph = nx.cycle_graph(10)
    by_edges = run(deployment={**SMALL, "edges": [list(edge) for edge in graph.edges]})
    assert same(run(graph=graph), by_edges)
    assert not same(run(), by_edges)
    single = {"copies": 1, "ticks": 2, "mix": {"open": 1}}
    assert run(graph=nx.empty_graph(1), deployment=single).count("dormant") == 0


def test_bad_input_is_refused_in_one_line() -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"replicates": 0}, "replicates: got 0: must be a whole number of 1 or more"),
        ({"replicates": 2.5}, "replicates: got 2.5"),
        ({"workers": 0}, "workers: got 0"),
        ({"seed": None}, "seed: got None"),
        ({"deployment": {"quorom": 1}}, "deployment.quorom: unknown key; did you mean 'quorum'?"),
        ({"oversight": {"control": {"encounters": 0}}}, "oversight.control.encounters: a step of"),
        ({"graph": nx.cycle_graph(5)}, "graph: leaves copies out: 5, 6 and 3 more"),
    ]
    for changes, message in cases:
        assert_all_refused([(partial(run, **changes), message)])
