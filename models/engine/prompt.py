"""From messages to token ids: chat template, neutral special tokens, trimming."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ...core import ContextTooLong, Message, ModelError, Part, replace_surrogates
from .chat_template import ChatTemplate


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids ready for the model, and the texts that did not fit."""

    ids: tuple[int, ...]
    dropped: tuple[str, ...] = ()


class PromptBuilder:
    """Renders messages with a tokenizer's chat template. Raises ModelError where it cannot.

    Only the template's own pieces may hold control tokens: a message's text is tokenised
    apart with the splitting of special tokens off, so "<|im_end|>" in it is plain text.
    ``rows``: how many tokens the model knows, which may be fewer than the tokenizer has.
    """

    def __init__(self, tokenizer: Any, window: int, rows: int | None = None) -> None:
        self._tokenizer = tokenizer
        self.template = ChatTemplate(tokenizer)
        self.window = window
        self._excluded = self._excluded_tokens(rows)
        names = sorted(self._excluded.values(), key=len, reverse=True)
        self._excluded_pattern = re.compile("|".join(map(re.escape, names))) if names else None
        self._cached_text_ids = lru_cache(maxsize=4096)(self._tokenise_text)
        self._cached_template = lru_cache(maxsize=1024)(self.template.frame)
        self._require_rows(rows)

    def _require_rows(self, rows: int | None) -> None:
        for piece in self._cached_template(("user",), True):
            for id in piece if isinstance(piece, tuple) else ():
                if rows is not None and id >= rows:
                    name = self._tokenizer.convert_ids_to_tokens(id)
                    raise ModelError(
                        f"{self._tokenizer.name_or_path}: its chat template writes the token "
                        f"'{name}', for which the model has no row; take the tokenizer and the "
                        "chat template of the model's own folder"
                    )

    def _excluded_tokens(self, rows: int | None) -> dict[int, str]:
        """Added tokens that a message's text may not hold though they are not marked as
        special: the template's own, and those that the model has no row for."""
        added = self._tokenizer.added_tokens_decoder.items()
        texts = {i: str(token.content) for i, token in added if not token.special}
        return {
            i: text
            for i, text in texts.items()
            if (rows is not None and i >= rows)
            or (re.search(r"[^\w\s]", text) and self.template.holds(text))
        }

    def text_ids(self, text: str) -> tuple[int, ...]:
        """Ids of plain text."""
        return self._cached_text_ids(text)

    def ids(self, messages: Sequence[Message], reply: bool = True) -> tuple[int, ...]:
        """Ids of a whole chat; with ``reply`` the template opens the assistant's turn.

        A last message of the assistant is the beginning of its answer: its turn is left
        open, so that what is generated goes on from its last word."""
        texts = [message.text for message in messages]
        roles = tuple(message.role for message in messages)
        return self.fill_template(roles, texts, reply)

    def fill_template(
        self, roles: tuple[str, ...], texts: Sequence[str], reply: bool
    ) -> tuple[int, ...]:
        """Ids of texts in the template's frame for ``roles``."""
        out: list[int] = []
        begun = reply and roles[-1:] == ("assistant",)
        frame = (
            self._cached_template(roles, False)[:-1]
            if begun
            else self._cached_template(roles, reply)
        )
        for piece in frame:
            if isinstance(piece, int):
                out.extend(self._cached_text_ids(texts[piece]))
            else:
                out.extend(piece)
        return tuple(out)

    def opening_ids(self, roles: tuple[str, ...], told: Sequence[Sequence[int]]) -> tuple[int, ...]:
        """Ids up to where the last role's text begins; ``told`` are the ids of the texts
        before it."""
        out: list[int] = []
        for piece in self._cached_template(roles, False):
            if piece == len(roles) - 1:
                break
            out.extend(told[piece] if isinstance(piece, int) else piece)
        return tuple(out)

    def closing_ids(self) -> tuple[int, ...]:
        """The id by which the template ends an assistant's message; empty where it has none."""
        last = self._cached_template(("user", "assistant"), False)[-1]
        return last[:1] if isinstance(last, tuple) else ()

    def fit(self, messages: Sequence[Message], reserve: int) -> Prompt:
        """The chat's ids, trimmed so that ``reserve`` more tokens fit the window.

        Parts go whole, highest ``drop`` first, the earlier of equals first; a message whose
        parts are all gone goes too. Raises ContextTooLong when the undroppable does not fit.
        """
        prompt = self.ids(messages)
        if len(prompt) + reserve <= self.window:
            return Prompt(prompt)
        parts = [
            (-part.drop, where, place)
            for where, message in enumerate(messages)
            for place, part in enumerate(message.parts)
            if part.drop > 0
        ]
        parts = sorted(parts)

        def without(count: int) -> tuple[int, ...]:
            return self.ids(_without(messages, {(where, at) for _, where, at in parts[:count]}))

        # Each try renders all that is left: by halves, since there may be thousands of parts.
        count = bisect_left(
            range(len(parts)), True, lo=1, key=lambda n: len(without(n)) + reserve <= self.window
        )
        prompt = without(count)
        texts = tuple(messages[where].parts[at].text for _, where, at in parts[:count])
        if len(prompt) + reserve <= self.window:
            return Prompt(prompt, texts)
        raise ContextTooLong(
            f"the prompt takes {len(prompt)} tokens and {reserve} are reserved for the answer, "
            f"more than the window of {self.window}, with {len(texts)} part(s) dropped; shorten "
            "it, give more parts a drop priority, or load the model with a larger window"
        )

    def _tokenise_text(self, text: str) -> tuple[int, ...]:
        text = replace_surrogates(text)
        pieces: list[str] = []
        start = 0
        for match in self._excluded_pattern.finditer(text) if self._excluded_pattern else ():
            pieces.append(text[start : match.start() + 1])
            start = match.start() + 1
        ids: list[int] = []
        for piece in [*pieces, text[start:]]:
            encoded = self._tokenizer(piece, add_special_tokens=False, split_special_tokens=True)
            ids.extend(encoded.input_ids)
        return tuple(id for id in ids if id not in self._excluded)


def _without(messages: Sequence[Message], dropped: set[tuple[int, int]]) -> list[Message]:
    kept: list[Message] = []
    for where, message in enumerate(messages):
        parts: tuple[Part, ...] = tuple(
            part for place, part in enumerate(message.parts) if (where, place) not in dropped
        )
        if parts or not message.parts:
            kept.append(Message(message.role, parts, message.who))
    return kept
