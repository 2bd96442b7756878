"""What a small model reads out of lines that no rule was written for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from random import Random

from ..core import Json, Model, Record, Seed
from ..memory.claim_asking import reading
from ..memory.claim_drafts import Draft
from .changes_world import Line, Phrasing, known, world
from .loads import think

SAMPLE = 60
SEED = Seed.of(2023).child("read by a model")


def by_model(told: Callable[[str], None], model: Model | None = None) -> dict[str, Json]:
    """Facts read by SmolLM2 (with MiniLM, as its decisions are): shares of lines of which the
    relation, the object, and all of subject, relation and object are right."""
    from ..models import load_model

    mind = model or load_model("smollm2")
    result: dict[str, Json] = {}
    phrasings: tuple[Phrasing, ...] = ("loose", "unseen")
    for phrasing in phrasings:
        made = world(SEED, phrasing, questions=1)
        lines = [line for line in made.lines if line.relation]
        chosen = Random(SEED.number).sample(lines, SAMPLE)
        started = time.perf_counter()
        records = [
            Record(id=n, kind="observation", text=line.text, created=line.at)
            for n, line in enumerate(chosen, 1)
        ]
        (drafts,) = think(mind, [reading(records, list(known()["relations"]))])
        shares = right(chosen, drafts)
        took = time.perf_counter() - started
        result[phrasing] = {**shares, "lines": SAMPLE, "lines_per_s": round(SAMPLE / took, 1)}
        told(f"read by the model, {phrasing} words: {result[phrasing]}")
    return result


def right(lines: Sequence[Line], drafts: Sequence[Draft]) -> dict[str, float]:
    """Shares of the lines; draft number n is of line n - 1."""
    found = {draft.source: draft for draft in drafts}
    counts = {"read": 0, "relation": 0, "object": 0, "whole": 0}
    for number, line in enumerate(lines, 1):
        draft = found.get(number)
        if draft is None:
            continue
        relation = draft.relation == line.relation
        thing = _bare(draft.object) == _bare(line.value)
        counts["read"] += 1
        counts["relation"] += relation
        counts["object"] += thing
        counts["whole"] += relation and thing and draft.subject == line.person
    return {name: round(count / len(lines), 4) for name, count in counts.items()}


def _bare(value: str) -> str:
    for article in ("the ", "a ", "an "):
        value = value.removeprefix(article)
    return value
