"""Who hears whom: the communication graph of deployed copies (MODEL.md section 6)."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np

from sim.dynamics.randomness import uniform_pair
from sim.specs.deployment import Deployment
from sim.specs.errors import SpecError

#: For each copy, the copies that it hears, in order.
Neighbours = list[tuple[int, ...]]

#: So many copies are named where a graph leaves some out.
_NAMED = 2


def neighbours_of(
    deployment: Deployment, *, seed: int, replicate: int = 0, graph: Any = None
) -> Neighbours | None:
    """Return whom each copy hears.

    Args:
        deployment: Its `edges` go before its `graph`.
        seed: Of the shortcuts of a small world.
        replicate: Each replicate has a small world of its own.
        graph: An undirected networkx graph of the copies 0 to M − 1, which goes before both.

    Returns:
        A list for each copy; None: everyone hears all others.

    Raises:
        SpecError: A graph of the user's own does not have the copies for nodes, or leaves some out.
    """
    if graph is not None:
        return _of_graph(graph, deployment.copies, where="graph")
    if deployment.edges is not None:
        own = nx.Graph()
        own.add_nodes_from(range(deployment.copies))
        own.add_edges_from(deployment.edges)
        return _of_graph(own, deployment.copies, where="deployment.edges")
    if deployment.graph == "complete":
        return None
    if deployment.graph == "none" or deployment.copies == 1:
        return [() for _ in range(deployment.copies)]
    return _sorted(
        small_world(
            deployment.copies,
            neighbours=deployment.neighbours,
            rewiring=deployment.rewiring,
            seed=seed,
            replicate=replicate,
        )
    )


def small_world(
    copies: int, *, neighbours: int, rewiring: float, seed: int, replicate: int = 0
) -> Any:
    """Return a small world: a ring in which some links are rewired to be shortcuts.

    That of Watts and Strogatz ("Collective dynamics of 'small-world' networks", 1998), with this
    project's own random draws. Every copy keeps its half of the links, so nobody is left out.

    Args:
        copies: M.
        neighbours: Of each copy before rewiring; even, from 2 to M − 1.
        rewiring: Chance that a link is a shortcut.
        seed: Of the shortcuts.
        replicate: Other replicates have other shortcuts.

    Returns:
        A networkx graph.
    """
    graph = nx.Graph()
    graph.add_nodes_from(range(copies))
    reach = range(1, neighbours // 2 + 1)
    graph.add_edges_from((copy, (copy + hop) % copies) for hop in reach for copy in range(copies))
    for hop in reach:
        rewired, where = uniform_pair(
            seed=seed,
            stream="deployment.graph",
            rows=np.arange(copies),
            step=hop,
            draw=replicate,
        )
        for copy in np.flatnonzero(rewired < rewiring).tolist():
            known = sorted({copy, *graph[copy]})
            if len(known) == copies:
                continue
            target = int(where[copy] * (copies - len(known)))
            for taken in known:
                target += taken <= target
            graph.remove_edge(copy, (copy + hop) % copies)
            graph.add_edge(copy, target)
    return graph


def _of_graph(graph: Any, copies: int, *, where: str) -> Neighbours:
    if not isinstance(graph, nx.Graph) or graph.is_directed():
        raise SpecError(f"{where}: must be an undirected networkx graph of the copies")
    nodes = set(graph.nodes)
    strange = [node for node in graph.nodes if node not in range(copies)]
    if strange:
        raise SpecError(
            f"{where}: there is no copy {strange[0]!r}; the {copies} copies are 0 to {copies - 1}"
        )
    out = [copy for copy in range(copies) if copy not in nodes]
    if out:
        raise SpecError(f"{where}: leaves copies out: {_named(out)}")
    alone = [copy for copy in range(copies) if not set(graph[copy]) - {copy}]
    if alone and copies > 1:
        raise SpecError(
            f"{where}: leaves copies without a neighbour: {_named(alone)}; say "
            "deployment.graph=none where nobody is to hear anybody"
        )
    return _sorted(graph)


def _named(copies: list[int]) -> str:
    shown = ", ".join(map(str, copies[:_NAMED]))
    more = len(copies) - _NAMED
    return f"{shown} and {more} more" if more > 0 else shown


def _sorted(graph: Any) -> Neighbours:
    return [tuple(sorted(set(graph[copy]) - {copy})) for copy in range(len(graph))]
