"""What may go wrong with one ask while the engine goes on.

Continuous batching: asks enter and leave the running batch between passes.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ...core import Answer, Choose, ContextTooLong, Done, Failed, Generate, ModelAsk, Rate, Ticket
from ..clients import UsageLedger
from ..grammar import SchemaError, apply_grammar_masks
from .backends import Backend
from .generation import GenerationConfig, GenerationState
from .prompt import PromptBuilder
from .request import (
    MAX_LOGIT_ROWS,
    DecisionScorer,
    EngineRequest,
    ModelEvents,
    PendingDecision,
    ScoringJob,
    shared_prefix,
)
from .sampling import apply_penalties, sample_tokens
from .scheduler import BatchLimits, Scheduler
from .sequence import (
    SchedulingKey,
    TokenPair,
    TokenSequence,
)

REQUEST_ERRORS = (RuntimeError, ValueError, IndexError, ArithmeticError)
"""What an ask's text, schema or numbers may raise; anything else is an error of the engine."""


def failed_answer(error: Exception) -> Failed:
    """The answer to an ask that raised."""
    return Failed(reason="engine", detail=f"{type(error).__name__}: {error}")


AGE_GROUP = 256  # asks among which those that begin alike may overtake others
PREFIX_GROUP_TOKENS = 32  # tokens by which beginnings are held alike
SINGLE_PASS_TARGET = 64  # tokens of a scored target up to which nothing of it is kept


@dataclass(slots=True)
class EngineStats:
    """What the engine has done since it was made; ``rows`` adds up those of all passes,
    ``pass_seconds`` are the seconds of the last ones."""

    passes: int = 0
    sequences: int = 0
    tokens: int = 0
    reused: int = 0
    seconds: float = 0.0
    pass_seconds: deque[float] = field(default_factory=lambda: deque(maxlen=4096))


class Engine:
    """Answers Generate, Choose and Rate. Not for several threads at a time."""

    def __init__(
        self,
        keeper: Backend,
        prompter: PromptBuilder,
        voice: GenerationConfig,
        decider: DecisionScorer,
        ledger: UsageLedger,
        limits: BatchLimits,
    ) -> None:
        self.backend = keeper
        self.limits = limits
        self.stats = EngineStats()
        self.scheduler = Scheduler(keeper, limits)
        self.prompt_builder, self.generation_config, self.decider = prompter, voice, decider
        self._usage = ledger
        self._suppressed = torch.tensor(voice.suppressed_tokens, dtype=torch.long)
        self._arrived: list[EngineRequest] = []
        self._finished: list[tuple[EngineRequest, Answer]] = []
        self._requests: dict[Ticket, EngineRequest] = {}
        self._jobs: dict[TokenPair, ScoringJob] = {}
        self._epoch = (0, 0)
        self._prefix_groups: dict[tuple[int, tuple[int, ...]], int] = {}

    def __len__(self) -> int:
        return len(self._requests)

    def set_generation_config(self, voice: GenerationConfig) -> None:
        """Write with another voice from now on; between asks only."""
        self.generation_config = voice
        self._suppressed = torch.tensor(voice.suppressed_tokens, dtype=torch.long)

    def submit(self, ticket: Ticket, ask: ModelAsk, owner: str, priority: int) -> None:
        """Take an ask in."""
        started, count = self._epoch
        self._epoch = (ticket, 1) if count >= AGE_GROUP else (started, count + 1)
        order = EngineRequest(ticket, ask, owner, (priority, self._epoch[0], ticket, ticket))
        self._requests[ticket] = order
        self._arrived.append(order)

    @torch.inference_mode()
    def cancel(self, ticket: Ticket) -> None:
        """Forget an ask, wherever it is; what only it needed is freed."""
        order = self._requests.pop(ticket, None)
        if order is not None:
            self._arrived = [one for one in self._arrived if one is not order]
            self._drop_sequences(order)

    @torch.inference_mode()
    def step(self) -> ModelEvents:
        """One pass at most; what it brought, for any ticket."""
        out: ModelEvents = []
        self._start_requests(out)
        self.scheduler.admit()
        pieces = self.scheduler.schedule()
        if pieces:
            self._run_pass(pieces, out)
        self._record_usage()
        return out

    def check_invariants(self) -> list[str]:
        """What is held though nothing uses it; empty when all is well."""
        found = self.backend.find_leaks(self.scheduler.running)
        if any(row.slot is not None or row.prefix_nodes for row in self.scheduler.waiting):
            found.append("a waiting row holds memory")
        rows = [*self.scheduler.waiting, *self.scheduler.running]
        for row in rows:
            orders = row.owner.requests if isinstance(row.owner, ScoringJob) else [row.owner]
            if not any(order.ticket in self._requests for order in orders):
                found.append("a row runs for nobody")
        if not self._requests and (rows or self._jobs or self._arrived):
            found.append("something is left though no ask is open")
        return found

    # -- from asks to rows ----------------------------------------------------------

    def _start_requests(self, out: ModelEvents) -> None:
        """Make rows of new asks; what needs none, or cannot be, is answered here."""
        opening, self._arrived = self._arrived, []
        if self.limits.exclusive and opening:
            if len(self._requests) > len(opening):
                self._arrived = opening
                return
            self.backend.clear_cache()
            opening.sort(key=lambda order: order.key)
            self._arrived = opening[1:]
            opening = opening[:1]
        decisions = [order.ask for order in opening if isinstance(order.ask, Choose | Rate)]
        began = time.perf_counter()
        with suppress(*REQUEST_ERRORS):  # the ask whose text it is meets it again
            self.decider.embed_ahead(decisions)
        share = (time.perf_counter() - began) / max(1, len(decisions))
        for order in opening:
            order.seconds += share if isinstance(order.ask, Choose | Rate) else 0.0
            try:
                answer = self._start_request(order)
            except ContextTooLong as error:
                answer = Failed(reason="context_too_long", detail=str(error))
            except SchemaError as error:
                answer = Failed(reason=error.reason, detail=str(error))
            except REQUEST_ERRORS as error:
                answer = failed_answer(error)
            if answer is not None:
                self._finish(order, answer, out)

    def _start_request(self, order: EngineRequest) -> Answer | None:
        if isinstance(order.ask, Generate):
            writer = GenerationState.begin(order.ask, self.prompt_builder, self.generation_config)
            order.generation = writer
            ids = list(writer.prompt.ids)
            last = len(ids) - 1
            self.scheduler.add(
                TokenSequence(ids, last, last, self._scheduling_key(order, ids), order)
            )
            return None
        if not isinstance(order.ask, Choose | Rate):
            return Failed(reason="refused", detail=f"an engine answers no {order.ask.kind}")
        plan = self.decider.prepare(order.ask)
        if isinstance(plan, Failed):
            return plan
        if not plan.pairs:
            return plan.finish({})
        order.decision = PendingDecision(plan, set(plan.pairs))
        start = () if self.backend.whole_prompts else shared_prefix(plan.pairs)
        if start and self.backend.cached_length(start) < len(start):
            key = self._scheduling_key(order, start)
            order.prefix_sequence = TokenSequence(list(start), len(start), len(start), key, order)
            self.scheduler.add(order.prefix_sequence)
        for pair in sorted(order.decision.waiting):
            if pair in self._jobs:
                self._jobs[pair].requests.append(order)
                self.scheduler.raise_priority(self._jobs[pair], order.key)
                continue
            score = self._jobs[pair] = ScoringJob(pair, [order])
            ids, known = list(pair[0] + pair[1])[:-1], len(pair[0]) - 1
            brief = bool(start) and known == len(start) and len(pair[1]) <= SINGLE_PASS_TARGET
            keep = 0 if brief else known
            self.scheduler.add(
                TokenSequence(ids, known, keep, self._scheduling_key(order, ids), score, brief)
            )
        return None

    def _scheduling_key(self, order: EngineRequest, ids: Sequence[int]) -> SchedulingKey:
        """The order's key, put beside those of its age that begin alike."""
        priority, age, _, ticket = order.key
        if self.limits.exclusive:
            return order.key  # what was asked before must not show
        if len(self._prefix_groups) > 4 * AGE_GROUP:
            self._prefix_groups.clear()
        group = self._prefix_groups.setdefault((age, tuple(ids[:PREFIX_GROUP_TOKENS])), ticket)
        return priority, age, group, ticket

    # -- a pass ---------------------------------------------------------------------

    def _run_pass(self, pieces: list[tuple[TokenSequence, int]], out: ModelEvents) -> None:
        began = time.perf_counter()
        running = [(row, count) for row, count in pieces if count]
        orders = [(_requests_of(row), count) for row, count in running]
        for row, count in pieces:
            if not count:
                self._mark_computed(row, 0)
        if not running:
            return
        try:
            hidden = self.backend.run(running)
        except REQUEST_ERRORS as error:
            self._run_separately(running, error, out)
        else:
            self._process_outputs(running, hidden, out)
        spent = time.perf_counter() - began
        tokens = sum(count for _, count in running)
        self.stats.passes += 1
        self.stats.sequences += len(running)
        self.stats.tokens += tokens
        self.stats.seconds += spent
        self.stats.pass_seconds.append(spent)
        for sharing, count in orders:
            for order in sharing:
                order.seconds += spent * count / tokens / len(sharing)

    def _run_separately(
        self, pieces: list[tuple[TokenSequence, int]], error: Exception, out: ModelEvents
    ) -> None:
        """After a failed pass: each row alone, so that a fault stays with its ask."""
        for row, count in pieces:
            if row not in self.scheduler.running:
                continue
            if len(pieces) == 1:
                self._fail(row, failed_answer(error), out)
                continue
            if self.backend.whole_prompts:
                self.backend.release(row)
                self.backend.allocate(row, {})
                count = row.pending
            try:
                hidden = self.backend.run([(row, count)])
            except REQUEST_ERRORS as own:
                self._fail(row, failed_answer(own), out)
            else:
                self._process_outputs([(row, count)], hidden, out)

    def _process_outputs(
        self, pieces: list[tuple[TokenSequence, int]], hidden: Tensor, out: ModelEvents
    ) -> None:
        """Draw tokens and enter scores by what a pass gave."""
        at = 0
        writing: list[tuple[TokenSequence, EngineRequest, int]] = []
        scoring: list[tuple[TokenSequence, ScoringJob, int, int]] = []
        for row, count in pieces:
            want = row.wanted_count(count)
            self._mark_computed(row, count)
            if isinstance(row.owner, ScoringJob):
                scoring.append((row, row.owner, at, want))
            elif want:
                writing.append((row, row.owner, at))
            at += want
        if writing:
            self._extend_generations(writing, hidden, out)
        for row, score, start, want in scoring:
            for begin in range(start, start + want, MAX_LOGIT_ROWS):
                end = min(begin + MAX_LOGIT_ROWS, start + want)
                self._extend_score(row, score, hidden[begin:end], out)

    def _mark_computed(self, row: TokenSequence, count: int) -> None:
        """Count tokens as run; keep a beginning once it is whole."""
        row.computed += count
        if count:
            row.mark_finite(False)
        if row.cacheable and not row.cached and row.computed >= row.cacheable:
            row.cached = True
            self.backend.cache_prefix(row)
        if row.pending == 0 and row.logits_from == len(row.ids):
            self.scheduler.remove(row)

    def _extend_generations(
        self, rows: list[tuple[TokenSequence, EngineRequest, int]], hidden: Tensor, out: ModelEvents
    ) -> None:
        """Go on by a token in some rows, each with its place in ``hidden``."""
        writers = [order.generation for _, order, _ in rows if order.generation is not None]
        places = torch.tensor([place for _, _, place in rows], device=hidden.device)
        try:
            tokens = self._sample(self.backend.logits(hidden[places]), writers)
        except REQUEST_ERRORS as error:
            for one in rows if len(rows) > 1 else ():
                self._extend_generations([one], hidden, out)
            if len(rows) == 1:
                self._fail(rows[0][0], failed_answer(error), out)
            return
        for (row, _, _), token in zip(rows, tokens):
            row.mark_finite(token is not None)
        for (row, order, _), writer, token in zip(rows, writers, tokens):
            if token is None:
                where = f"after {len(writer.token_ids)} tokens of the answer"
                self._fail(
                    row, Failed(reason="engine", detail=f"no token has a likelihood ({where})"), out
                )
                continue
            before = len(writer.token_ids)
            try:
                answer = writer.extend(token, order.ticket, out)
            except REQUEST_ERRORS as error:
                self._fail(row, failed_answer(error), out)
                continue
            row.ids += writer.token_ids[before:]
            row.logits_from = len(row.ids) - 1
            if answer is not None:
                order.reused = row.reused
                self.scheduler.remove(row)
                self._finish(order, answer, out)

    def _sample(self, logits: Tensor, writers: list[GenerationState]) -> list[int | None]:
        """A token for each writer by its row of logits, which are changed."""
        logits.index_fill_(1, self._suppressed.to(logits.device), -torch.inf)
        matching = [(i, one.matcher) for i, one in enumerate(writers) if one.matcher is not None]
        if matching:
            apply_grammar_masks(logits, matching)
        apply_penalties(
            logits,
            [(i, one.token_penalties()) for i, one in enumerate(writers) if one.matcher is None],
        )
        return sample_tokens(logits, [writer.sampling_params for writer in writers])

    def _extend_score(
        self, row: TokenSequence, score: ScoringJob, hidden: Tensor, out: ModelEvents
    ) -> None:
        if row not in self.scheduler.running:
            return
        try:
            done = score.score_logits(self.backend.logits(hidden))
        except REQUEST_ERRORS as error:
            self._fail(row, failed_answer(error), out)
            return
        if not score.is_finite:
            self._fail(row, Failed(reason="engine", detail="the likelihoods are no numbers"), out)
            return
        row.mark_finite(True)
        if not done:
            return
        self.scheduler.remove(row)
        del self._jobs[score.pair]
        for order in score.requests:
            order.reused += row.reused
            assert order.decision is not None
            if order.decision.add_score(score.pair, tuple(score.logprobs)):
                try:
                    answer = order.decision.answer(self.decider)
                except REQUEST_ERRORS as error:
                    answer = failed_answer(error)
                self._finish(order, answer, out)

    # -- ends -----------------------------------------------------------------------

    def _fail(self, row: TokenSequence, failed: Failed, out: ModelEvents) -> None:
        """Answer everybody for whom a row runs that it cannot be."""
        self.scheduler.remove(row)
        for order in [order for order in _requests_of(row) if order.ticket in self._requests]:
            self._drop_sequences(order)
            self._finish(order, failed, out)

    def _drop_sequences(self, order: EngineRequest) -> None:
        """Drop what runs for an order alone."""
        if order.decision is not None:
            for pair in order.decision.waiting:
                score = self._jobs.get(pair)
                if score is not None:
                    score.requests = [one for one in score.requests if one is not order]
                    if not score.requests:
                        del self._jobs[pair]

        def unwanted(row: TokenSequence) -> bool:
            if isinstance(row.owner, ScoringJob):
                return not row.owner.requests
            return row.owner is order

        self.scheduler.remove_where(unwanted)

    def _finish(self, order: EngineRequest, answer: Answer, out: ModelEvents) -> None:
        self._requests.pop(order.ticket, None)
        if order.prefix_sequence is not None:
            # Others may have scored all its pairs before it was its turn.
            self.scheduler.remove(order.prefix_sequence)
        self.stats.reused += order.reused
        self._finished.append((order, answer))
        out.append(Done(order.ticket, answer))

    def _record_usage(self) -> None:
        """Enter in the ledger what was answered, once its last pass is charged too."""
        for order, answer in self._finished:
            self._usage.add(
                order.owner,
                order.ask.kind,
                order.ask.role,
                tokens_in=getattr(answer, "tokens_in", 0),
                tokens_out=getattr(answer, "tokens_out", 0),
                tokens_reused=order.reused,
                seconds=order.seconds,
            )
        self._finished.clear()


def _requests_of(row: TokenSequence) -> list[EngineRequest]:
    return list(row.owner.requests) if isinstance(row.owner, ScoringJob) else [row.owner]
