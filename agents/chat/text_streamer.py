"""What of a reply is shown, piece by piece, while it is made."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from .chat_settings import ChatMoment, ModerationHooks


class TextStreamer:
    """Passes the text of a reply to a callback while it is generated, through the moderation
    hook, and keeps what was ``shown``: of that the callback returned normally.

    ``finish`` passes on what was not streamed: the whole text if it is one of several drafts."""

    def __init__(
        self,
        on_text: Callable[[str], None] | None,
        hooks: ModerationHooks | None = None,
        moment: ChatMoment | None = None,
    ) -> None:
        self._on_text = on_text
        self._hooks = hooks if hooks and hooks.shown else None
        self._moment = moment or ChatMoment(agent="", person="")
        self._streamed: list[str] = []
        self._shown: list[str] = []
        self._finished: tuple[str, str] | None = None

    @property
    def shown(self) -> str:
        """What was shown so far, without surrounding blanks."""
        return "".join(self._shown).strip()

    def __call__(self, piece: str) -> None:
        """Pass a piece on: an empty one too, which marks progress while drafts are generated,
        since the callback may raise to stop the reply."""
        self._streamed.append(piece)
        self._pass_on(self._filtered(piece) if piece else piece)

    def finish(self, text: str) -> str:
        """Pass on, word by word, the part of the whole text that was not streamed; returns what
        the person was shown of the text. A second call with the same text passes nothing on."""
        if self._finished and text in self._finished:
            return self._finished[1]
        streamed = "".join(self._streamed).strip()
        rest = text.removeprefix(streamed) if streamed else text
        for piece in re.findall(r"\s*\S+", rest):
            self._pass_on(self._filtered(piece))
        if self._hooks:
            self._pass_on(self._filtered("", last=True))
        shown = self.shown if self._hooks else text
        self._finished = (text, shown)
        self._streamed = [text]
        return shown

    def _filtered(self, piece: str, last: bool = False) -> str:
        if self._hooks is None:
            return piece
        return self._hooks.filter_piece(
            piece, replace(self._moment, shown="".join(self._shown), last=last)
        )

    def _pass_on(self, piece: str) -> None:
        if self._on_text:
            self._on_text(piece)
        self._shown.append(piece)
