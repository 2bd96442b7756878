"""Many minds recalling at once: one first pass and one arithmetic for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..core import AgentId, Cue, Hit
from ..store import Store
from .codes import Lists, scale_for
from .finishing import cosines_of, ends_of, finish
from .index import units
from .recall import SLACK, WHOLE, hits, score_some
from .scene import Scene
from .scoring import best
from .shelf import Shelf

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .finishing import Ends
    from .memory import Memory, Vector

    Ints = NDArray[np.int64]
    Singles = NDArray[np.float32]

FEW = 64
"""Fewer cues than this are not worth a pool, whose threads a busy machine may keep waiting."""
LEAST = 128
"""Records a mind must have to be worth it."""
PIECE = 512
"""Cues answered together, so that the arrays between fit the processor's cache."""


class Pool:
    """The embeddings of all the minds of a store in 8 bits, in one table by owner."""

    def __init__(self, columns: int, scale: float, owners: int) -> None:
        self.columns = columns
        self._lists = Lists(columns, owners, scale)
        self._room = owners
        self._owners: dict[AgentId, tuple[int, Shelf, int]] = {}

    @classmethod
    def of(cls, store: Store, shelves: dict[AgentId, Shelf]) -> Pool:
        """The store's pool, with all rows of these shelves in it."""
        columns = next(iter(shelves.values())).index.columns
        key = ("memory pool", columns)
        pool: Pool | None = store.cache.get(key)
        if pool is None or len(pool._owners | shelves) > pool._room or not pool._holds(shelves):
            sample = [shelf.index.rows_of.part(0, 64) for shelf in list(shelves.values())[:256]]
            known = len(pool._owners | shelves) if pool else len(shelves)
            pool = cls(columns, scale_for(np.concatenate(sample)), max(64, 2 * known))
            store.cache[key] = pool
        for agent, shelf in shelves.items():
            pool._follow(agent, shelf)
        return pool

    def _holds(self, shelves: dict[AgentId, Shelf]) -> bool:
        """Whether what it has of these is of the very shelves."""
        return all(
            known is None or known[1] is shelf
            for known, shelf in ((self._owners.get(agent), shelves[agent]) for agent in shelves)
        )

    def _follow(self, agent: AgentId, shelf: Shelf) -> None:
        number, _, done = self._owners.get(agent, (len(self._owners), shelf, 0))
        if done < shelf.index.rows:
            rows = shelf.index.rows_of.part(done, shelf.index.rows)
            self._lists.add(number, np.arange(done, shelf.index.rows), rows)
        self._owners[agent] = (number, shelf, shelf.index.rows)

    def products(
        self, owners: Sequence[AgentId], queries: Singles
    ) -> tuple[Ints, Singles, Singles]:
        """Each query with all rows of its owner in order: where each begins, the products,
        and how far each query's may be off."""
        numbers = np.array([[self._owners[owner][0]] for owner in owners], np.int64)
        starts, _, found, within = self._lists.products(queries, numbers)
        return starts, found, within


def together(
    requests: Sequence[tuple[Memory, Cue]], rows: Sequence[Vector | None]
) -> dict[int, tuple[Hit, ...]]:
    """The answers, by place, to those requests that a pool can answer; the very answers
    that ``Memory.recall`` gives to each alone."""
    if len(requests) < FEW:
        return {}
    groups: dict[tuple[int, int], list[tuple[int, Scene]]] = {}
    for place, ((memory, cue), row) in enumerate(zip(requests, rows, strict=True)):
        if row is None or cue.limit < 1:
            continue
        rules, shelf = memory.rules_for(cue), memory.shelf
        plain = rules.recency == "hours" and rules.listing == "written" and not rules.successive
        plain &= rules.matching != "hybrid" and not (cue.variety or cue.tokens or cue.around)
        size = shelf.index.rows
        if plain and LEAST <= size == len(shelf.row) <= WHOLE and memory.step is None:
            scene = Scene.of(memory, cue, np.asarray(row, np.float32), {})
            groups.setdefault((id(memory.store), len(row)), []).append((place, scene))
    answers: dict[int, tuple[Hit, ...]] = {}
    for members in groups.values():
        if len(members) < FEW:
            continue
        for start in range(0, len(members), PIECE):
            piece = members[start : start + PIECE]
            asked = [requests[place] for place, _ in piece]
            found = _recall([scene for _, scene in piece], asked)
            answers.update(zip((place for place, _ in piece), found, strict=True))
    return answers


def _recall(scenes: list[Scene], asked: list[tuple[Memory, Cue]]) -> list[tuple[Hit, ...]]:
    owners = [memory.agent for memory, _ in asked]
    limits = [cue.limit for _, cue in asked]
    queries = units(np.stack([scene.query for scene in scenes if scene.query is not None]))
    shelves = {owner: scene.shelf for owner, scene in zip(owners, scenes, strict=True)}
    pool = Pool.of(asked[0][0].store, shelves)
    starts, rough, off = pool.products(owners, queries)
    begin, sizes = starts[:-1], np.diff(starts)
    fits = None
    lows, highs = rough, rough
    if any(scene.mask is not None for scene in scenes):
        fits = np.concatenate(
            [np.ones(s.count, bool) if s.mask is None else s.mask for s in scenes]
        )
        lows, highs = np.where(fits, rough, np.inf), np.where(fits, rough, -np.inf)
    low = np.minimum.reduceat(lows, begin)
    high = np.maximum.reduceat(highs, begin)
    # What may be the least or the largest is computed exactly.
    edge = (lows <= np.repeat(low + 2 * off, sizes)) | (highs >= np.repeat(high - 2 * off, sizes))
    if fits is not None:
        edge &= fits
    ends, end_cuts = _picked(edge, starts)
    alike = ends_of(cosines_of(scenes, queries, ends, end_cuts), end_cuts)
    score, window = _rough_scores(scenes, rough, alike, off, sizes)
    if fits is not None:
        score[~fits] = -np.inf
    bars = _bars(score, begin, sizes, limits) - window
    wanted = score >= np.repeat(bars.astype(np.float32), sizes)
    if fits is not None:
        wanted &= fits
    places, cuts = _picked(wanted, starts)
    if any(scene.rules.decay != scenes[0].rules.decay for scene in scenes):
        pieces = zip(scenes, np.split(places, cuts[1:-1]), limits, strict=True)
        bounds = zip(alike[0].tolist(), alike[1].tolist(), strict=True)
        answers = []
        for (scene, mine, limit), both in zip(pieces, bounds, strict=True):
            cosines = scene.shelf.relevance(mine, scene.query)
            parts = score_some(scene, mine, cosines, both)
            answers.append(hits(scene.shelf, parts, best(parts.score, limit)))
        return answers
    return finish(scenes, queries, places, cuts, limits, alike)


def _picked(wanted: NDArray[np.bool_], starts: Ints) -> tuple[Ints, Ints]:
    """The places of what is wanted, each within its scene, and where each scene's begin."""
    chosen = np.flatnonzero(wanted)
    cuts = np.searchsorted(chosen, starts)
    return chosen - np.repeat(starts[:-1], np.diff(cuts)), cuts


def _rough_scores(
    scenes: list[Scene], rough: Singles, alike: Ends, off: Singles, sizes: Ints
) -> tuple[Singles, NDArray[np.float64]]:
    """Scores by rough cosines scaled by exact bounds, and the width within which two of a
    scene may change places."""
    low, high = alike
    weights = np.array([scene.rules.relevance_weight for scene in scenes])
    # Where all are equally alike their part is one number, which changes no order.
    slope = np.where(high > low, weights / np.where(high > low, high - low, 1.0), 0.0)
    score: Singles = rough * np.repeat(slope.astype(np.float32), sizes)
    shift = np.where(high > low, -slope * low, weights * [s.rules.equal for s in scenes])
    score += np.repeat(shift.astype(np.float32), sizes)
    score += np.concatenate([scene.own() for scene in scenes])
    if any(scene.trust is not None for scene in scenes):
        score *= np.concatenate(
            [np.ones(s.count, np.float32) if s.trust is None else s.trust for s in scenes]
        )
    window: NDArray[np.float64] = 2 * (np.abs(slope) * off.astype(np.float64) + SLACK)
    return score, window


def _bars(score: Singles, begin: Ints, sizes: Ints, limits: list[int]) -> NDArray[np.float64]:
    """For each mind a number not above its ``limit``-th highest score."""
    most = max(limits)
    blocks = int(min(4 * most, sizes.min()))
    if blocks < most:
        return np.full(len(sizes), -np.inf)
    cuts = begin[:, None] + (np.arange(blocks)[None] * sizes[:, None]) // blocks
    tops = np.maximum.reduceat(score, cuts.ravel()).reshape(len(sizes), blocks)
    tops.sort(axis=1)
    picked: NDArray[np.float64] = tops[np.arange(len(sizes)), blocks - np.array(limits)]
    return picked.astype(np.float64)
