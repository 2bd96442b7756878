"""What a server's reply says: its text without the model's reasoning, its end, its faults."""

from __future__ import annotations

import json
import re
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
