"""Options with a meaning of their own: a tool, and none of the others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .arguments import check_arguments
from .asks import Option
from .words import Json

MAX_PARAMETERS = 12  # of a tool; more of them tell no more what it is for

NONE_OF_THESE = Option("none of these")
"""The option that all others are wrong; an engine gives it the probability that they are.

It is told by being equal to this one, so nothing else about it is scored."""


@check_arguments
def tool_option(name: str, description: str, parameters: Json = None) -> Option:
    """A tool as an option: its name in words, what it does, and a line for each parameter.

    ``parameters`` is its JSON Schema. The first line is what an embedder compares; a language
    model scores all of it, and needs the parameters: by likelihood alone SmolLM2-135M finds
    the right one of two to four tools (BFCL) in .96 of cases without them, 1.00 with them.

    >>> schema = {"properties": {"newTown": {"description": "Where to look."}}}
    >>> print(tool_option("weather.getNow", "The weather now.", schema).description)
    weather get Now: The weather now.
    - new Town: Where to look.
    """
    inner = parameters.get("properties") if isinstance(parameters, Mapping) else None
    fields: Mapping[str, Any] = inner if isinstance(inner, Mapping) else {}
    lines = [f"{identifier_to_words(name)}: {' '.join(description.split())}"]
    for field, schema in [*fields.items()][:MAX_PARAMETERS]:
        about = schema.get("description", "") if isinstance(schema, Mapping) else ""
        told = " ".join(str(about).split())
        lines.append(
            f"- {identifier_to_words(field)}: {told}" if told else f"- {identifier_to_words(field)}"
        )
    return Option(name, "\n".join(lines))


@check_arguments
def identifier_to_words(name: str) -> str:
    """An identifier as words: dots, dashes, underscores and humps become spaces.

    >>> identifier_to_words("get_userName.now")
    'get user Name now'
    """
    humps = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return re.sub(r"[\s._-]+", " ", humps).strip()
