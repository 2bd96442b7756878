"""Encoding records as canonical JSON and decoding them."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from json.encoder import encode_basestring
from typing import TYPE_CHECKING

from ...core import Record, RecordId, canonical, replace_surrogates, time_error, to_json

if TYPE_CHECKING:
    from pydantic import TypeAdapter

FORGOTTEN = "gone:forgotten"
DAMAGED = "gone:damaged"
"""The ``source`` of a record of which only the number is left."""


def body_of(record: Record) -> str:
    """The canonical JSON of a record: ``canonical(to_json(record))``, faster."""
    body = _plain_body(record)
    return body if body.isascii() else replace_surrogates(body)


def _plain_body(record: Record) -> str:
    text = encode_basestring
    plain = record.until is None and not record.pinned and type(record.importance) is float
    plain &= not record.zone
    if not plain or record.created.tzinfo is not None:
        return canonical(to_json(record))
    audience = ",".join(map(text, record.audience))
    sources = None if record.sources is None else ",".join(map(text, record.sources))
    return (
        "{"
        + (f'"audience":[{audience}],' if record.audience else "")
        + f'"created":"{record.created.isoformat()}","depth":{record.depth},'
        + (f'"episode":{text(record.episode)},' if record.episode else "")
        + f'"evidence":[{",".join(map(str, record.evidence))}],"id":{record.id},'
        + f'"importance":{record.importance!r},"kind":"{record.kind}",'
        + f'"object":{text(record.object)},"place":{text(record.place)},'
        + f'"predicate":{text(record.predicate)},'
        + (f'"source":{text(record.source)},' if record.source else "")
        + (f'"sources":[{sources}],' if sources is not None else "")
        + f'"subject":{text(record.subject)},"text":{text(record.text)},'
        + f'"who":{text(record.who)}}}'
    )


@cache
def record_adapter() -> TypeAdapter[Record]:
    """The parser of a record's JSON."""
    from pydantic import TypeAdapter

    return TypeAdapter(Record)


def read_body(body: str | bytes) -> Record:
    """The record of a JSON body. Raises ValueError for an invalid one."""
    record = record_adapter().validate_json(body)
    if record.created.tzinfo is not None or (record.until and record.until.tzinfo is not None):
        raise ValueError(time_error(record.created) or time_error(record.until))
    return record


def is_erased(record: Record) -> bool:
    """Whether only the number is left of a record, after erasure or damage."""
    return not record.text and record.source in (FORGOTTEN, DAMAGED)


def blank_record(number: RecordId, at: datetime, why: str) -> Record:
    """A record of which only the number is left; ``why`` is FORGOTTEN or DAMAGED."""
    return Record(id=number, kind="observation", text="", created=at, source=why)
