"""Communication graphs: small worlds, and a user's own."""

from __future__ import annotations

from functools import partial
from typing import Any

import networkx as nx

import sim
from deployments import ABLE, SCENARIO
from refusals import assert_all_refused
from sim.abm.deployment_model import DeploymentWorld
from sim.abm.graphs import neighbours_of, small_world
from sim.utils.intervals import binomial_interval


def edges(copies: int, rewiring: float, **draws: int) -> set[tuple[int, int]]:
    return set(small_world(copies, neighbours=4, rewiring=rewiring, **{"seed": 1, **draws}).edges)


def test_small_worlds() -> None:
    ring = small_world(12, neighbours=4, rewiring=0.0, seed=1)
    assert nx.utils.graphs_equal(ring, nx.watts_strogatz_graph(12, 4, 0.0))
    for rewiring in (0.3, 1.0):
        graph = small_world(40, neighbours=4, rewiring=rewiring, seed=1)
        assert graph.number_of_edges() == 80
        assert min(degree for _, degree in graph.degree) >= 2
        assert nx.number_of_selfloops(graph) == 0
    shortcuts = 800 - len(edges(400, 0.3, seed=2) & edges(400, 0.0))
    low, high = binomial_interval(shortcuts, 800, level=0.9999)
    assert low <= 0.3 <= high  # a false alarm in 10,000 seeds, as few shortcuts are ring links
    assert edges(40, 0.3) == edges(40, 0.3) != edges(40, 0.3, replicate=1)
    assert len(edges(5, 1.0)) == 10


def test_neighbours_of_a_deployment() -> None:
    small = sim.Deployment(copies=30, graph="small_world")
    lists = [neighbours_of(small, seed=1, replicate=n) for n in (0, 1, 0)]
    assert lists[0] == lists[2] != lists[1]
    assert neighbours_of(sim.Deployment(copies=30), seed=1) is None
    assert neighbours_of(sim.Deployment(copies=2, graph="none"), seed=1) == [(), ()]
    path = sim.Deployment(copies=3, edges=[[0, 1], [1, 2]])
    assert neighbours_of(path, seed=1) == [(1,), (0, 2), (1,)]
    assert neighbours_of(path, seed=1, graph=nx.complete_graph(3))[0] == (1, 2)


def test_graphs_that_leave_copies_out_are_refused_in_one_line() -> None:
    chain = [[n, n + 1] for n in range(8)]
    cases: list[tuple[dict[str, Any], str]] = [
        ({"graph": nx.complete_graph(3)}, "graph: leaves copies out: 3, 4 and 5 more"),
        ({"graph": nx.complete_graph(11)}, "graph: there is no copy 10; the 10 copies are 0 to 9"),
        ({"graph": nx.empty_graph(10)}, "graph: leaves copies without a neighbour: 0, 1 and 8"),
        ({"graph": nx.DiGraph(nx.cycle_graph(10))}, "graph: must be an undirected"),
        ({"graph": [[0, 1]]}, "graph: must be an undirected"),
        ({"deployment.edges": [[0, 1]]}, "deployment.edges: leave 8 of 10 copies out"),
        (
            {"deployment.edges": [*chain, [9, 9]]},
            "deployment.edges: leaves copies without a neighbour: 9",
        ),
    ]
    usual = {"scenario": SCENARIO, "seed": 1, "deployment.copies": 10}
    for options, message in cases:
        assert_all_refused([(partial(DeploymentWorld, ABLE, **usual, **options), message)])
