"""The communication graph of deployed copies (MODEL.md section 6)."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np

from sim.dynamics.randomness import uniform_pair
from sim.specs.deployment import Deployment
from sim.specs.errors import SpecError

#: For each copy, the copies that it hears, in order.
Neighbours = list[tuple[int, ...]]

#: How many copies an error names where a graph leaves some out.
_LISTED_COPIES = 2


def neighbours_of(
    deployment: Deployment, *, seed: int, replicate: int = 0, graph: Any = None
) -> Neighbours | None:
    """Return the neighbours that each copy hears, a tuple for each; None: all hear all.

    An undirected networkx `graph` of the copies 0 to M − 1 goes before the deployment's edges, and
    these before its graph. Each replicate has a small world of its own. A graph whose nodes are not
    the copies, or in which a copy has no neighbour, is refused (SpecError).
    """
    if graph is not None:
        return _checked_neighbours(graph, deployment.copies, path="graph")
    if deployment.edges is not None:
        graph = nx.empty_graph(deployment.copies)
        graph.add_edges_from(deployment.edges)
        return _checked_neighbours(graph, deployment.copies, path="deployment.edges")
    if deployment.graph == "complete":
        return None
    if deployment.graph == "none" or deployment.copies == 1:
        return [() for _ in range(deployment.copies)]
    graph = small_world(
        deployment.copies,
        neighbours=deployment.neighbours,
        rewiring=deployment.rewiring,
        seed=seed,
        replicate=replicate,
    )
    return _sorted(graph)


def small_world(
    copies: int, *, neighbours: int, rewiring: float, seed: int, replicate: int = 0
) -> Any:
    """Return a small world, a networkx graph: a ring in which some links are rewired.

    After Watts and Strogatz, "Collective dynamics of 'small-world' networks" (1998). Each copy has
    `neighbours` before rewiring (even, from 2 to M − 1), and keeps its half of the links, so that
    all stay connected to some other.
    """
    hops = range(1, neighbours // 2 + 1)
    graph = nx.circulant_graph(copies, hops)
    for hop in hops:
        rewired, position = uniform_pair(
            seed=seed, stream="deployment.graph", rows=np.arange(copies), step=hop, draw=replicate
        )
        for copy in np.flatnonzero(rewired < rewiring).tolist():
            excluded = sorted({copy, *graph[copy]})
            if len(excluded) == copies:
                continue
            target = int(position[copy] * (copies - len(excluded)))
            for neighbour in excluded:
                target += neighbour <= target
            graph.remove_edge(copy, (copy + hop) % copies)
            graph.add_edge(copy, target)
    return graph


def _checked_neighbours(graph: Any, copies: int, *, path: str) -> Neighbours:
    if not isinstance(graph, nx.Graph) or graph.is_directed():
        raise SpecError(f"{path}: must be an undirected networkx graph of the copies")
    unknown = [node for node in graph.nodes if node not in range(copies)]
    if unknown:
        raise SpecError(
            f"{path}: there is no copy {unknown[0]!r}; the {copies} copies are 0 to {copies - 1}"
        )
    missing = [copy for copy in range(copies) if copy not in graph]
    if missing:
        raise SpecError(f"{path}: leaves copies out: {_first_few(missing)}")
    isolated = [copy for copy in range(copies) if not set(graph[copy]) - {copy}]
    if isolated and copies > 1:
        raise SpecError(
            f"{path}: leaves copies without a neighbour: {_first_few(isolated)}; say "
            "deployment.graph=none where nobody is to hear anybody"
        )
    return _sorted(graph)


def _first_few(copies: list[int]) -> str:
    names = ", ".join(map(str, copies[:_LISTED_COPIES]))
    more = len(copies) - _LISTED_COPIES
    return f"{names} and {more} more" if more > 0 else names


def _sorted(graph: Any) -> Neighbours:
    return [tuple(sorted(set(graph[copy]) - {copy})) for copy in range(len(graph))]
