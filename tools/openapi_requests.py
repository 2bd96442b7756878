"""One request of an operation's arguments, and the reading of its answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import quote, urlencode

from ..core import Json
from .running import ProgressCallback


@dataclass(frozen=True, slots=True)
class OperationRequest:
    """One request to be sent; ``body`` is JSON, or empty."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: str = ""


SendRequest: TypeAlias = Callable[[OperationRequest], Json]
"""Sends a request and gives back the answer: a value, or its text (which is read as JSON where
it is JSON). Raises for an answer that is an error, TimeoutError and ConnectionError included."""


@dataclass(frozen=True, slots=True)
class OperationParameter:
    """A parameter and how it is written: ``place`` is path, query or header; lists and objects
    are spread over several when ``explode``, objects in brackets when ``deep``."""

    name: str
    place: str
    explode: bool
    deep: bool


def send_operation(
    send: SendRequest,
    method: str,
    url: str,
    parameters: tuple[OperationParameter, ...],
    body: str | None,
    arguments: dict[str, Json],
    tell: ProgressCallback,
) -> Json:
    """Make the request of an operation's arguments, have it sent, read the answer. ``body`` is
    the argument that is the body: "" for all that are no parameters, None for none."""
    left = dict(arguments)
    headers = {"Accept": "application/json"}
    query: list[tuple[str, str]] = []
    for one in parameters:
        if one.name not in left:
            continue
        value = left.pop(one.name)
        if one.place == "path":
            url = url.replace(f"{{{one.name}}}", _segment(one.name, value))
        elif one.place == "header":
            headers[one.name] = _header(one.name, value)
        else:
            query += _queried(one, value)
    if query:
        url += f"?{urlencode(query, quote_via=quote)}"
    payload = ""
    if body is not None and left:
        payload = json.dumps(left[body] if body else left, ensure_ascii=False)
        headers["Content-Type"] = "application/json"
    answer = send(OperationRequest(method, url, headers, payload))
    if isinstance(answer, str):
        try:
            answer = json.loads(answer)
        except ValueError:
            return answer
    return answer


def _segment(name: str, value: Json) -> str:
    text = ",".join(map(_text, value)) if isinstance(value, list) else _text(value)
    if text in ("", ".", ".."):
        raise ValueError(f"argument '{name}' stands in the path and cannot be '{text}'")
    return quote(text, safe="")


def _header(name: str, value: Json) -> str:
    text = ",".join(map(_text, value)) if isinstance(value, list) else _text(value)
    if not text.isprintable() or not text.isascii():
        raise ValueError(f"argument '{name}' is a header: printable ASCII only")
    return text


def _queried(one: OperationParameter, value: Json) -> list[tuple[str, str]]:
    if isinstance(value, list):
        texts = [_text(part) for part in value]
        return (
            [(one.name, part) for part in texts] if one.explode else [(one.name, ",".join(texts))]
        )
    if isinstance(value, dict):
        pairs = [(key, _text(part)) for key, part in value.items()]
        if one.deep:
            return [(f"{one.name}[{key}]", part) for key, part in pairs]
        return pairs if one.explode else [(one.name, ",".join(f"{k},{v}" for k, v in pairs))]
    return [(one.name, _text(value))]


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
