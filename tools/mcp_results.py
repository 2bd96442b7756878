"""What an MCP server's tool gave back, as plain values and text."""

from __future__ import annotations

import json
from typing import Any

from ..core import Json

_MAX_TEXT_CHARS = 8_000
"""Most characters of text; more is cut, and it says so."""


def result_value(result: Any) -> Json:
    """The value of the SDK's ``CallToolResult``: what is structured as it is, else the text.

    Images, sounds and binary resources are told in words: their kind and size. What is only
    there to be shown beside a structured value is told under ``also``.
    """
    structured = result.structured_content
    others = [_describe_block(block) for block in result.content if block.type != "text"]
    if structured is None:
        texts = [_describe_block(block) for block in result.content]
        return _cut(_sound("\n".join(text for text in texts if text)))
    value = _sound(structured)
    # How servers wrap what is no object.
    if isinstance(value, dict) and set(value) == {"result"}:
        value = value["result"]
    return {"value": value, "also": [_cut(_sound(one)) for one in others]} if others else value


def result_error(result: Any) -> str:
    """What a failed call says went wrong."""
    text = "\n".join(_describe_block(block) for block in result.content) or "the tool says no more"
    return str(_sound(text))[:400]


def _describe_block(block: Any) -> str:
    match block.type:
        case "text":
            return str(block.text)
        case "image" | "audio":
            return f"[{block.type}: {block.mime_type}, about {len(block.data) * 3 // 4} bytes]"
        case "resource_link":
            about = f", {block.description}" if block.description else ""
            return f"[link: {block.name}, {block.uri}{about}]"
        case "resource" if hasattr(block.resource, "text"):
            return f"[{block.resource.uri}]\n{block.resource.text}"
        case "resource":
            size = len(block.resource.blob) * 3 // 4
            kind = block.resource.mime_type or "binary"
            return f"[resource: {block.resource.uri}, {kind}, about {size} bytes]"
    return f"[{block.type}]"


def _cut(text: Json) -> Json:
    if not isinstance(text, str) or len(text) <= _MAX_TEXT_CHARS:
        return text
    return f"{text[:_MAX_TEXT_CHARS]}… (cut: {len(text) - _MAX_TEXT_CHARS} more characters)"


def _sound(value: Json) -> Json:
    """The value with what no file and no reader of JSON takes replaced: halves of surrogate
    pairs by '?', NaN and infinities by None."""
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()
    found: Json = json.loads(text, parse_constant=lambda _: None)
    return found
