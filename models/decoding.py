"""The decode loop: requests join and leave a running batch between tokens."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ..core import Answer, Completion, ContextTooLong, Delta, Done, Failed, Generate, Ticket
from .cache import Batch, join
from .grammar import Grammars, Matcher, SchemaFault
from .net import Net
from .prompts import Prompt, Prompter
from .sampling import Draw, Guard, banned, pick


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
class Row:
    """A Generate on its way."""

    ticket: Ticket
    ask: Generate
    prompt: Prompt
    matcher: Matcher | None
    written: list[int] = field(default_factory=list)
    sent: int = 0


class Decoding:
    """The running batch of one client."""

    def __init__(self, net: Net, prompter: Prompter, voice: Voice) -> None:
        self._net = net
        self._prompter = prompter
        self._voice = voice
        self._rows: list[Row] = []
        self._batch: Batch | None = None
        self._logits: Any = None

    def __len__(self) -> int:
        return len(self._rows)

    @torch.inference_mode()
    def admit(self, asks: Sequence[tuple[Ticket, Generate]]) -> list[Done]:
        """Prefill and let join; what fails at once is answered here."""
        failed: list[Done] = []
        rows: list[Row] = []
        logits, batches = [], []
        for ticket, ask in asks:
            try:
                row = self._row(ticket, ask)
                first, batch = self._net.prefill(row.prompt.ids)
            except ContextTooLong as error:
                failed.append(Done(ticket, Failed(reason="context_too_long", detail=str(error))))
            except SchemaFault as error:
                failed.append(Done(ticket, Failed(reason="schema", detail=str(error))))
            except RuntimeError as error:
                failed.append(
                    Done(ticket, Failed(reason="engine", detail=f"{type(error).__name__}: {error}"))
                )
            else:
                rows.append(row)
                logits.append(first)
                batches.append(batch)
        if rows:
            old = [] if self._batch is None else [self._batch]
            earlier = [] if self._batch is None else [self._logits]
            self._batch = join([*old, *batches])
            self._logits = torch.cat([*earlier, *logits])
            self._rows += rows
        return failed

    @torch.inference_mode()
    def step(self) -> list[Delta | Done]:
        """Write one token in every row; the deltas and the answers it completes."""
        out: list[Delta | Done] = []
        tokens = self._pick()
        staying: list[int] = []
        for place, (row, token) in enumerate(zip(self._rows, tokens)):
            answer = self._take(row, token, out)
            if answer is None:
                staying.append(place)
            else:
                out.append(Done(row.ticket, answer))
        self._shrink(staying)
        if self._batch is not None:
            try:
                self._logits = self._net.step(self._batch, [tokens[place] for place in staying])
            except RuntimeError as error:
                fault = Failed(reason="engine", detail=f"{type(error).__name__}: {error}")
                out += [Done(row.ticket, fault) for row in self._rows]
                self._shrink([])
        return out

    @torch.inference_mode()
    def cancel(self, ticket: Ticket) -> None:
        """Take a row out."""
        staying = [i for i, row in enumerate(self._rows) if row.ticket != ticket]
        if len(staying) < len(self._rows):
            self._logits = self._logits[staying]
            self._shrink(staying)

    def _row(self, ticket: Ticket, ask: Generate) -> Row:
        if ask.max_tokens < 1:
            raise ContextTooLong(f"max_tokens is {ask.max_tokens}; ask for at least 1")
        prompt = self._prompter.fit(ask.messages, ask.max_tokens)
        matcher = None if ask.schema is None else self._voice.grammars.matcher(ask.schema)
        return Row(ticket, ask, prompt, matcher)

    def _pick(self) -> list[int]:
        logits = self._logits
        logits[:, list(self._voice.control)] = float("-inf")
        for place, row in enumerate(self._rows):
            if row.matcher is not None:
                row.matcher.mask(logits[place])
            else:
                self._restrain(logits[place], row)
        draws = [
            Draw(row.ask.temperature, row.ask.top_p, row.ask.seed, len(row.written))
            for row in self._rows
        ]
        return pick(logits, draws)

    def _restrain(self, logits: Any, row: Row) -> None:
        guard = self._voice.guard
        if not row.written:
            # An empty line is no answer: the first token is neither the end nor a stop.
            blank = self._voice.ends
            if any(stop.startswith("\n") for stop in row.ask.stop):
                blank = blank | self._voice.breaks
            logits[sorted(blank)] = float("-inf")
        elif guard.penalty != 1.0:
            used = torch.tensor(sorted(set(row.written)), device=logits.device)
            old = logits[used]
            logits[used] = torch.where(old > 0, old / guard.penalty, old * guard.penalty)
        out = banned(row.written, guard.repeat, row.written)
        out |= banned(row.written, guard.echo, row.prompt.ids)
        out -= self._voice.ends
        if out:
            logits[sorted(out)] = float("-inf")

    def _take(self, row: Row, token: int, out: list[Delta | Done]) -> Answer | None:
        ended = token in self._voice.ends
        if not ended:
            row.written.append(token)
        if row.matcher is not None:
            ended = row.matcher.take(token) or ended
        text = self._voice.text(row.written)
        cut = min(
            (at for stop in row.ask.stop if stop and (at := text.find(stop)) >= 0), default=-1
        )
        full = len(row.written) >= row.ask.max_tokens
        finished = ended or cut >= 0 or full
        if cut >= 0:
            text = text[:cut]
        if row.ask.stream:
            self._stream(row, text, finished, out)
        if not finished:
            return None
        return _answer(row, text, "stop" if cut >= 0 else "end" if ended else "limit")

    def _stream(self, row: Row, text: str, finished: bool, out: list[Delta | Done]) -> None:
        """Send what can no longer change: no half of a character, no half of a stop."""
        ready = len(text)
        if not finished:
            ready = len(text.rstrip("\ufffd")) - max((len(s) - 1 for s in row.ask.stop), default=0)
        if ready > row.sent:
            out.append(Delta(row.ticket, text[row.sent : ready]))
            row.sent = ready

    def _shrink(self, staying: Sequence[int]) -> None:
        if len(staying) < len(self._rows):
            self._rows = [self._rows[place] for place in staying]
            if self._batch is not None:
                self._batch = self._batch.keep(staying) if staying else None


def _answer(row: Row, text: str, stopped: Any) -> Answer:
    data = None
    if row.matcher is not None:
        try:
            data = json.loads(text)
        except ValueError:
            detail = f"the JSON was not complete after {len(row.written)} tokens: {text[-80:]!r}"
            return Failed(reason="limit", detail=f"{detail}; raise max_tokens")
    return Completion(
        text=text,
        data=data,
        tokens_in=len(row.prompt.ids),
        tokens_out=len(row.written),
        stopped=stopped,
        dropped=row.prompt.dropped,
    )
