"""A chat completion that arrives piece by piece: server-sent events, read leniently.

The text of a stream as it may be shown: without reasoning, up to the first stop string.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from ...core import replace_surrogates
from .chat_completion import ReasoningFilter, message_text
from .request_errors import RequestError

DONE_MARK = "[DONE]"
BOM = b"\xef\xbb\xbf"


class SSEDecoder:
    """The data of server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

    Comments, ids, event names and events without data, which servers send to keep a connection
    open, are passed over. Lines end at ``\\n``, ``\\r\\n`` or ``\\r`` and nowhere else, so a
    text may hold any other character.

    >>> list(SSEDecoder().feed(b": ping\\n\\nid: 7\\n\\ndata: {}\\n\\ndata: [DO"))
    ['{}']
    """

    def __init__(self) -> None:
        self._rest = b""
        self._begun = False
        self._data: list[str] = []

    def feed(self, piece: bytes) -> list[str]:
        """Take bytes in; the data of the events that they complete."""
        found = []
        whole = self._rest + piece
        if not self._begun and len(whole) < len(BOM):
            self._rest = whole
            return []
        whole = whole if self._begun else whole.removeprefix(BOM)
        self._begun = True
        # A last \r may be the first half of a line's end.
        held = whole[-1:] if whole.endswith(b"\r") else b""
        whole = whole[: len(whole) - len(held)]
        lines = whole.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = lines.pop() + held
        for line in lines:
            found += self._line(line)
        return found

    def finish(self) -> list[str]:
        """The stream is over; the last event may lack its empty line."""
        found = self.feed(b"\n\n") if self._rest else self._line(b"")
        return found

    def _line(self, line: bytes) -> list[str]:
        if not line:
            data, self._data = self._data, []
            return _event_data(data)
        name, _, value = line.decode("utf-8", "replace").partition(":")
        if name == "data":
            self._data.append(value.removeprefix(" "))
        return []


def _event_data(lines: list[str]) -> list[str]:
    """The data of an event; of several where a server leaves out the empty lines between."""
    lines = [line for line in lines if line.strip()]
    if len(lines) < 2:
        return lines
    try:
        json.loads("\n".join(lines))
    except ValueError:
        return lines
    return ["\n".join(lines)]


class ChatStreamReader:
    """Puts a chat completion together from its chunks and tells its text as it comes.

    ``tell`` returns whether that was enough: then no more is read. ``fault`` reads an error
    that the server sends in the stream."""

    def __init__(
        self, address: str, tell: Callable[[str], bool], fault: Callable[[object], RequestError]
    ) -> None:
        self._address = address
        self._on_text = tell
        self._error_of = fault
        self._texts: list[str] = []
        self._reasoning: list[str] = []
        self._refusal = ""
        self._half_character = ""
        self._choice: dict[str, Any] = {}
        self.usage: Any = None
        self.done = False
        self.stopped = False

    @property
    def written(self) -> str:
        """All text so far, reasoning too."""
        return "".join((*self._reasoning, *self._texts))

    async def read(self, pieces: AsyncIterator[bytes]) -> dict[str, Any]:
        """The completion's JSON, as it is without streaming. Raises RequestError when the stream
        ends
        before the answer does."""
        events = SSEDecoder()
        async for piece in pieces:
            for data in events.feed(piece):
                if not self.done:
                    self._handle_event(data)
            if self.done:
                break
        for data in events.finish():
            if not self.done:
                self._handle_event(data)
        if not self.done and not self._choice.get("finish_reason"):
            raise RequestError("engine", f"{self._address} broke off its answer; ask again")
        return self.reply()

    def reply(self) -> dict[str, Any]:
        """What has arrived, as the JSON of a chat completion."""
        message: dict[str, Any] = {"content": "".join(self._texts), "refusal": self._refusal}
        message["reasoning"] = "".join(self._reasoning)
        return {"choices": [{**self._choice, "message": message}], "usage": self.usage}

    def _join_surrogates(self, text: str, last: bool) -> str:
        """Text without half a character: some servers send the halves in two chunks."""
        text, self._half_character = self._half_character + text, ""
        if not last and text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half_character = text[:-1], text[-1]
        return replace_surrogates(text)

    def _handle_event(self, data: str) -> None:
        if data.strip().startswith(DONE_MARK):
            self.done = True
            return
        try:
            chunk = json.loads(data)
        except ValueError as error:
            raise RequestError(
                "engine", f"{self._address} sent what cannot be read: {error}"
            ) from error
        if not isinstance(chunk, dict):
            return
        if chunk.get("error"):
            raise self._error_of(chunk["error"])
        self.usage = chunk.get("usage") or self.usage
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else []:
            if isinstance(choice, dict) and not choice.get("index"):
                self._add_choice(choice)

    def _add_choice(self, choice: dict[str, Any]) -> None:
        delta = choice.get("delta")
        if not delta and not self._texts:
            # Beside deltas, a message is what Perplexity repeats of all so far.
            delta = choice.get("message")
        delta = delta if isinstance(delta, dict) else {"content": choice.get("text")}
        text, reasoned = message_text(delta)
        text = self._join_surrogates(text, last=bool(choice.get("finish_reason")))
        if reasoned:
            reasoning = delta.get("reasoning_content") or delta.get("reasoning")
            self._reasoning.append(reasoning if isinstance(reasoning, str) else " ")
        self._refusal += str(delta.get("refusal") or "")
        if text:
            self._texts.append(text)
            self.stopped = self._on_text(text) or self.stopped
            self.done = self.done or self.stopped
        kept = {key: value for key, value in choice.items() if key != "delta" and value is not None}
        self._choice |= kept


class AnswerFilter:
    """Tells ``measure_text_facts`` what of a stream's text belongs to the answer, as soon as that
    is sure.

    ``has_output`` says whether anything was told. ``begun``: the text begins amid reasoning.

    >>> pieces = []
    >>> speech = AnswerFilter(pieces.append, ("\\n",))
    >>> speech.feed("<think>a\\nb</think>\\n\\nGood"), speech.feed(" day\\nBo:")
    (False, True)
    >>> pieces
    ['Good', ' day']
    """

    def __init__(
        self,
        on_text: Callable[[str], None] | None,
        stops: Sequence[str] = (),
        *,
        begun: bool = False,
    ) -> None:
        self.has_output = False
        self._on_text = on_text
        self._stops = tuple(stop for stop in stops if stop)
        self._filter = ReasoningFilter(begun=begun)
        self._held_back = ""
        self._ended = False

    def feed(self, piece: str) -> bool:
        """Take a piece of the stream in; whether a stop string was met, so that no more of it
        is wanted."""
        if not self._ended:
            self._push(self._filter.feed(piece))
        return self._ended

    def finish(self) -> None:
        """The stream is over: tell what was held back."""
        if not self._ended:
            self._push(self._filter.finish())
            self._emit(self._held_back)

    def _push(self, text: str) -> None:
        text, self._ended = cut_at_stop(self._held_back + text, self._stops)
        length = 0 if self._ended else _stop_prefix_length(text, self._stops)
        self._held_back = text[len(text) - length :]
        self._emit(text[: len(text) - length])

    def _emit(self, text: str) -> None:
        if text and self._on_text is not None:
            self.has_output = True
            self._on_text(text)


def cut_at_stop(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    """The text before the first stop string in it, and whether there is one.

    >>> cut_at_stop("Good day. Bo: yes", ("Bo:", "\\n"))
    ('Good day. ', True)
    """
    places = [place for stop in stops if stop and (place := text.find(stop)) >= 0]
    return (text[: min(places)], True) if places else (text, False)


def _stop_prefix_length(text: str, stops: Sequence[str]) -> int:
    """How many of the last characters may be the beginning of a stop string."""
    longest = max(map(len, stops), default=1) - 1
    for length in range(min(longest, len(text)), 0, -1):
        if any(stop.startswith(text[-length:]) for stop in stops):
            return length
    return 0
