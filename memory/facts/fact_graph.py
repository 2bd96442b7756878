"""Facts as a graph of entities: neighbours, shortest paths, PageRank over records, GraphML."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from ...core import RecordId
from ...core.text import EntityNames, name_key
from ..storage import atomic_export
from .statements import Fact

if TYPE_CHECKING:
    import networkx as nx

DAMPING = 0.5
"""Probability that a random walk goes on at each step: HippoRAG's value for entity queries."""


def build_graph(facts: Iterable[Fact]) -> nx.MultiDiGraph:
    """A graph with entities as nodes (keyed by ``name_key``; attribute ``name``: as written) and
    facts as edges (keyed by fact id; attributes ``relation`` and ``fact``, the Fact)."""
    import networkx as nx

    graph: nx.MultiDiGraph = nx.MultiDiGraph()
    for fact in facts:
        ends = [name_key(fact.subject), name_key(fact.object)]
        for key, name in zip(ends, (fact.subject, fact.object)):
            if key not in graph:
                graph.add_node(key, name=name)
        graph.add_edge(*ends, key=fact.id, relation=fact.relation, fact=fact)
    return graph


def neighbours(graph: nx.MultiDiGraph, entity: str, hops: int = 1) -> list[str]:
    """Names of the entities at most ``hops`` edges away, nearest first, ties by name."""
    import networkx as nx

    start = name_key(entity)
    if start not in graph:
        return []
    undirected = graph.to_undirected(as_view=True)
    distances = nx.single_source_shortest_path_length(undirected, start, hops)
    nearest = sorted((distance, node) for node, distance in distances.items() if node != start)
    return [str(graph.nodes[node]["name"]) for _, node in nearest]


def shortest_path(graph: nx.MultiDiGraph, start: str, end: str) -> list[Fact]:
    """The facts along a shortest path between two entities, edge directions ignored; an empty
    list if there is no path."""
    import networkx as nx

    ends = name_key(start), name_key(end)
    if not all(key in graph for key in ends):
        return []
    try:
        nodes = nx.shortest_path(graph.to_undirected(as_view=True), *ends)
    except nx.NetworkXNoPath:
        return []
    return [_latest_fact_between(graph, first, second) for first, second in pairwise(nodes)]


def _latest_fact_between(graph: nx.MultiDiGraph, first: str, second: str) -> Fact:
    edges = [*(graph.get_edge_data(first, second) or {}).values()]
    edges += (graph.get_edge_data(second, first) or {}).values()
    latest: Fact = max((edge["fact"] for edge in edges), key=lambda fact: (fact.since, fact.id))
    return latest


def rank_related_records(
    facts: Iterable[Fact], names: EntityNames, query: str, limit: int
) -> list[tuple[RecordId, float]]:
    """Records behind the facts near the entities that ``query`` names, with their weights,
    heaviest first, ties by id.

    Personalised PageRank starts at the named entities and follows facts in both directions. A
    fact weighs the mean rank of its two ends times its confidence, shared equally among its
    sources. Weights sum to 1 over all records.
    """
    import networkx as nx

    graph = build_graph(facts)
    starts = [key for key in names.mentioned(query) if key in graph]
    if not starts:
        return []
    # A simple graph: the confidences of several facts between two entities add up.
    simple: nx.Graph = nx.Graph()
    simple.add_nodes_from(graph)
    for subject, object_, fact in graph.edges(data="fact"):
        weight = simple.get_edge_data(subject, object_, {"weight": 0.0})["weight"]
        simple.add_edge(subject, object_, weight=weight + fact.confidence)
    ranks = nx.pagerank(
        simple, alpha=DAMPING, personalization=dict.fromkeys(starts, 1.0), weight="weight"
    )
    weights: dict[RecordId, float] = {}
    for subject, object_, fact in graph.edges(data="fact"):
        weight = (ranks[subject] + ranks[object_]) / 2 * fact.confidence
        for source in fact.sources:
            weights[source] = weights.get(source, 0.0) + weight / len(fact.sources)
    total = sum(weights.values()) or 1.0
    shares = ((source, weight / total) for source, weight in weights.items())
    return sorted(shares, key=lambda item: (-item[1], item[0]))[:limit]


def write_graphml(graph: nx.MultiDiGraph, target: Path | str) -> int:
    """Write a graph of facts as GraphML, the fields of each fact as edge attributes; returns the
    number of edges."""
    import networkx as nx

    plain: nx.MultiDiGraph = nx.MultiDiGraph()
    plain.add_nodes_from(
        (node, {"name": _xml_text(data["name"])}) for node, data in graph.nodes(data=True)
    )
    for subject, object_, fact in graph.edges(data="fact"):
        plain.add_edge(
            subject,
            object_,
            key=str(fact.id),
            relation=_xml_text(fact.relation),
            since=fact.since.isoformat(),
            until=fact.until.isoformat() if fact.until else "",
            learned=fact.learned.isoformat(),
            sources=" ".join(map(str, fact.sources)),
            confidence=fact.confidence,
            who=_xml_text(fact.who),
        )
    with atomic_export(target) as part:
        nx.write_graphml_xml(plain, part)
    return int(plain.number_of_edges())


def _xml_text(text: str) -> str:
    """The text without control characters, which XML cannot represent."""
    return "".join(sign for sign in text if sign in "\t\n" or sign.isprintable())
