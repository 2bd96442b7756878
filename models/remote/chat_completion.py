"""What a server's reply says: its text without the model's reasoning, its end, its faults."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...core import replace_surrogates
from .request_errors import RequestError, UnusableReply

# What models write around their reasoning where the server does not take it out. Any closing
# mark ends what any opening mark began, since fine-tuned models mix them.
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
# What ends or begins a turn in chat templates, where a server lets it through. Behind the end of
# an answer, or at the beginning of another turn, nothing is the answer's any more.
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
TRAILING_MARKS = (
    "</s>",
    "</answer>",
    "<eos>",
)  # left out at the very end alone, for they have other uses
LEADING_MARKS = ("<answer>",)  # and this at the very beginning
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
    """Takes a model's reasoning, and what chat templates write around turns, out of text that
    arrives piece by piece.

    ``text`` is the answer so far, ``has_reasoning`` whether there was reasoning, ``in_reasoning``
    whether
    the text is amid it, ``ended`` whether the answer's end was marked, ``unopened`` whether only
    the reasoning's end was. A mark in quotes is a mark that somebody talks about. Where a
    closing mark has no opening one, what stood before it was reasoning too: some chat templates
    write the opening mark into the prompt.
    ``begun``: start amid the reasoning.

    >>> made = ReasoningFilter()
    >>> [made.feed(piece) for piece in ("<thi", "nk>Hm.</th", "ink>\\n\\nGood", " day", "!")]
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
        """The answer as far as it is known."""
        return "".join((*self._earlier, *self._recent))

    def feed(self, piece: str) -> str:
        """Take a piece of text in; what of it belongs to the answer."""
        whole, at, shown = self._buffer + piece, 0, []
        for mark in _MARK.finditer(whole):
            if len(whole) - mark.start() < _LONGEST and _may_grow(whole[mark.start() :]):
                break
            before = whole[mark.start() - 1] if mark.start() else self._before
            if self.in_reasoning or not before or before not in _QUOTES:
                shown.append(self._emit(whole[at : mark.start()]))
                at = mark.end() if self._handle_mark(mark.group().lower()) else mark.start()
        end = len(whole) - _held_back(whole, at)
        shown.append(self._emit(whole[at:end]))
        self._buffer = whole[end:]
        self._before = whole[end - 1] if end else self._before
        return "".join(shown)

    def finish(self) -> str:
        """The text is over; what was held back for it might have become a mark."""
        rest, self._buffer = self._buffer, ""
        lower = rest.strip().lower()
        if (mark := _MARK.match(rest)) and self._handle_mark(mark.group().lower()):
            return self._emit(rest[mark.end() :])
        ending = next((mark for mark in TRAILING_MARKS if lower.endswith(mark)), "")
        return self._emit(rest.rstrip()[: -len(ending)] if ending else rest)

    def _handle_mark(self, mark: str) -> bool:
        """Take a mark in; whether it is none of the answer's text."""
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

    def _emit(self, taken: str) -> str:
        """Take text without marks; what of it is shown."""
        if self.in_reasoning or self.ended:
            return ""
        if self._at_seam and (not self._earlier or self._earlier[-1][-1].isspace()):
            taken = taken.lstrip()
        self._at_seam = self._at_seam and not taken
        self._has_text = self._has_text or bool(taken.strip())
        self._recent.append(taken)
        return taken


def _may_grow(text: str) -> bool:
    """Whether a text that begins with a mark may become a longer one."""
    lower = text.lower()
    return any(len(mark) > len(lower) and mark.startswith(lower) for mark in _ALL_MARKS)


def _held_back(text: str, start: int) -> int:
    """How many of the last characters, from ``start`` on, may be the beginning of a mark."""
    first = max(start, len(text) - _LONGEST)
    for place in (found.start() + first for found in _FIRST_CHARACTERS.finditer(text[first:])):
        end = text[place:].lower().rstrip()
        if any(mark.startswith(end) for mark in (*_ALL_MARKS, *TRAILING_MARKS)):
            return len(text) - place
    return 0


@dataclass(frozen=True, slots=True)
class ChatCompletion:
    """A chat completion as it was read. ``finish_reason`` is why it ended, in the server's word
    (empty: not told); ``stop_string`` the stop string, where the server tells it; ``choice``
    the JSON it was read from. ``has_reasoning``: there was reasoning, ``in_reasoning``: it ended
    amid it,
    ``unopened``: nothing marked where it began."""

    text: str
    has_reasoning: bool
    in_reasoning: bool
    unopened: bool
    finish_reason: str
    stop_string: object
    choice: dict[str, Any]

    @property
    def truncated(self) -> bool:
        """Whether it ended at the limit of tokens."""
        return self.finish_reason in LENGTH_REASONS


def parse_chat_completion(reply: dict[str, Any], *, begun: bool = False) -> ChatCompletion:
    """The first choice of a chat completion. Raises RequestError when it has none, was refused or
    withheld."""
    choice = first_choice(reply)
    message = message_of_choice(choice)
    finish = str(choice.get("finish_reason") or "").lower()
    written, reasoned = message_text(message)
    written = replace_surrogates(written)
    if finish in FILTER_REASONS:
        raise UnusableReply("refused", f"the server withheld its answer ({finish})")
    if finish in ("error", "abort", "aborted", "cancelled"):
        why = str(choice.get("error") or finish)[:200]
        raise RequestError("engine", f"the server broke off its answer: {why}")
    if (refusal := message.get("refusal")) and not written.strip():
        raise UnusableReply("refused", f"the model refuses to answer: {str(refusal)[:200]}")
    ended = any(mark in written.lower() for mark in REASONING_CLOSINGS)
    reading = ReasoningFilter(begun=begun and (ended or finish in LENGTH_REASONS))
    reading.feed(written)
    reading.finish()
    stopped_at = choice.get("stop_reason") or choice.get("matched_stop")
    reasoned |= reading.has_reasoning
    finish = "stop" if reading.ended else finish
    return ChatCompletion(
        reading.text, reasoned, reading.in_reasoning, reading.unopened, finish, stopped_at, choice
    )


def first_choice(reply: dict[str, Any]) -> dict[str, Any]:
    """The first of a reply's choices. Raises RequestError when there is none."""
    choices = reply.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        found: dict[str, Any] = choices[0]
        return found
    raise UnusableReply("empty", f"the server's reply has no choices: {str(reply)[:200]}")


def message_of_choice(choice: dict[str, Any]) -> dict[str, Any]:
    """A choice's message; of a plain completion its text as one."""
    message = choice.get("message")
    return message if isinstance(message, dict) else {"content": choice.get("text")}


def error_status(error: object) -> int:
    """The HTTP status that an error inside a reply tells; 0 where it tells none."""
    code = error.get("code") or error.get("status") if isinstance(error, dict) else 0
    return int(str(code)) if re.fullmatch("[1-5][0-9][0-9]", str(code)) else 0


def message_text(message: dict[str, Any]) -> tuple[str, bool]:
    """The text of a message or of a stream's delta, and whether the server tells reasoning
    beside it."""
    text, reasoned = content_text(message.get("content"))
    return text, reasoned or any(message.get(name) for name in _REASONING_FIELDS)


def content_text(content: object) -> tuple[str, bool]:
    """The text of a message's content, and whether it holds reasoning: a text, a list of
    parts, or JSON that a server has parsed already.

    >>> content_text([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Yes."}])
    ('Yes.', True)
    """
    if content is None:
        return "", False
    if isinstance(content, str):
        return content, False
    if not isinstance(content, list):
        parted = isinstance(content, dict) and ("type" in content or "text" in content)
        if not parted:
            return json.dumps(content, ensure_ascii=False), False
        content = [content]
    texts, reasoned = [], False
    for part in content:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict):
            kind = str(part.get("type") or "text")
            thought = "think" in kind or "reason" in kind
            if "text" in kind and not thought:
                text = part.get("text")
                texts.append(str(text.get("value", "") if isinstance(text, dict) else text or ""))
            reasoned |= thought
    return "".join(texts), reasoned


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
