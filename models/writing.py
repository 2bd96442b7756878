"""A Generate on its way: its tokens, its text, what it may write next, when it ends."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..core import Answer, Completion, ContextTooLong, Delta, Failed, Generate, Ticket
from .grammar import Grammars, Matcher
from .prompts import Prompt, Prompter
from .sampling import Draw, Guard, Restraint, Runs


@dataclass(frozen=True, slots=True)
class Voice:
    """How the loaded model writes: its tokenizer, where it ends, what it may not write."""

    tokenizer: Any
    ends: frozenset[int]
    control: tuple[int, ...]
    breaks: frozenset[int]
    guard: Guard
    grammars: Grammars

    def text(self, ids: Sequence[int]) -> str:
        """Decoded without control tokens."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))


@dataclass(slots=True)
class Writer:
    """What has been written of one Generate.

    The text grows by what the last few tokens add to it; only the end decodes it whole.
    """

    ask: Generate
    prompt: Prompt
    matcher: Matcher | None
    voice: Voice
    written: list[int] = field(default_factory=list)
    text: str = ""
    sent: int = 0
    runs: Runs | None = None
    copies: Runs | None = None
    worn: set[int] = field(default_factory=set)
    read: int = 0
    settled: int = 0

    @classmethod
    def begin(cls, ask: Generate, prompter: Prompter, voice: Voice) -> Writer:
        """Raises ContextTooLong, SchemaFault."""
        if ask.max_tokens < 1:
            raise ContextTooLong(f"max_tokens is {ask.max_tokens}; ask for at least 1")
        prompt = prompter.fit(ask.messages, ask.max_tokens)
        matcher = None
        if ask.schema is not None:
            matcher = voice.grammars.matcher(ask.schema, ask.max_tokens)
        size = voice.guard.repeat
        return cls(ask, prompt, matcher, voice, runs=Runs(size) if size else None)

    @property
    def draw(self) -> Draw:
        """How the next token is drawn."""
        ask = self.ask
        return Draw(ask.temperature, ask.top_p, ask.seed, len(self.written), ask.top_k, ask.min_p)

    def restraint(self) -> Restraint:
        """What the next token may not be; a grammar says that by itself."""
        guard, ends = self.voice.guard, self.voice.ends
        if not self.written:
            # An empty line is no answer: the first token is neither the end nor a stop.
            blank = set(ends)
            if any(stop.startswith("\n") for stop in self.ask.stop):
                blank |= self.voice.breaks
            return Restraint(blank)
        never = set() if self.runs is None else set(self.runs.closing())
        if 0 < guard.echo <= len(self.written) + 1:
            if self.copies is None:
                self.copies = Runs(guard.echo, self.prompt.ids)
            never |= self.copies.after(self.written)
        own = self.ask.repetition_penalty
        penalty = guard.penalty if own is None else own
        return Restraint(never - ends, self.worn, penalty)

    def forced(self) -> list[int]:
        """Tokens that the grammar leaves no choice about, as many as may still be written."""
        if self.matcher is None:
            return []
        return self.matcher.forced()[: self.ask.max_tokens - len(self.written)]

    def go_on(self, token: int, ticket: Ticket, out: list[Any]) -> Answer | None:
        """Take a token, and those that the grammar forces behind it."""
        answer = self.take(token, ticket, out)
        for forced in self.forced() if answer is None else ():
            answer = self.take(forced, ticket, out)
            if answer is not None:
                break
        return answer

    def take(self, token: int, ticket: Ticket, out: list[Any]) -> Answer | None:
        """Go on by a token. Streamed text is added to ``out``; the answer once complete."""
        ended = token in self.voice.ends
        if not ended:
            self.written.append(token)
            self.worn.add(token)
            if self.runs is not None:
                self.runs.add(token)
        if self.matcher is not None:
            ended = self.matcher.take(token) or ended
        if not ended and (self.ask.stop or self.ask.stream):
            self._extend()
        finished = ended or len(self.written) >= self.ask.max_tokens
        if finished:
            self.text = self.voice.text(self.written)
        cut = min((at for stop in self.ask.stop if (at := self._find(stop)) >= 0), default=-1)
        if cut >= 0:
            # Whole once more: the pieces may have been put together otherwise.
            self.text = self.voice.text(self.written)
            cut = min((at for stop in self.ask.stop if (at := self._find(stop)) >= 0), default=-1)
        finished = finished or cut >= 0
        if cut >= 0:
            self.text = self.text[:cut]
        if self.ask.stream:
            self._stream(ticket, finished, out)
        if not finished:
            return None
        return self._answer("stop" if cut >= 0 else "end" if ended else "limit")

    def _find(self, stop: str) -> int:
        return self.text.find(stop) if stop else -1

    def _extend(self) -> None:
        """Add to the text what the new tokens say, once no character of it is half there."""
        before = self.voice.text(self.written[self.settled : self.read])
        after = self.voice.text(self.written[self.settled :])
        if len(after) > len(before) and not after.endswith("\ufffd"):
            self.text += after[len(before) :]
            self.settled, self.read = self.read, len(self.written)

    def _stream(self, ticket: Ticket, finished: bool, out: list[Any]) -> None:
        """Send what can no longer change: no half of a stop."""
        ready = len(self.text)
        if not finished:
            ready -= max((len(stop) for stop in self.ask.stop if stop), default=1) - 1
        if ready > self.sent:
            out.append(Delta(ticket, self.text[self.sent : ready]))
            self.sent = ready

    def _answer(self, stopped: Any) -> Answer:
        data = None
        if self.matcher is not None:
            try:
                data = json.loads(self.text)
            except ValueError:
                detail = f"the JSON was not complete after {len(self.written)} tokens"
                return Failed(
                    reason="limit", detail=f"{detail}: {self.text[-80:]!r}; raise max_tokens"
                )
        return Completion(
            text=self.text,
            data=data,
            tokens_in=len(self.prompt.ids),
            tokens_out=len(self.written),
            stopped=stopped,
            dropped=self.prompt.dropped,
        )
