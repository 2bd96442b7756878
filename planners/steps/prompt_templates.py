"""Prompt texts, kept as files beside the planners and filled in here.

A prompt file has sections headed ``[system]``, ``[user]`` and ``[assistant]``. What agents
share comes first, so that engines can reuse it. A line that holds one placeholder alone may
be filled with several texts: each becomes a part of its own, which the engine may drop when
the window is too short. A final ``[assistant]`` section is the beginning of the answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from ...core import Message, Part, SettingError

_ROLES = {"system": "system", "user": "user", "assistant": "assistant"}


@cache
def _load_sections(name: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    source = files("denizens.planners").joinpath("prompts", f"{name}.txt")
    try:
        text = source.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SettingError(f"planners/prompts/{name}.txt: no such prompt") from error
    sections: list[tuple[str, tuple[str, ...]]] = []
    for chunk in re.split(r"^\[(?=\w+\]$)", text, flags=re.MULTILINE)[1:]:
        role, _, body = chunk.partition("]\n")
        if role not in _ROLES:
            raise SettingError(f"planners/prompts/{name}.txt: unknown section '[{role}]'")
        sections.append((role, tuple(body.strip("\n").split("\n"))))
    return tuple(sections)


def render_prompt(name: str, /, **values: str | Sequence[str]) -> tuple[Message, ...]:
    """The messages of prompt ``name`` with its placeholders filled.

    Raises SettingError for a missing prompt file and KeyError for a missing value.
    """
    messages = []
    for role, lines in _load_sections(name):
        parts: list[Part] = []
        plain: list[str] = []
        for line in lines:
            alone = re.fullmatch(r"\{(\w+)\}", line)
            value = values[alone.group(1)] if alone else ""
            if alone and not isinstance(value, str):
                if plain:
                    parts.append(Part("\n".join(plain)))
                    plain = []
                # Of a talk the oldest lines give way first, of anything else the last ones.
                oldest = alone.group(1) == "lines"
                size = len(value)
                parts.extend(
                    Part(text, size - place if oldest else place + 1)
                    for place, text in enumerate(value)
                )
            else:
                plain.append(line.format(**values))
        if plain:
            parts.append(Part("\n".join(plain)))
        messages.append(Message(role, tuple(parts)))  # type: ignore[arg-type]
    return tuple(messages)
