"""What a server's reply says: its text without the model's reasoning, its end, its faults."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from .remote_faults import Fault, Unusable, fault_of_status

# What models write around their reasoning where the server does not take it out. Any closing
# mark ends what any opening mark began, since fine-tuned models mix them.
_NAMES = ("think", "thinking", "thought", "reasoning", "seed:think", "mm:think")
OPENINGS = (
    *(f"<{name}>" for name in _NAMES),
    "[think]",
    "◁think▷",
    "<|begin_of_thought|>",
    "<|channel|>analysis<|message|>",
    "<|channel>thought",
)
CLOSINGS = (
    *(f"</{name}>" for name in _NAMES),
    "[/think]",
    "◁/think▷",
    "<|end_of_thought|>",
    "<|channel|>final<|message|>",
    "<channel|>",
)
_MARK = re.compile("|".join(map(re.escape, OPENINGS + CLOSINGS)), re.IGNORECASE)
_LONGEST = max(map(len, OPENINGS + CLOSINGS))
_QUOTES = "`\"'“‘«"
_REASONING = ("reasoning_content", "reasoning", "thinking", "reasoning_details")


class ReasoningFilter:
    """Takes a model's reasoning out of text that arrives piece by piece.

    ``text`` is the answer so far, ``reasoned`` whether there was reasoning, ``hidden`` whether
    the text is amid it, ``unopened`` whether only its end was marked. A mark in quotes is a
    mark that somebody talks about. Where a closing mark has no opening one, what stood before
    it was reasoning too: some chat templates write the opening mark into the prompt.
    ``begun``: start amid the reasoning.

    >>> made = ReasoningFilter()
    >>> [made.feed(piece) for piece in ("<thi", "nk>Hm.</th", "ink>\\n\\nGood", " day", "!")]
    ['', '', 'Good', ' day', '!']
    """

    def __init__(self, *, begun: bool = False) -> None:
        self.reasoned = begun
        self.hidden = begun
        self.unopened = False
        self._done: list[str] = []  # the answer up to the last reasoning
        self._since: list[str] = []  # and after it
        self._buffer = ""
        self._before = ""
        self._at_seam = begun

    @property
    def text(self) -> str:
        """The answer as far as it is known."""
        return "".join((*self._done, *self._since))

    def feed(self, piece: str) -> str:
        """Take a piece of text in; what of it belongs to the answer."""
        whole, at, shown = self._buffer + piece, 0, []
        for mark in _MARK.finditer(whole):
            before = whole[mark.start() - 1] if mark.start() else self._before
            if self.hidden or not before or before not in _QUOTES:
                shown.append(self._pass(whole[at : mark.start()]))
                self._turn(mark.group().lower() in CLOSINGS)
                at = mark.end()
        end = len(whole) - _held(whole, at)
        shown.append(self._pass(whole[at:end]))
        self._buffer = whole[end:]
        self._before = whole[end - 1] if end else self._before
        return "".join(shown)

    def finish(self) -> str:
        """The text is over; what was held back for it might have become a mark."""
        rest, self._buffer = self._buffer, ""
        return self._pass(rest)

    def _turn(self, closing: bool) -> None:
        if closing and not self.hidden:
            self._since, self.unopened = [], True
        self.reasoned = self._at_seam = True
        self.hidden = not closing
        self._done += filter(None, self._since)
        self._since = []

    def _pass(self, taken: str) -> str:
        """Take text without marks; what of it is shown."""
        if self.hidden:
            return ""
        if self._at_seam and (not self._done or self._done[-1][-1].isspace()):
            taken = taken.lstrip()
        self._at_seam = self._at_seam and not taken
        self._since.append(taken)
        return taken


def _held(text: str, start: int) -> int:
    """How many of the last characters, from ``start`` on, may be the beginning of a mark."""
    for length in range(min(_LONGEST - 1, len(text) - start), 0, -1):
        end = text[-length:].lower()
        if any(mark.startswith(end) for mark in OPENINGS + CLOSINGS):
            return length
    return 0


@dataclass(frozen=True, slots=True)
class Reply:
    """A chat completion as it was read. ``finish`` is why it ended, in the server's word
    (empty: not told); ``stopped_at`` the stop string, where the server tells it; ``choice``
    the JSON it was read from. ``reasoned``: there was reasoning, ``hidden``: it ended amid it,
    ``unopened``: nothing marked where it began."""

    text: str
    reasoned: bool
    hidden: bool
    unopened: bool
    finish: str
    stopped_at: object
    choice: dict[str, Any]

    @property
    def cut(self) -> bool:
        """Whether it ended at the limit of tokens."""
        return self.finish in ("length", "max_tokens")


def read_reply(reply: dict[str, Any], *, begun: bool = False) -> Reply:
    """The first choice of a chat completion. Raises Fault when it has none, was refused or
    withheld."""
    choice = first_choice(reply)
    message = choice.get("message")
    message = message if isinstance(message, dict) else {"content": choice.get("text")}
    finish = str(choice.get("finish_reason") or "")
    written, reasoned = message_text(message)
    if finish in ("content_filter", "refusal", "safety"):
        raise Unusable("refused", f"the server withheld its answer ({finish})")
    if finish == "error":
        raise Fault("engine", f"the server broke off its answer: {str(choice.get('error'))[:200]}")
    if (refusal := message.get("refusal")) and not written.strip():
        raise Unusable("refused", f"the model refuses to answer: {str(refusal)[:200]}")
    ended = any(mark in written.lower() for mark in CLOSINGS)
    reading = ReasoningFilter(begun=begun and (ended or finish == "length"))
    reading.feed(written)
    reading.finish()
    stopped_at = choice.get("stop_reason") or choice.get("matched_stop")
    reasoned |= reading.reasoned
    return Reply(
        reading.text, reasoned, reading.hidden, reading.unopened, finish, stopped_at, choice
    )


def first_choice(reply: dict[str, Any]) -> dict[str, Any]:
    """The first of a reply's choices. Raises Fault when there is none, with the error that
    some gateways send in its place."""
    choices = reply.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        found: dict[str, Any] = choices[0]
        return found
    if error := reply.get("error"):
        raise error_fault(error)
    raise Unusable("empty", f"the server's reply has no choices: {str(reply)[:200]}")


def error_fault(error: object) -> Fault:
    """The Fault of an error that a server tells inside a reply which is none."""
    if not isinstance(error, dict):
        return Fault("engine", f"the server answered with an error: {str(error)[:200]}")
    said = str(error.get("message") or error)[:300]
    status = error.get("code") or error.get("status") or 0
    status = int(status) if str(status).isdigit() else 0
    return fault_of_status(status, f"the server answered with an error {status or ''}: {said}")


def message_text(message: dict[str, Any]) -> tuple[str, bool]:
    """The text of a message or of a stream's delta, and whether the server tells reasoning
    beside it."""
    text, reasoned = content_text(message.get("content"))
    return text, reasoned or any(message.get(name) for name in _REASONING)


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
