"""Reads chat completions, whole or streamed: the answer without the model's reasoning."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...core import replace_surrogates
from .request_errors import RequestError, UnusableReply

# Marks around a model's reasoning, where the server does not remove it. Any closing mark ends any
# opening mark, since fine-tuned models mix them.
_NAMES = ("think", "thinking", "thought", "reasoning", "seed:think", "mm:think")
REASONING_OPENINGS = (
    *(f"<{name}>" for name in _NAMES),
    "[think]",
    "◁think▷",
    "<|begin_of_thought|>",
    "<|channel|>analysis<|message|>",
    "<|channel>thought",
    "<|start_thinking|>",
    "<unused94>thought",
)
REASONING_CLOSINGS = (
    *(f"</{name}>" for name in _NAMES),
    "[/think]",
    "◁/think▷",
    "<|end_of_thought|>",
    "<|channel|>final<|message|>",
    "<channel|>",
    "<|end_thinking|>",
    "<unused95>",
)
# Marks of chat templates that some servers do not remove. The answer ends at the end of its turn
# or at the beginning of another one.
TURN_ENDS = (
    *("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|endoftext|>", "<|end_of_text|>", "<|end|>"),
    *("<|return|>", "<end_of_turn>", "<｜end▁of▁sentence｜>", "<|end_response|>"),
    *("<|end_of_turn_token|>", "<|end_of_solution|>"),
)
TURN_STARTS = (
    *("<|im_start|>assistant", "<|im_start|>", "<start_of_turn>model", "<start_of_turn>"),
    *("<|start_header_id|>assistant<|end_header_id|>", "<|start_header_id|>", "<|begin_of_text|>"),
    *("<|start_response|>", "<|begin_of_solution|>", "<|start|>assistant"),
)
# These have other uses too: they are removed only at the very end and at the very beginning.
TRAILING_MARKS = ("</s>", "</answer>", "<eos>")
LEADING_MARKS = ("<answer>",)
_ALL_MARKS = sorted(
    (*REASONING_OPENINGS, *REASONING_CLOSINGS, *TURN_ENDS, *TURN_STARTS, *LEADING_MARKS),
    key=len,
    reverse=True,
)
_MARK = re.compile("|".join(map(re.escape, _ALL_MARKS)), re.IGNORECASE)
_FIRST_CHARACTERS = re.compile(f"[{re.escape(''.join({mark[0] for mark in _ALL_MARKS}))}]")
_LONGEST = max(map(len, _ALL_MARKS))
LENGTH_REASONS = ("length", "max_tokens", "model_length", "max_length", "max_output_tokens")
FILTER_REASONS = (
    "content_filter",
    "refusal",
    "safety",
    "prohibited_content",
    "recitation",
    "blocklist",
)
_QUOTES = "`\"'“‘«"
_REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking", "reasoning_details")


class ReasoningFilter:
    """Removes reasoning and marks of chat templates from text that arrives in parts.

    ``text`` is the answer so far. ``has_reasoning``: there was reasoning; ``in_reasoning``: it has
    not ended; ``unopened``: it had no opening mark; ``ended``: the end of the answer was marked.
    Text before a closing mark without an opening one is reasoning too, since some chat templates
    write the opening mark into the prompt. Marks in quotes are ordinary text. With ``begun`` the
    text starts within reasoning.

    >>> reasoning_filter = ReasoningFilter()
    >>> parts = ("<thi", "nk>Hm.</th", "ink>\\n\\nGood", " day", "!")
    >>> [reasoning_filter.feed(part) for part in parts]
    ['', '', 'Good', ' day', '!']
    """

    def __init__(self, *, begun: bool = False) -> None:
        self.has_reasoning = begun
        self.in_reasoning = begun
        self.unopened = False
        self.ended = False
        self._has_text = False  # whether the answer has any text so far
        self._earlier: list[str] = []  # the answer up to the last reasoning
        self._recent: list[str] = []  # and after it
        self._buffer = ""
        self._before = ""
        self._at_seam = begun

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join((*self._earlier, *self._recent))

    def feed(self, text: str) -> str:
        """Add text; returns the part of the answer that is now certain."""
        whole, position, emitted = self._buffer + text, 0, []
        for mark in _MARK.finditer(whole):
            if len(whole) - mark.start() < _LONGEST and _may_grow(whole[mark.start() :]):
                break
            before = whole[mark.start() - 1] if mark.start() else self._before
            if self.in_reasoning or not before or before not in _QUOTES:
                emitted.append(self._emit(whole[position : mark.start()]))
                position = mark.end() if self._handle_mark(mark.group().lower()) else mark.start()
        end = len(whole) - _held_back(whole, position)
        emitted.append(self._emit(whole[position:end]))
        self._buffer = whole[end:]
        self._before = whole[end - 1] if end else self._before
        return "".join(emitted)

    def finish(self) -> str:
        """End the text; returns the part of the answer that was held back as a possible mark."""
        rest, self._buffer = self._buffer, ""
        lower = rest.strip().lower()
        if (mark := _MARK.match(rest)) and self._handle_mark(mark.group().lower()):
            return self._emit(rest[mark.end() :])
        ending = next((mark for mark in TRAILING_MARKS if lower.endswith(mark)), "")
        return self._emit(rest.rstrip()[: -len(ending)] if ending else rest)

    def _handle_mark(self, mark: str) -> bool:
        """Process a mark; returns whether it is not part of the answer."""
        if mark in REASONING_OPENINGS or mark in REASONING_CLOSINGS:
            self._switch(mark in REASONING_CLOSINGS)
        elif not self.in_reasoning:
            if mark in LEADING_MARKS:
                return not self._has_text
            self.ended = self.ended or self._has_text or mark in TURN_ENDS
            self._at_seam = True
        return True

    def _switch(self, closing: bool) -> None:
        if closing and not self.in_reasoning:
            self._recent, self.unopened = [], True
            self._has_text = bool(self._earlier)
        self.has_reasoning = self._at_seam = True
        self.in_reasoning, self.ended = not closing, False
        self._earlier += filter(None, self._recent)
        self._recent = []

    def _emit(self, text: str) -> str:
        """Add text without marks; returns what of it belongs to the answer."""
        if self.in_reasoning or self.ended:
            return ""
        if self._at_seam and (not self._earlier or self._earlier[-1][-1].isspace()):
            text = text.lstrip()
        self._at_seam = self._at_seam and not text
        self._has_text = self._has_text or bool(text.strip())
        self._recent.append(text)
        return text


def _may_grow(text: str) -> bool:
    """Whether text that starts with a mark could become a longer mark."""
    lower = text.lower()
    return any(len(mark) > len(lower) and mark.startswith(lower) for mark in _ALL_MARKS)


def _held_back(text: str, start: int) -> int:
    """The number of last characters, from ``start`` on, that could be the beginning of a mark."""
    first = max(start, len(text) - _LONGEST)
    for position in (match.start() + first for match in _FIRST_CHARACTERS.finditer(text[first:])):
        end = text[position:].lower().rstrip()
        if any(mark.startswith(end) for mark in (*_ALL_MARKS, *TRAILING_MARKS)):
            return len(text) - position
    return 0


@dataclass(frozen=True, slots=True)
class ChatCompletion:
    """The first choice of a chat completion.

    ``text`` is without reasoning; see ``ReasoningFilter`` for the three flags. ``finish_reason`` is
    the server's word, empty where it sends none; ``stop_string`` the stop string that ended the
    text, where the server reports it; ``choice`` the JSON.
    """

    text: str
    has_reasoning: bool
    in_reasoning: bool
    unopened: bool
    finish_reason: str
    stop_string: object
    choice: dict[str, Any]

    @property
    def truncated(self) -> bool:
        """Whether it ended at the token limit."""
        return self.finish_reason in LENGTH_REASONS


def parse_chat_completion(reply: dict[str, Any], *, begun: bool = False) -> ChatCompletion:
    """The first choice of a reply.

    Raises UnusableReply where there is none or the answer was refused or filtered, RequestError
    where the server aborted it.
    """
    choice = first_choice(reply)
    message = message_of_choice(choice)
    finish_reason = str(choice.get("finish_reason") or "").lower()
    text, has_reasoning = message_text(message)
    text = replace_surrogates(text)
    if finish_reason in FILTER_REASONS:
        raise UnusableReply("refused", f"the server filtered its answer ({finish_reason})")
    if finish_reason in ("error", "abort", "aborted", "cancelled"):
        cause = str(choice.get("error") or finish_reason)[:200]
        raise RequestError("engine", f"the server ended its answer early: {cause}")
    if (refusal := message.get("refusal")) and not text.strip():
        raise UnusableReply("refused", f"the model refuses to answer: {str(refusal)[:200]}")
    closed = any(mark in text.lower() for mark in REASONING_CLOSINGS)
    reasoning_filter = ReasoningFilter(begun=begun and (closed or finish_reason in LENGTH_REASONS))
    reasoning_filter.feed(text)
    reasoning_filter.finish()
    stop_string = choice.get("stop_reason") or choice.get("matched_stop")
    has_reasoning |= reasoning_filter.has_reasoning
    finish_reason = "stop" if reasoning_filter.ended else finish_reason
    return ChatCompletion(
        reasoning_filter.text,
        has_reasoning,
        reasoning_filter.in_reasoning,
        reasoning_filter.unopened,
        finish_reason,
        stop_string,
        choice,
    )


def first_choice(reply: dict[str, Any]) -> dict[str, Any]:
    """The JSON of a reply's first choice. Raises UnusableReply where there is none."""
    choices = reply.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        choice: dict[str, Any] = choices[0]
        return choice
    raise UnusableReply("empty", f"the server's reply has no choices: {str(reply)[:200]}")


def message_of_choice(choice: dict[str, Any]) -> dict[str, Any]:
    """A choice's message; for a plain completion, its text as a message."""
    message = choice.get("message")
    return message if isinstance(message, dict) else {"content": choice.get("text")}


def error_status(error: object) -> int:
    """The HTTP status in an error object of a reply; 0 where it has none."""
    code = error.get("code") or error.get("status") if isinstance(error, dict) else 0
    return int(str(code)) if re.fullmatch("[1-5][0-9][0-9]", str(code)) else 0


def message_text(message: dict[str, Any]) -> tuple[str, bool]:
    """The text of a message or of a stream's delta, and whether it has reasoning as well."""
    text, has_reasoning = content_text(message.get("content"))
    return text, has_reasoning or bool(_reasoning(message))


def _reasoning(message: dict[str, Any]) -> object:
    """The first reasoning field of a message or delta that is not empty; None if there is none."""
    return next(filter(None, map(message.get, _REASONING_FIELDS)), None)


def content_text(content: object) -> tuple[str, bool]:
    """The text of a message's content, and whether it has reasoning.

    Content is a text, a list of parts, or JSON that the server has parsed already.

    >>> content_text([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Yes."}])
    ('Yes.', True)
    """
    if content is None:
        return "", False
    if isinstance(content, str):
        return content, False
    if not isinstance(content, list):
        is_part = isinstance(content, dict) and ("type" in content or "text" in content)
        if not is_part:
            return json.dumps(content, ensure_ascii=False), False
        content = [content]
    texts, has_reasoning = [], False
    for part in content:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict):
            kind = str(part.get("type") or "text")
            is_reasoning = "think" in kind or "reason" in kind
            if "text" in kind and not is_reasoning:
                text = part.get("text")
                texts.append(str(text.get("value", "") if isinstance(text, dict) else text or ""))
            has_reasoning |= is_reasoning
    return "".join(texts), has_reasoning


DONE_MARK = "[DONE]"
BOM = b"\xef\xbb\xbf"


class SSEDecoder:
    """Decodes the data of server-sent events.

    Format: https://html.spec.whatwg.org/multipage/server-sent-events.html. Comments, ids, event
    names and events without data, which keep a connection open, are skipped. Lines end at
    ``\\n``, ``\\r\\n`` or ``\\r`` only.

    >>> list(SSEDecoder().feed(b": ping\\n\\nid: 7\\n\\ndata: {}\\n\\ndata: [DO"))
    ['{}']
    """

    def __init__(self) -> None:
        self._rest = b""
        self._begun = False
        self._data: list[str] = []

    def feed(self, data: bytes) -> list[str]:
        """Add bytes; returns the data of the events that they complete."""
        events = []
        text = self._rest + data
        if not self._begun and len(text) < len(BOM):
            self._rest = text
            return []
        text = text if self._begun else text.removeprefix(BOM)
        self._begun = True
        # A final \r may be the first half of \r\n.
        carriage_return = text[-1:] if text.endswith(b"\r") else b""
        text = text[: len(text) - len(carriage_return)]
        lines = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = lines.pop() + carriage_return
        for line in lines:
            events += self._line(line)
        return events

    def finish(self) -> list[str]:
        """End the stream; returns the data of a last event that lacks its empty line."""
        return self.feed(b"\n\n") if self._rest else self._line(b"")

    def _line(self, line: bytes) -> list[str]:
        if not line:
            data, self._data = self._data, []
            return _event_data(data)
        name, _, value = line.decode("utf-8", "replace").partition(":")
        if name == "data":
            self._data.append(value.removeprefix(" "))
        return []


def _event_data(lines: list[str]) -> list[str]:
    """The data of one event, or of several where a server omits the empty lines between them."""
    lines = [line for line in lines if line.strip()]
    if len(lines) < 2:
        return lines
    try:
        json.loads("\n".join(lines))
    except ValueError:
        return lines
    return ["\n".join(lines)]


class ChatStreamReader:
    """Assembles a chat completion from its stream and passes on its text as it arrives.

    ``on_text`` returns True to stop reading. ``error_of`` converts an error object in the stream.
    ``address`` is the server's, for messages.
    """

    def __init__(
        self,
        address: str,
        on_text: Callable[[str], bool],
        error_of: Callable[[object], RequestError],
    ) -> None:
        self._address = address
        self._on_text = on_text
        self._error_of = error_of
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
        """All text so far, including reasoning."""
        return "".join((*self._reasoning, *self._texts))

    async def read(self, chunks: AsyncIterator[bytes]) -> dict[str, Any]:
        """The JSON of the completion, as it is without streaming. Raises RequestError where the
        stream ends before the answer."""
        decoder = SSEDecoder()
        async for chunk in chunks:
            for data in decoder.feed(chunk):
                if not self.done:
                    self._handle_event(data)
            if self.done:
                break
        for data in decoder.finish():
            if not self.done:
                self._handle_event(data)
        if not self.done and not self._choice.get("finish_reason"):
            raise RequestError("engine", f"{self._address} ended its answer early; try again")
        return self.reply()

    def reply(self) -> dict[str, Any]:
        """The JSON of the completion so far."""
        message: dict[str, Any] = {"content": "".join(self._texts), "refusal": self._refusal}
        message["reasoning"] = "".join(self._reasoning)
        return {"choices": [{**self._choice, "message": message}], "usage": self.usage}

    def _join_surrogates(self, text: str, last: bool) -> str:
        """Text with surrogate pairs joined: some servers send the halves in two chunks."""
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
                "engine", f"{self._address} sent an unreadable reply: {error}"
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
            # Perplexity sends the whole text so far as a message beside each delta.
            delta = choice.get("message")
        delta = delta if isinstance(delta, dict) else {"content": choice.get("text")}
        text, has_reasoning = message_text(delta)
        text = self._join_surrogates(text, last=bool(choice.get("finish_reason")))
        if has_reasoning:
            reasoning = _reasoning(delta)
            self._reasoning.append(reasoning if isinstance(reasoning, str) else " ")
        self._refusal += str(delta.get("refusal") or "")
        if text:
            self._texts.append(text)
            self.stopped = self._on_text(text) or self.stopped
            self.done = self.done or self.stopped
        fields = {
            key: value for key, value in choice.items() if key != "delta" and value is not None
        }
        self._choice |= fields


class AnswerFilter:
    """Passes the answer of a stream to ``on_text``: without reasoning, up to the first stop string.

    ``has_output``: some text was passed. With ``begun`` the stream starts within reasoning.

    >>> texts = []
    >>> answer = AnswerFilter(texts.append, ("\\n",))
    >>> answer.feed("<think>a\\nb</think>\\n\\nGood"), answer.feed(" day\\nBo:")
    (False, True)
    >>> texts
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

    def feed(self, text: str) -> bool:
        """Add text of the stream; returns whether a stop string has ended the answer."""
        if not self._ended:
            self._push(self._filter.feed(text))
        return self._ended

    def finish(self) -> None:
        """End the stream: pass on the text that was held back."""
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
    """The text before the first stop string, and whether there is one.

    >>> cut_at_stop("Good day. Bo: yes", ("Bo:", "\\n"))
    ('Good day. ', True)
    """
    positions = [position for stop in stops if stop and (position := text.find(stop)) >= 0]
    return (text[: min(positions)], True) if positions else (text, False)


def _stop_prefix_length(text: str, stops: Sequence[str]) -> int:
    """The number of last characters that could be the beginning of a stop string."""
    longest = max(map(len, stops), default=1) - 1
    for length in range(min(longest, len(text)), 0, -1):
        if any(stop.startswith(text[-length:]) for stop in stops):
            return length
    return 0
