"""How an ask and its answer lie in a run's file, and how they are read back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ..core import (
    Answer,
    Ask,
    AskId,
    Json,
    RunCorrupt,
    answer_from_json,
    ask_from_json,
    canonical,
    digest_text,
    to_json,
)
from ..store import Store

T = TypeVar("T")

ASK_COLUMNS = "step, agent, path, kind, role, digest, ask, answer, tokens_in, tokens_out, mark"


@dataclass(frozen=True, slots=True)
class AskRow:
    """One ask of a run with its answer. ``digest`` covers the ask's canonical JSON."""

    where: AskId
    kind: str
    role: str
    digest: str
    ask: Ask
    answer: Answer


@dataclass(frozen=True, slots=True)
class EncodedAsk:
    """An ask and its answer as stored: shared parts are replaced by their digests."""

    where: AskId
    kind: str
    role: str
    digest: str
    ask: str
    answer: str
    tokens_in: int
    tokens_out: int

    @property
    def row(self) -> tuple[object, ...]:
        """The values in the order of ``ASK_COLUMNS``; the last is the others' checksum."""
        where = self.where
        key = (where.step, where.agent, where.path, self.kind, self.role, self.digest)
        values = (*key, self.ask, self.answer, self.tokens_in, self.tokens_out)
        return (*values, row_checksum(values))


def row_checksum(values: tuple[Json, ...]) -> str:
    """The checksum of a row of asks, over all columns before it."""
    return digest_text(canonical(list(values)))


def checksum_fits(row: tuple[Json, ...]) -> bool:
    """Whether a row of ``ASK_COLUMNS`` fits its checksum."""
    return not any(isinstance(value, bytes) for value in row) and row_checksum(row[:-1]) == row[-1]


def encode_ask(store: Store, where: AskId, ask: Ask, ask_digest: str, answer: Answer) -> EncodedAsk:
    """Bring an ask and its answer into stored form; keeps what repeats once in the store."""
    asked, answered = to_json(ask), to_json(answer)
    if "messages" in asked:
        asked["messages"] = [_store_part(store, message) for message in asked["messages"]]
    for field in ("options", "anchors"):
        if asked.get(field):
            asked[field] = _store_part(store, asked[field])
    for hit in answered.get("hits", ()):
        hit["record"] = _store_part(store, hit["record"])
    return EncodedAsk(
        where,
        asked["kind"],
        asked.get("role", ""),
        ask_digest,
        canonical(asked),
        canonical(answered),
        int(answered.get("tokens_in", 0)),
        int(answered.get("tokens_out", 0)),
    )


def decode_ask(store: Store, text: str) -> Ask:
    """The ask stored as ``interned_text``. Raises RunCorrupt."""

    def build(asked: Json) -> Ask:
        if "messages" in asked:
            asked["messages"] = [_load_part(store, key) for key in asked["messages"]]
        for field in ("options", "anchors"):
            if isinstance(asked.get(field), str):
                asked[field] = _load_part(store, asked[field])
        return ask_from_json(asked)

    return decode_json(store, "an ask", build, text)


def decode_answer(store: Store, text: str) -> Answer:
    """The answer stored as ``interned_text``. Raises RunCorrupt."""

    def build(answered: Json) -> Answer:
        for hit in answered.get("hits", ()):
            hit["record"] = _load_part(store, hit["record"])
        return answer_from_json(answered)

    return decode_json(store, "an answer", build, text)


def decode_json(store: Store, what: str, build: Callable[[Json], T], text: Json) -> T:
    """``build`` of the JSON in ``interned_text``. Raises RunCorrupt naming the file and
    ``what``."""
    try:
        return build(json.loads(text))
    # A wrong type in a column, broken JSON, or JSON of another shape (pydantic's error is a
    # ValueError): to a reader of a file all of them are damage.
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RunCorrupt(
            f"{store.name}: {what} cannot be read ({reason}); check the file with denizens "
            "verify, restore it from a backup, or use the version of denizens that wrote it"
        ) from error


def _store_part(store: Store, part: Json) -> str:
    return store.intern_text(canonical(part))


def _load_part(store: Store, key: str) -> Json:
    return json.loads(store.interned_text(key))
