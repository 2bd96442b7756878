"""The stored form of an ask with its answer: rows with checksums, repeated parts stored once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ...core import (
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
from ...store import Store

T = TypeVar("T")

ASK_COLUMNS = "step, agent, path, kind, role, digest, ask, answer, tokens_in, tokens_out, mark"


@dataclass(frozen=True, slots=True)
class AskRow:
    """An ask of a run with its answer. ``digest`` is the digest of the ask's canonical JSON."""

    where: AskId
    kind: str
    role: str
    digest: str
    ask: Ask
    answer: Answer


@dataclass(frozen=True, slots=True)
class EncodedAsk:
    """An ask and its answer as JSON texts, in which repeated parts are replaced by digests."""

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
        """The values of ``ASK_COLUMNS``; the last is the checksum of the others."""
        where = self.where
        key = (where.step, where.agent, where.path, self.kind, self.role, self.digest)
        values = (*key, self.ask, self.answer, self.tokens_in, self.tokens_out)
        return (*values, row_checksum(values))


def row_checksum(values: tuple[Json, ...]) -> str:
    """The checksum of the other values of a row."""
    return digest_text(canonical(list(values)))


def checksum_fits(row: tuple[Json, ...]) -> bool:
    """Whether a row fits the checksum in its last column."""
    return not any(isinstance(value, bytes) for value in row) and row_checksum(row[:-1]) == row[-1]


def encode_ask(store: Store, where: AskId, ask: Ask, ask_digest: str, answer: Answer) -> EncodedAsk:
    """Encode an ask and its answer; messages, options, anchors and records go to the store's table
    of interned texts."""
    ask_json, answer_json = to_json(ask), to_json(answer)
    if "messages" in ask_json:
        ask_json["messages"] = [_store_part(store, message) for message in ask_json["messages"]]
    for field in ("options", "anchors"):
        if ask_json.get(field):
            ask_json[field] = _store_part(store, ask_json[field])
    for hit in answer_json.get("hits", ()):
        hit["record"] = _store_part(store, hit["record"])
    return EncodedAsk(
        where,
        ask_json["kind"],
        ask_json.get("role", ""),
        ask_digest,
        canonical(ask_json),
        canonical(answer_json),
        int(answer_json.get("tokens_in", 0)),
        int(answer_json.get("tokens_out", 0)),
    )


def decode_ask(store: Store, text: str) -> Ask:
    """The ask that ``encode_ask`` encoded as ``text``. Raises RunCorrupt."""

    def build(ask_json: Json) -> Ask:
        if "messages" in ask_json:
            ask_json["messages"] = [_load_part(store, key) for key in ask_json["messages"]]
        for field in ("options", "anchors"):
            if isinstance(ask_json.get(field), str):
                ask_json[field] = _load_part(store, ask_json[field])
        return ask_from_json(ask_json)

    return decode_json(store, "an ask", build, text)


def decode_answer(store: Store, text: str) -> Answer:
    """The answer that ``encode_ask`` encoded as ``text``. Raises RunCorrupt."""

    def build(answer_json: Json) -> Answer:
        for hit in answer_json.get("hits", ()):
            hit["record"] = _load_part(store, hit["record"])
        return answer_from_json(answer_json)

    return decode_json(store, "an answer", build, text)


def decode_json(store: Store, what: str, build: Callable[[Json], T], text: Json) -> T:
    """Parse JSON and pass it to ``build``. Raises RunCorrupt, which names the file and ``what``."""
    try:
        return build(json.loads(text))
    # A wrong type in a column, malformed JSON, and JSON of another shape (pydantic's error is a
    # ValueError) all mean that the file is damaged.
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
