"""Prompt templates: text files in ``planners/prompts``, filled with values.

A template has sections headed ``[system]``, ``[user]`` and ``[assistant]``. Text that all
agents share comes first, so that the engine can reuse its cached prefix. A line that consists
of one placeholder accepts a sequence of texts: each becomes a message part of its own, which
the engine may drop if the context window is too short. A final ``[assistant]`` section is the
beginning of the answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from ...core import Message, Part, SettingError

_ROLES = ("system", "user", "assistant")


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
    """The messages of template ``name`` with ``values`` in place of its placeholders.

    Raises SettingError for a missing template and KeyError for a missing value.
    """
    messages = []
    for role, lines in _load_sections(name):
        parts: list[Part] = []
        pending: list[str] = []
        for line in lines:
            placeholder = re.fullmatch(r"\{(\w+)\}", line)
            value = values[placeholder[1]] if placeholder else ""
            if placeholder and not isinstance(value, str):
                if pending:
                    parts.append(Part("\n".join(pending)))
                    pending = []
                # The oldest lines of a conversation are dropped first, of other lists the last.
                oldest_first = placeholder[1] == "lines"
                parts.extend(
                    Part(text, len(value) - index if oldest_first else index + 1)
                    for index, text in enumerate(value)
                )
            else:
                pending.append(line.format(**values))
        if pending:
            parts.append(Part("\n".join(pending)))
        messages.append(Message(role, tuple(parts)))  # type: ignore[arg-type]
    return tuple(messages)
