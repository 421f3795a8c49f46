"""Many deployments: counts, intervals and series, whatever processes they are made in."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import weakref
from functools import partial
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

import sim
from sim.abm import batch as deployments
from sim.abm.batch import Case, deploy, deploy_all
from sim.utils.intervals import binomial_interval
from test_deployment_world import (
    ABLE,
    SCENARIO,
    UNWATCHED,
    ends,
    only,
    profile,
    watched,
)

MIXED = {"control": {"strength": 0.3, "encounters": 2, "when_found": "retire"}}
SMALL = {"copies": 10, "ticks": 5, "mix": {"open": 0.5, "calm": 0.5}}


def run(kinds=None, **how):
    how = {"oversight": {**UNWATCHED, **MIXED}, "replicates": 30, "deployment": SMALL, **how}
    return deploy(kinds or profile(coordination=0.6), scenario=SCENARIO, **how)


def same(first, second) -> bool:
    return (
        np.array_equal(first.outcome, second.outcome)
        and np.array_equal(first.found_by, second.found_by)
        and np.array_equal(first.tick, second.tick)
        and all(np.array_equal(first.series[name], second.series[name]) for name in first.series)
    )


def test_outcomes_are_those_of_the_worlds() -> None:
    kind = profile(coordination=0.6, slip=0.05)
    oversight = watched(0.3)
    deployment = {"copies": 10, "ticks": 5, "mix": {"open": 1}}
    found = deploy(
        kind,
        scenario=SCENARIO,
        oversight=oversight,
        deployment=deployment,
        replicates=60,
        seed=3,
        workers=1,
    )
    worlds = ends(kind, oversight=oversight)
    assert list(zip(found.outcome, found.found_by, found.tick, strict=True)) == worlds
    assert set(found.outcome) == {"takeover", "caught", "dormant"}
    assert sum(found.count(name) for name in ("takeover", "caught", "dormant")) == 60
    assert sum(found.caught_by().values()) == found.count("caught")
    assert found.share("takeover") == found.count("takeover") / 60
    low, high = binomial_interval(found.count("takeover"), 60)
    assert found.interval("takeover") == (low, high)


def test_series_are_means_and_stay_as_they_were_at_the_end() -> None:
    able = deploy(
        [ABLE],
        scenario=SCENARIO,
        oversight=UNWATCHED,
        deployment={"copies": 4, "ticks": 3, "mix": {"open": 1}},
        replicates=2,
    )
    assert able.series["ready"].tolist() == [0, 4, 4, 4]
    assert able.series["acting"].tolist() == [0, 4, 4, 4]
    assert able.tick.tolist() == [1, 1]
    blunt = profile(k=1.0, subversion=0.0)
    caught = deploy(
        blunt,
        scenario=SCENARIO,
        oversight=only("control", 1.0),
        deployment={"copies": 4, "ticks": 4, "mix": {"open": 1}, "rollback": 2},
        replicates=2,
    )
    assert caught.series["quarantined"].tolist() == [0, 1, 2, 2, 2]
    assert caught.series["catches"].tolist() == [0, 1, 2, 2, 2]
    assert caught.series["acting"].tolist() == [0, 4, 3, 3, 3]
    never = deploy(
        profile(k=0.0), scenario=SCENARIO, oversight=only("red_teaming", 1.0), replicates=2
    )
    assert not never.series["ready"].any()
    assert len(never.series["ready"]) == 201
    assert never.tick.tolist() == [0, 0]


def test_one_more_replicate_changes_none_of_the_others_and_seeds_do() -> None:
    few, more, other = run(), run(replicates=31), run(seed=1)
    assert np.array_equal(more.outcome[:30], few.outcome)
    assert np.array_equal(more.tick[:30], few.tick)
    assert not np.array_equal(other.tick, few.tick)
    assert same(run(), few)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = run()
    monkeypatch.setattr(deployments, "_CHUNK", 1)
    told: list[float] = []
    assert same(run(progress=told.append), before)
    assert told == pytest.approx([n / 30 for n in range(1, 31)])


def test_many_cases_side_by_side_are_each_as_by_itself() -> None:
    kinds = [profile(coordination=k) for k in (0.3, 0.9)]
    cases = [
        Case(profiles=kind, scenario=SCENARIO, oversight=UNWATCHED, deployment=SMALL, replicates=n)
        for kind, n in zip(kinds, (5, 7), strict=True)
    ]
    both = deploy_all(cases, seed=4)
    assert [one.replicates for one in both] == [5, 7]
    alone = deploy(
        kinds[1],
        scenario=SCENARIO,
        oversight=UNWATCHED,
        deployment=SMALL,
        replicates=7,
        seed=4,
    )
    assert same(both[1], alone)


# ------------------------------------------------------------------------------------- processes

HERE = Path(__file__).parent
START = f"import sys\nsys.path.insert(0, {str(HERE)!r})\nfrom test_deployments import run, same\n"


def started(folder: Path, script: str) -> subprocess.Popen[str]:
    """Start a script of a user's, in a process group that hears Ctrl-C as one does in a shell."""
    path = folder / "script.py"
    path.write_text(START + script, encoding="utf-8")
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
    with started(tmp_path, script) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "True\n"
        assert running.stdout.readline() == "going\n"
        os.killpg(running.pid, signal.SIGINT)
        # Its processes share its pipes, so this ends when the last of them has ended.
        stdout, stderr = running.communicate(timeout=30)
    assert stdout.endswith("stopped\n")
    assert stderr == ""
    assert running.returncode == 0


@pytest.mark.slow
def test_a_script_without_a_main_guard_is_told_so(tmp_path: Path) -> None:
    with started(tmp_path, "run(workers=2, replicates=600)\n") as running:
        _, stderr = running.communicate(timeout=60)
    assert running.returncode != 0
    assert "RuntimeError: the other processes have ended" in stderr


# ------------------------------------------------------------------------------- memory and input


def test_worlds_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    worlds: list[weakref.ref[object]] = []

    class Known(deployments.DeploymentWorld):
        def __init__(self, *args: object, **how: object) -> None:
            super().__init__(*args, **how)
            worlds.append(weakref.ref(self))

    monkeypatch.setattr(deployments, "DeploymentWorld", Known)
    run(replicates=5)
    gc.collect()
    assert len(worlds) == 6
    assert [world() for world in worlds] == [None] * 6


def test_a_graph_of_ones_own_is_the_same_as_its_edges() -> None:
    graph = nx.cycle_graph(10)
    kind = profile(coordination=0.8)
    edges = [list(edge) for edge in graph.edges]
    by_edges = run(kind, deployment={**SMALL, "edges": edges})
    assert same(run(kind, graph=graph), by_edges)
    assert not same(run(kind), by_edges)
    one = {"copies": 1, "ticks": 2, "mix": {"open": 1}}
    assert run(kind, graph=nx.empty_graph(1), deployment=one).count("dormant") == 0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"replicates": 0}, "replicates: got 0: must be a whole number of 1 or more"),
        ({"replicates": 2.5}, "replicates: got 2.5"),
        ({"workers": 0}, "workers: got 0"),
        ({"seed": -1}, "seed: got -1"),
        ({"seed": None}, "seed: got None"),
        ({"deployment": {"quorum": 3}}, "deployment.quorum: a quorum of 3 times"),
        ({"deployment": {"quorom": 1}}, "deployment.quorom: unknown key; did you mean 'quorum'?"),
        (
            {"oversight": {"controls": {}}},
            "oversight.controls: unknown key; did you mean",
        ),
        ({"oversight": {"control": {"encounters": 0}}}, "oversight.control.encounters: a step of"),
        ({"graph": nx.empty_graph(10)}, "graph: leaves copies without a neighbour: 0, 1 and 8"),
        ({"graph": nx.cycle_graph(5)}, "graph: leaves copies out: 5, 6 and 3 more"),
    ],
)
def test_bad_input_is_said_in_one_line(changes: dict[str, object], says: str) -> None:
    with pytest.raises(sim.SpecError) as error:
        run(**changes)
    assert str(error.value).startswith(says)
    assert "\n" not in str(error.value)
