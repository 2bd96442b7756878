"""Continuous batching: asks enter and leave the running batch between passes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..core import Answer, Choose, ContextTooLong, Done, Failed, Generate, ModelAsk, Rate, Ticket
from .deciding import TARGETS, Decision, Events, Order, Score, beginning
from .decisions import Decider
from .faults import FAULTS, fault
from .grammar import SchemaFault, mask_rows
from .ledger import Ledger
from .prompts import Prompter
from .rows import Keeper, Key, Pair, Row
from .sampling import pick, restrain
from .scheduler import Limits, Scheduler
from .writing import Voice, Writer

EPOCH = 256  # asks among which those that begin alike may overtake others
ALIKE = 32  # tokens by which beginnings are held alike
BRIEF = 64  # tokens of a scored target up to which nothing of it is kept


@dataclass(slots=True)
class Counts:
    """What the engine has done since it was made; ``rows`` adds up those of all passes,
    ``lengths`` are the seconds of the last ones."""

    passes: int = 0
    rows: int = 0
    tokens: int = 0
    reused: int = 0
    seconds: float = 0.0
    lengths: deque[float] = field(default_factory=lambda: deque(maxlen=4096))


class Engine:
    """Answers Generate, Choose and Rate. Not for several threads at a time."""

    def __init__(
        self,
        keeper: Keeper,
        prompter: Prompter,
        voice: Voice,
        decider: Decider,
        ledger: Ledger,
        limits: Limits,
    ) -> None:
        self.keeper = keeper
        self.limits = limits
        self.counts = Counts()
        self.rows = Scheduler(keeper, limits)
        self.prompter, self.voice, self.decider = prompter, voice, decider
        self._ledger = ledger
        self._control = torch.tensor(voice.control, dtype=torch.long)
        self._new: list[Order] = []
        self._closed: list[tuple[Order, Answer]] = []
        self._orders: dict[Ticket, Order] = {}
        self._scores: dict[Pair, Score] = {}
        self._epoch = (0, 0)
        self._alike: dict[tuple[int, tuple[int, ...]], int] = {}

    def __len__(self) -> int:
        return len(self._orders)

    def speak(self, voice: Voice) -> None:
        """Write with another voice from now on; between asks only."""
        self.voice = voice
        self._control = torch.tensor(voice.control, dtype=torch.long)

    def submit(self, ticket: Ticket, ask: ModelAsk, owner: str, priority: int) -> None:
        """Take an ask in."""
        started, count = self._epoch
        self._epoch = (ticket, 1) if count >= EPOCH else (started, count + 1)
        order = Order(ticket, ask, owner, (priority, self._epoch[0], ticket, ticket))
        self._orders[ticket] = order
        self._new.append(order)

    @torch.inference_mode()
    def cancel(self, ticket: Ticket) -> None:
        """Forget an ask, wherever it is; what only it needed is freed."""
        order = self._orders.pop(ticket, None)
        if order is not None:
            self._new = [one for one in self._new if one is not order]
            self._withdraw(order)

    @torch.inference_mode()
    def step(self) -> Events:
        """One pass at most; what it brought, for any ticket."""
        out: Events = []
        self._open(out)
        self.rows.admit()
        pieces = self.rows.choose()
        if pieces:
            self._run(pieces, out)
        self._enter()
        return out

    def check(self) -> list[str]:
        """What is held though nothing uses it; empty when all is well."""
        found = self.keeper.leaks(self.rows.seated)
        if any(row.slot is not None or row.spans for row in self.rows.queue):
            found.append("a waiting row holds memory")
        rows = [*self.rows.queue, *self.rows.seated]
        for row in rows:
            orders = row.owner.orders if isinstance(row.owner, Score) else [row.owner]
            if not any(order.ticket in self._orders for order in orders):
                found.append("a row runs for nobody")
        if not self._orders and (rows or self._scores or self._new):
            found.append("something is left though no ask is open")
        return found

    # -- from asks to rows ----------------------------------------------------------

    def _open(self, out: Events) -> None:
        """Make rows of new asks; what needs none, or cannot be, is answered here."""
        opening, self._new = self._new, []
        if self.limits.alone and opening:
            if len(self._orders) > len(opening):
                self._new = opening
                return
            self.keeper.forget()
            opening.sort(key=lambda order: order.key)
            self._new = opening[1:]
            opening = opening[:1]
        decisions = [order.ask for order in opening if isinstance(order.ask, Choose | Rate)]
        began = time.perf_counter()
        with suppress(*FAULTS):  # the ask whose text it is meets it again
            self.decider.warm(decisions)
        share = (time.perf_counter() - began) / max(1, len(decisions))
        for order in opening:
            order.seconds += share if isinstance(order.ask, Choose | Rate) else 0.0
            try:
                answer = self._opened(order)
            except ContextTooLong as error:
                answer = Failed(reason="context_too_long", detail=str(error))
            except SchemaFault as error:
                answer = Failed(reason=error.reason, detail=str(error))
            except FAULTS as error:
                answer = fault(error)
            if answer is not None:
                self._finish(order, answer, out)

    def _opened(self, order: Order) -> Answer | None:
        if isinstance(order.ask, Generate):
            writer = Writer.begin(order.ask, self.prompter, self.voice)
            order.writer = writer
            ids = list(writer.prompt.ids)
            last = len(ids) - 1
            self.rows.add(Row(ids, last, last, self._key(order, ids), order))
            return None
        if not isinstance(order.ask, Choose | Rate):
            return Failed(reason="refused", detail=f"an engine answers no {order.ask.kind}")
        plan = self.decider.prepare(order.ask)
        if isinstance(plan, Failed):
            return plan
        if not plan.pairs:
            return plan.finish({})
        order.decision = Decision(plan, set(plan.pairs))
        start = () if self.keeper.whole else beginning(plan.pairs)
        if start and self.keeper.known(start) < len(start):
            key = self._key(order, start)
            order.lead = Row(list(start), len(start), len(start), key, order)
            self.rows.add(order.lead)
        for pair in sorted(order.decision.waiting):
            if pair in self._scores:
                self._scores[pair].orders.append(order)
                self.rows.hurry(self._scores[pair], order.key)
                continue
            score = self._scores[pair] = Score(pair, [order])
            ids, known = list(pair[0] + pair[1])[:-1], len(pair[0]) - 1
            brief = bool(start) and known == len(start) and len(pair[1]) <= BRIEF
            keep = 0 if brief else known
            self.rows.add(Row(ids, known, keep, self._key(order, ids), score, brief))
        return None

    def _key(self, order: Order, ids: Sequence[int]) -> Key:
        """The order's key, put beside those of its age that begin alike."""
        priority, age, _, ticket = order.key
        if self.limits.alone:
            return order.key  # what was asked before must not show
        if len(self._alike) > 4 * EPOCH:
            self._alike.clear()
        group = self._alike.setdefault((age, tuple(ids[:ALIKE])), ticket)
        return priority, age, group, ticket

    # -- a pass ---------------------------------------------------------------------

    def _run(self, pieces: list[tuple[Row, int]], out: Events) -> None:
        began = time.perf_counter()
        running = [(row, count) for row, count in pieces if count]
        orders = [(_orders(row), count) for row, count in running]
        for row, count in pieces:
            if not count:
                self._ran(row, 0)
        if not running:
            return
        try:
            hidden = self.keeper.run(running)
        except FAULTS as error:
            self._one_by_one(running, error, out)
        else:
            self._heed(running, hidden, out)
        spent = time.perf_counter() - began
        tokens = sum(count for _, count in running)
        self.counts.passes += 1
        self.counts.rows += len(running)
        self.counts.tokens += tokens
        self.counts.seconds += spent
        self.counts.lengths.append(spent)
        for sharing, count in orders:
            for order in sharing:
                order.seconds += spent * count / tokens / len(sharing)

    def _one_by_one(self, pieces: list[tuple[Row, int]], error: Exception, out: Events) -> None:
        """After a failed pass: each row alone, so that a fault stays with its ask."""
        for row, count in pieces:
            if row not in self.rows.seated:
                continue
            if len(pieces) == 1:
                self._fail(row, fault(error), out)
                continue
            if self.keeper.whole:
                self.keeper.release(row)
                self.keeper.seat(row, {})
                count = row.pending
            try:
                hidden = self.keeper.run([(row, count)])
            except FAULTS as own:
                self._fail(row, fault(own), out)
            else:
                self._heed([(row, count)], hidden, out)

    def _heed(self, pieces: list[tuple[Row, int]], hidden: Tensor, out: Events) -> None:
        """Draw tokens and enter scores by what a pass gave."""
        at = 0
        writing: list[tuple[Row, Order, int]] = []
        scoring: list[tuple[Row, Score, int, int]] = []
        for row, count in pieces:
            want = row.wants(count)
            self._ran(row, count)
            if isinstance(row.owner, Score):
                scoring.append((row, row.owner, at, want))
            elif want:
                writing.append((row, row.owner, at))
            at += want
        if writing:
            self._write(writing, hidden, out)
        for row, score, start, want in scoring:
            for begin in range(start, start + want, TARGETS):
                end = min(begin + TARGETS, start + want)
                self._score(row, score, hidden[begin:end], out)

    def _ran(self, row: Row, count: int) -> None:
        """Count tokens as run; keep a beginning once it is whole."""
        row.done += count
        if count:
            row.prove(False)
        if row.keep and not row.kept and row.done >= row.keep:
            row.kept = True
            self.keeper.share(row)
        if row.pending == 0 and row.want_from == len(row.ids):
            self.rows.leave(row)

    def _write(self, rows: list[tuple[Row, Order, int]], hidden: Tensor, out: Events) -> None:
        """Go on by a token in some rows, each with its place in ``hidden``."""
        writers = [order.writer for _, order, _ in rows if order.writer is not None]
        places = torch.tensor([place for _, _, place in rows], device=hidden.device)
        try:
            tokens = self._drawn(self.keeper.logits(hidden[places]), writers)
        except FAULTS as error:
            for one in rows if len(rows) > 1 else ():
                self._write([one], hidden, out)
            if len(rows) == 1:
                self._fail(rows[0][0], fault(error), out)
            return
        for (row, _, _), token in zip(rows, tokens):
            row.prove(token is not None)
        for (row, order, _), writer, token in zip(rows, writers, tokens):
            if token is None:
                where = f"after {len(writer.written)} tokens of the answer"
                self._fail(
                    row, Failed(reason="engine", detail=f"no token has a likelihood ({where})"), out
                )
                continue
            before = len(writer.written)
            try:
                answer = writer.go_on(token, order.ticket, out)
            except FAULTS as error:
                self._fail(row, fault(error), out)
                continue
            row.ids += writer.written[before:]
            row.want_from = len(row.ids) - 1
            if answer is not None:
                order.reused = row.reused
                self.rows.leave(row)
                self._finish(order, answer, out)

    def _drawn(self, logits: Tensor, writers: list[Writer]) -> list[int | None]:
        """A token for each writer by its row of logits, which are changed."""
        logits.index_fill_(1, self._control.to(logits.device), -torch.inf)
        matching = [(i, one.matcher) for i, one in enumerate(writers) if one.matcher is not None]
        if matching:
            mask_rows(logits, matching)
        restrain(
            logits, [(i, one.restraint()) for i, one in enumerate(writers) if one.matcher is None]
        )
        return pick(logits, [writer.draw for writer in writers])

    def _score(self, row: Row, score: Score, hidden: Tensor, out: Events) -> None:
        if row not in self.rows.seated:
            return
        try:
            done = score.take(self.keeper.logits(hidden))
        except FAULTS as error:
            self._fail(row, fault(error), out)
            return
        if not score.finite:
            self._fail(row, Failed(reason="engine", detail="the likelihoods are no numbers"), out)
            return
        row.prove(True)
        if not done:
            return
        self.rows.leave(row)
        del self._scores[score.pair]
        for order in score.orders:
            order.reused += row.reused
            assert order.decision is not None
            if order.decision.take(score.pair, tuple(score.found)):
                try:
                    answer = order.decision.answer(self.decider)
                except FAULTS as error:
                    answer = fault(error)
                self._finish(order, answer, out)

    # -- ends -----------------------------------------------------------------------

    def _fail(self, row: Row, failed: Failed, out: Events) -> None:
        """Answer everybody for whom a row runs that it cannot be."""
        self.rows.leave(row)
        for order in [order for order in _orders(row) if order.ticket in self._orders]:
            self._withdraw(order)
            self._finish(order, failed, out)

    def _withdraw(self, order: Order) -> None:
        """Drop what runs for an order alone."""
        if order.decision is not None:
            for pair in order.decision.waiting:
                score = self._scores.get(pair)
                if score is not None:
                    score.orders = [one for one in score.orders if one is not order]
                    if not score.orders:
                        del self._scores[pair]

        def unwanted(row: Row) -> bool:
            if isinstance(row.owner, Score):
                return not row.owner.orders
            return row.owner is order

        self.rows.drop(unwanted)

    def _finish(self, order: Order, answer: Answer, out: Events) -> None:
        self._orders.pop(order.ticket, None)
        if order.lead is not None:
            # Others may have scored all its pairs before it was its turn.
            self.rows.leave(order.lead)
        self.counts.reused += order.reused
        self._closed.append((order, answer))
        out.append(Done(order.ticket, answer))

    def _enter(self) -> None:
        """Enter in the ledger what was answered, once its last pass is charged too."""
        for order, answer in self._closed:
            self._ledger.add(
                order.owner,
                order.ask.kind,
                order.ask.role,
                tokens_in=getattr(answer, "tokens_in", 0),
                tokens_out=getattr(answer, "tokens_out", 0),
                tokens_reused=order.reused,
                seconds=order.seconds,
            )
        self._closed.clear()


def _orders(row: Row) -> list[Order]:
    return list(row.owner.orders) if isinstance(row.owner, Score) else [row.owner]
