"""What a small model reads out of lines that no rule was written for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from random import Random

from ..core import Json, Model, Record, Seed
from ..memory.claim_asking import extract_facts_with_model
from ..memory.claim_drafts import ExtractedFact
from .changes_world import FactStatement, Phrasing, known_phrasings, make_timeline
from .loads import run_thoughts

SAMPLE = 60
MODEL_SEED = Seed.of(2023).child("read by a model")


def measure_model_extraction(
    told: Callable[[str], None], model: Model | None = None
) -> dict[str, Json]:
    """Facts read by SmolLM2 (with MiniLM, as its decisions are): shares of lines of which the
    relation, the object, and all of subject, relation and object are right."""
    from ..models import load_model

    mind = model or load_model("smollm2")
    result: dict[str, Json] = {}
    phrasings: tuple[Phrasing, ...] = ("loose", "unseen")
    for phrasing in phrasings:
        made = make_timeline(MODEL_SEED, phrasing, questions=1)
        lines = [line for line in made.lines if line.relation]
        chosen = Random(MODEL_SEED.number).sample(lines, SAMPLE)
        started = time.perf_counter()
        records = [
            Record(id=n, kind="observation", text=line.text, created=line.at)
            for n, line in enumerate(chosen, 1)
        ]
        (drafts,) = run_thoughts(
            mind, [extract_facts_with_model(records, list(known_phrasings()["relations"]))]
        )
        shares = extraction_shares(chosen, drafts)
        took = time.perf_counter() - started
        result[phrasing] = {**shares, "lines": SAMPLE, "lines_per_s": round(SAMPLE / took, 1)}
        told(f"read by the model, {phrasing} words: {result[phrasing]}")
    return result


def extraction_shares(
    lines: Sequence[FactStatement], drafts: Sequence[ExtractedFact]
) -> dict[str, float]:
    """Shares of the lines; draft number n is of line n - 1."""
    found = {draft.source: draft for draft in drafts}
    counts = {"read": 0, "relation": 0, "object": 0, "whole": 0}
    for number, line in enumerate(lines, 1):
        draft = found.get(number)
        if draft is None:
            continue
        relation = draft.relation == line.relation
        thing = _without_article(draft.object) == _without_article(line.value)
        counts["read"] += 1
        counts["relation"] += relation
        counts["object"] += thing
        counts["whole"] += relation and thing and draft.subject == line.person
    return {name: round(count / len(lines), 4) for name, count in counts.items()}


def _without_article(value: str) -> str:
    for article in ("the ", "a ", "an "):
        value = value.removeprefix(article)
    return value
