"""From messages to token ids: chat template, neutral special tokens, trimming."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..core import ContextTooLong, Message, Part, repaired
from .chat_template import ChatTemplate


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids ready for the model, and the texts that did not fit."""

    ids: tuple[int, ...]
    dropped: tuple[str, ...] = ()


class Prompter:
    """Renders messages with a tokenizer's chat template. Raises ModelError where it cannot.

    Only the template's own pieces may hold control tokens: a message's text is tokenised
    apart with the splitting of special tokens off, so "<|im_end|>" in it is plain text.
    """

    def __init__(self, tokenizer: Any, window: int) -> None:
        self._tokenizer = tokenizer
        self.template = ChatTemplate(tokenizer)
        self.window = window
        self._text = lru_cache(maxsize=4096)(self._tokenise_text)
        self._frame = lru_cache(maxsize=1024)(self.template.frame)

    def text_ids(self, text: str) -> tuple[int, ...]:
        """Ids of plain text."""
        return self._text(text)

    def ids(self, messages: Sequence[Message], reply: bool = True) -> tuple[int, ...]:
        """Ids of a whole chat; with ``reply`` the template opens the assistant's turn.

        A last message of the assistant is the beginning of its answer: its turn is left
        open, so that what is generated goes on from its last word."""
        texts = [message.text for message in messages]
        roles = tuple(message.role for message in messages)
        return self.weave(roles, texts, reply)

    def weave(self, roles: tuple[str, ...], texts: Sequence[str], reply: bool) -> tuple[int, ...]:
        """Ids of texts in the template's frame for ``roles``."""
        out: list[int] = []
        begun = reply and roles[-1:] == ("assistant",)
        frame = self._frame(roles, False)[:-1] if begun else self._frame(roles, reply)
        for piece in frame:
            if isinstance(piece, int):
                out.extend(self._text(texts[piece]))
            else:
                out.extend(piece)
        return tuple(out)

    def opening(self, roles: tuple[str, ...], told: Sequence[Sequence[int]]) -> tuple[int, ...]:
        """Ids up to where the last role's text begins; ``told`` are the ids of the texts
        before it."""
        out: list[int] = []
        for piece in self._frame(roles, False):
            if piece == len(roles) - 1:
                break
            out.extend(told[piece] if isinstance(piece, int) else piece)
        return tuple(out)

    def closing(self) -> tuple[int, ...]:
        """The id by which the template ends an assistant's message; empty where it has none."""
        last = self._frame(("user", "assistant"), False)[-1]
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
        encoded = self._tokenizer(
            repaired(text), add_special_tokens=False, split_special_tokens=True
        )
        return tuple(encoded.input_ids)


def _without(messages: Sequence[Message], dropped: set[tuple[int, int]]) -> list[Message]:
    kept: list[Message] = []
    for where, message in enumerate(messages):
        parts: tuple[Part, ...] = tuple(
            part for place, part in enumerate(message.parts) if (where, place) not in dropped
        )
        if parts or not message.parts:
            kept.append(Message(message.role, parts, message.who))
    return kept
