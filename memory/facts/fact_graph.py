"""Claims as a graph: neighbours, paths, what a cue reaches, GraphML.

Recall joined by claims: what a cue's entities lead to, beside what is like its words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...core import EVERYBODY, AgentId, Cue, Hit, Record, RecordId, Time
from ..recall import RecallQuery, candidate_limit, select_hits
from ..storage import atomic_export
from .entity_names import name_key
from .statements import Fact

if TYPE_CHECKING:
    import networkx as nx

    from ..storage import Vector
    from .facts import Facts

# The share of a walk that goes on; HippoRAG walks with .5, for cues name what they are about.
DAMPING = 0.5


def build_graph(claims: Iterable[Fact]) -> nx.MultiDiGraph:
    """Entities as nodes (their keys; ``name`` as written), each claim an edge keyed by its id,
    with ``relation`` and ``claim``."""
    import networkx as nx

    found: nx.MultiDiGraph = nx.MultiDiGraph()
    for claim in claims:
        ends = [name_key(claim.subject), name_key(claim.object)]
        for key, name in zip(ends, (claim.subject, claim.object)):
            if key not in found:
                found.add_node(key, name=name)
        found.add_edge(*ends, key=claim.id, relation=claim.relation, claim=claim)
    return found


def neighbours(found: nx.MultiDiGraph, entity: str, hops: int = 1) -> list[str]:
    """Names of the entities at most ``hops`` claims away, nearest first, then by name."""
    import networkx as nx

    key = name_key(entity)
    if key not in found:
        return []
    away = nx.single_source_shortest_path_length(found.to_undirected(as_view=True), key, hops)
    near = sorted((hop, node) for node, hop in away.items() if node != key)
    return [str(found.nodes[node]["name"]) for _, node in near]


def shortest_path(found: nx.MultiDiGraph, start: str, end: str) -> list[Fact]:
    """The claims that lead from one entity to another by the fewest steps, in either
    direction of each; empty when none do."""
    import networkx as nx

    ends = name_key(start), name_key(end)
    if not all(key in found for key in ends):
        return []
    try:
        nodes = nx.shortest_path(found.to_undirected(as_view=True), *ends)
    except nx.NetworkXNoPath:
        return []
    return [_between(found, one, other) for one, other in pairwise(nodes)]


def _between(found: nx.MultiDiGraph, one: str, other: str) -> Fact:
    edges = [*(found.get_edge_data(one, other) or {}).values()]
    edges += (found.get_edge_data(other, one) or {}).values()
    latest: Fact = max((edge["claim"] for edge in edges), key=lambda c: (c.since, c.id))
    return latest


def related_records(
    claims: Facts,
    cue: str,
    *,
    person: AgentId = "",
    as_of: Time | None = None,
    limit: int = 10,
) -> list[tuple[RecordId, float]]:
    """Records that speak of what is near to a cue's entities, by personalised PageRank.

    A walk starts at the entities the cue names and follows claims in both directions; each
    claim's weight (the mean of its ends' share, times its confidence) goes to its sources.
    Weights sum to 1 over all records; heaviest first, ties by number.
    """
    import networkx as nx

    held = claims.find(as_of=as_of, person=person)
    view = claims.view(person)
    found = build_graph(held)
    named = [key for key in view.names.mentioned(cue) if key in found]
    if not named:
        return []
    start = dict.fromkeys(named, 1.0)
    # A simple graph: two claims between a pair make the tie twice as strong.
    ties: nx.Graph = nx.Graph()
    ties.add_nodes_from(found)
    for one, other, claim in found.edges(data="claim"):
        before = ties.get_edge_data(one, other, {"weight": 0.0})["weight"]
        ties.add_edge(one, other, weight=before + claim.confidence)
    share = nx.pagerank(ties, alpha=DAMPING, personalization=start, weight="weight")
    weights: dict[RecordId, float] = {}
    for one, other, claim in found.edges(data="claim"):
        each = (share[one] + share[other]) / 2 * claim.confidence
        for source in claim.sources:
            weights[source] = weights.get(source, 0.0) + each / len(claim.sources)
    total = sum(weights.values()) or 1.0
    ranked: Sequence[tuple[RecordId, float]] = sorted(
        ((source, weight / total) for source, weight in weights.items()),
        key=lambda item: (-item[1], item[0]),
    )
    return list(ranked[:limit])


def write_graphml(found: nx.MultiDiGraph, target: Path | str) -> int:
    """Write a graph of claims as GraphML: a claim's parts as attributes of its edge."""
    import networkx as nx

    plain: nx.MultiDiGraph = nx.MultiDiGraph()
    plain.add_nodes_from(
        (node, {"name": _clean(data["name"])}) for node, data in found.nodes(data=True)
    )
    for one, other, claim in found.edges(data="claim"):
        plain.add_edge(
            one,
            other,
            key=str(claim.id),
            relation=_clean(claim.relation),
            since=claim.since.isoformat(),
            until=claim.until.isoformat() if claim.until else "",
            learned=claim.learned.isoformat(),
            sources=" ".join(map(str, claim.sources)),
            confidence=claim.confidence,
            who=_clean(claim.who),
        )
    with atomic_export(target) as part:
        nx.write_graphml_xml(plain, part)
    return int(plain.number_of_edges())


def _clean(text: str) -> str:
    """A text without the control characters that XML has no way to write."""
    return "".join(sign for sign in text if sign in "\t\n" or sign.isprintable())


# What the graph's heaviest record gains, in units of the score's own parts (each 0 to 1).
GRAPH_WEIGHT = 0.5


def recall_with_facts(claims: Facts, cue: Cue, vector: Vector | None = None) -> tuple[Hit, ...]:
    """The memory's hits and the records that the claims near to the cue's entities rest on.

    Each of these gains ``GRAPH_WEIGHT`` times its share of the heaviest one's weight
    (personalised PageRank, ``claims.related_records``) and says by which claim in ``why``; those
    the
    memory did not find come in with that alone. Filtered and bounded as the cue asks.
    """
    memory = claims.memory
    wide = replace(cue, limit=4 * cue.limit, tokens=0, variety=0.0, around=0)
    query = None if vector is None else np.asarray(vector, dtype=np.float32)
    scene = RecallQuery.for_cue(memory.loader, memory.rules_for(cue), cue, query, {})
    hits = {hit.record.id: hit for hit in memory.recall(wide, vector)}
    related = claims.related_records(
        cue.text, person=_person(cue), as_of=cue.at, limit=4 * cue.limit
    )
    if related:
        reasons = _reasons(claims, cue)
        # The mask of recall itself: what is private, folded, gone, expired or quarantined.
        open_to = set(scene.shelf.record_id.array[scene.candidates()].tolist())
        most = related[0][1]
        for number, weight in related:
            if number not in open_to:
                continue
            old = hits.get(number) or _bare(memory.record(number))
            why = "; ".join(part for part in (old.why, reasons.get(number, "")) if part)
            hits[number] = replace(old, score=old.score + GRAPH_WEIGHT * weight / most, why=why)
    ranked = sorted(hits.values(), key=lambda hit: (-hit.score, hit.record.id))
    return select_hits(ranked[: candidate_limit(cue)], scene, cue)


def _person(cue: Cue) -> AgentId:
    """Whose view of the claims serves a cue: with several hearers only what is for everybody."""
    hearers = set(cue.hearers)
    return EVERYBODY if len(hearers) > 1 else next(iter(hearers), "")


def _reasons(claims: Facts, cue: Cue) -> dict[int, str]:
    found: dict[int, str] = {}
    for claim in claims.find(as_of=cue.at, person=_person(cue)):
        for source in claim.sources:
            found.setdefault(source, f"claim: {claim}")
    return found


def _bare(record: Record) -> Hit:
    return Hit(record=record, score=0.0, recency=0.0, importance=0.0, relevance=0.0)
