"""Continuous batching: requests enter and leave the running batch between forward passes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ...core import (
    Answer,
    Choose,
    ContextTooLong,
    Done,
    Failed,
    Generate,
    ModelAsk,
    ModelError,
    Rate,
    Ticket,
    cache_owner,
)
from ..clients import UsageLedger
from ..grammar import SchemaError, apply_grammar_masks
from .backends import Backend
from .generation import GenerationConfig, GenerationState
from .kv_cache import CacheScope
from .prompt import PromptBuilder
from .public_prefixes import PublicPrefixes
from .request import (
    MAX_LOGIT_ROWS,
    DecisionScorer,
    EngineRequest,
    ModelEvents,
    PendingDecision,
    SchedulingKey,
    ScoringJob,
    TokenPair,
    TokenSequence,
    prefix_key,
    shared_prefixes,
)
from .sampling import apply_penalties, sample_tokens, sampled_logprobs
from .scheduler import BatchLimits, Scheduler
from .voices import VoiceTable

REQUEST_ERRORS = (RuntimeError, ValueError, IndexError, ArithmeticError)
"""What the text, schema or numbers of one ask may raise; any other error is the engine's own."""

AGE_GROUP = 256  # requests within which those with an equal prefix may overtake others
PREFIX_GROUP_TOKENS = 32  # tokens of a prompt that define its prefix group
SINGLE_PASS_TARGET = 64  # tokens of a scored target up to which none of its keys are kept


def failed_answer(error: Exception) -> Failed:
    """The answer to an ask that raised ``error``."""
    return Failed(reason="engine", detail=f"{type(error).__name__}: {error}")


@dataclass(slots=True)
class EngineStats:
    """Totals since the engine was created: ``sequences`` is summed over all passes, ``reused``
    counts prompt tokens taken from the cache, ``pass_seconds`` are the last 4,096 durations."""

    passes: int = 0
    sequences: int = 0
    tokens: int = 0
    reused: int = 0
    seconds: float = 0.0
    pass_seconds: deque[float] = field(default_factory=lambda: deque(maxlen=4096))


class Engine:
    """Answers Generate, Choose and Rate. Not thread-safe."""

    def __init__(
        self,
        backend: Backend,
        prompt_builder: PromptBuilder,
        generation_config: GenerationConfig,
        decider: DecisionScorer,
        usage: UsageLedger,
        limits: BatchLimits,
        voices: VoiceTable,
    ) -> None:
        self.backend = backend
        self.voices = voices
        self.limits = limits
        self.stats = EngineStats()
        self.scheduler = Scheduler(backend, limits)
        self.prompt_builder = prompt_builder
        self.decider = decider
        self._usage = usage
        self._arrived: list[EngineRequest] = []
        self._finished: list[tuple[EngineRequest, Answer]] = []
        self._requests: dict[Ticket, EngineRequest] = {}
        self._jobs: dict[TokenPair, ScoringJob] = {}
        self._age_group = (0, 0)
        self._prefix_groups: dict[tuple[int, str, str, tuple[int, ...]], int] = {}
        self.public_prefixes = PublicPrefixes()
        self.set_generation_config(generation_config)

    def __len__(self) -> int:
        return len(self._requests)

    def set_generation_config(self, config: GenerationConfig) -> None:
        """Use another configuration from now on; only while no request is open."""
        self.generation_config = config
        self._suppressed = torch.tensor(config.suppressed_tokens, dtype=torch.long)

    def publish(self, ask: ModelAsk) -> None:
        """Make the prompt of an ask public: what requests with a ``cache_owner`` share with it at
        their beginning is computed once for all owners."""
        if isinstance(ask, Generate):
            self.public_prefixes.add(self.prompt_builder.fit(ask.messages, ask.max_tokens).ids)
        elif isinstance(ask, Choose | Rate):
            plan = self.decider.prepare(ask)
            for pair in () if isinstance(plan, Failed) else (*plan.pairs, *plan.known):
                self.public_prefixes.add(pair.context + pair.target)

    def submit(
        self, ticket: Ticket, ask: ModelAsk, owner: str, priority: int, private_to: str = ""
    ) -> None:
        """Add a request for an ask. ``private_to``: the owner of what is cached of its prompt."""
        first, count = self._age_group
        self._age_group = (ticket, 1) if count >= AGE_GROUP else (first, count + 1)
        key = (priority, self._age_group[0], ticket, ticket)
        request = EngineRequest(ticket, ask, owner, key, private_to)
        self._requests[ticket] = request
        self._arrived.append(request)

    @torch.inference_mode()
    def cancel(self, ticket: Ticket) -> None:
        """Remove a request and free what it alone needed."""
        request = self._requests.pop(ticket, None)
        if request is not None:
            self._arrived = [other for other in self._arrived if other is not request]
            self._drop_sequences(request)

    @torch.inference_mode()
    def step(self) -> ModelEvents:
        """Run at most one forward pass; the events of all tickets."""
        events: ModelEvents = []
        self._start_requests(events)
        self.scheduler.admit()
        batch = self.scheduler.schedule()
        if batch:
            self._run_pass(batch, events)
        self._record_usage()
        return events

    def check_invariants(self) -> list[str]:
        """Memory and sequences that no open request uses; empty if there are none."""
        problems = self.backend.find_leaks(self.scheduler.running)
        if any(seq.slot is not None or seq.prefix_nodes for seq in self.scheduler.waiting):
            problems.append("a waiting sequence holds memory")
        sequences = [*self.scheduler.waiting, *self.scheduler.running]
        for sequence in sequences:
            if not any(one.ticket in self._requests for one in _requests_of(sequence)):
                problems.append("a sequence runs for no request")
        if not self._requests and (sequences or self._jobs or self._arrived):
            problems.append("something is left though no request is open")
        return problems

    # -- from asks to sequences -----------------------------------------------------

    def _start_requests(self, events: ModelEvents) -> None:
        """Add sequences for new requests; answer those that need none or are invalid."""
        arrived, self._arrived = self._arrived, []
        if self.limits.exclusive and arrived:
            if len(self._requests) > len(arrived):
                self._arrived = arrived
                return
            self.backend.clear_cache()
            arrived.sort(key=lambda request: request.key)
            self._arrived = arrived[1:]
            arrived = arrived[:1]
        self._embed_ahead(arrived)
        for request in arrived:
            try:
                with cache_owner(request.cache_owner):
                    answer = self._start_request(request)
            except ContextTooLong as error:
                answer = Failed(reason="context_too_long", detail=str(error))
            except SchemaError as error:
                answer = Failed(reason=error.reason, detail=str(error))
            except ModelError as error:  # of its voice
                answer = Failed(reason="refused", detail=str(error))
            except REQUEST_ERRORS as error:
                answer = failed_answer(error)
            if answer is not None:
                self._finish(request, answer, events)

    def _embed_ahead(self, requests: Sequence[EngineRequest]) -> None:
        """Embed the texts of decisions, those of one owner in one batch."""
        decisions: dict[str, list[tuple[EngineRequest, Choose | Rate]]] = {}
        for request in requests:
            if isinstance(request.ask, Choose | Rate):
                decisions.setdefault(request.cache_owner, []).append((request, request.ask))
        for owner, asks in decisions.items():
            started = time.perf_counter()
            # An error is raised again for the ask whose text it is.
            with cache_owner(owner), suppress(*REQUEST_ERRORS):
                self.decider.embed_ahead([ask for _, ask in asks])
            share = (time.perf_counter() - started) / len(asks)
            for request, _ in asks:
                request.seconds += share

    def _start_request(self, request: EngineRequest) -> Answer | None:
        if isinstance(request.ask, Generate):
            config = self.generation_config
            request.generation = GenerationState.begin(request.ask, self.prompt_builder, config)
            ids = list(request.generation.prompt.ids)
            last = len(ids) - 1
            scope = self._scope(request, ids, self.voices.digest(request.ask.voice))
            key = self._scheduling_key(request, ids, scope)
            self.scheduler.add(TokenSequence(ids, last, last, key, request, scope))
            return None
        if not isinstance(request.ask, Choose | Rate):
            detail = f"the engine answers no {request.ask.kind}"
            return Failed(reason="refused", detail=detail)
        if isinstance(request.ask, Choose):
            self.voices.digest(request.ask.voice)  # loads it with its critic
        plan = self.decider.prepare(request.ask)
        if isinstance(plan, Failed):
            return plan
        if not plan.pairs:
            return plan.finish({})
        adapters = {pair.voice: self.voices.digest(pair.voice) for pair in plan.pairs}
        request.decision = PendingDecision(plan, set(plan.pairs))
        prefixes = {} if self.backend.whole_prompts else shared_prefixes(plan.pairs)
        for (voice, _), prefix in prefixes.items():
            self._add_prefix(request, prefix, adapters[voice])
        for pair in sorted(request.decision.waiting):
            if pair in self._jobs:
                self._jobs[pair].requests.append(request)
                self.scheduler.raise_priority(self._jobs[pair], request.key)
                continue
            job = self._jobs[pair] = ScoringJob(pair, [request])
            prefix = prefixes.get(prefix_key(pair), ())
            self._add_job(job, request, len(prefix), adapters[pair.voice])
        return None

    def _add_prefix(self, request: EngineRequest, prefix: tuple[int, ...], adapter: str) -> None:
        """Add a sequence for a prefix that several pairs share, if it is not cached."""
        size = len(prefix)
        scope = self._scope(request, prefix, adapter)
        if self.backend.cached_length(prefix, scope) < size:
            key = self._scheduling_key(request, prefix, scope)
            sequence = TokenSequence(list(prefix), size, size, key, request, scope)
            request.prefix_sequences.append(sequence)
            self.scheduler.add(sequence)

    def _add_job(
        self, job: ScoringJob, request: EngineRequest, prefix_length: int, adapter: str
    ) -> None:
        """Add a sequence for a pair, which may share a prefix."""
        context, target = job.pair.context, job.pair.target
        ids, known = list(context + target)[:-1], len(context) - 1
        short = 0 < prefix_length == known and len(target) <= SINGLE_PASS_TARGET
        scope = self._scope(request, ids, adapter)
        key = self._scheduling_key(request, ids, scope)
        cacheable = 0 if short else known
        self.scheduler.add(TokenSequence(ids, known, cacheable, key, job, scope, short))

    def _scope(self, request: EngineRequest, ids: Sequence[int], adapter: str) -> CacheScope:
        """Where the cache keeps a sequence of a request."""
        if not request.cache_owner:
            return CacheScope(adapter)
        return CacheScope(adapter, request.cache_owner, self.public_prefixes.match_length(ids))

    def _scheduling_key(
        self, request: EngineRequest, ids: Sequence[int], scope: CacheScope
    ) -> SchedulingKey:
        """The request's key, next to those of its age group with an equal prefix."""
        priority, age, _, ticket = request.key
        if self.limits.exclusive:
            return request.key  # results must not depend on earlier requests
        if len(self._prefix_groups) > 4 * AGE_GROUP:
            self._prefix_groups.clear()
        size = min(len(ids), PREFIX_GROUP_TOKENS)
        owner = scope.owner if scope.shared(size) < size else ""
        prefix = (age, scope.adapter, owner, tuple(ids[:size]))
        return priority, age, self._prefix_groups.setdefault(prefix, ticket), ticket

    # -- a forward pass -------------------------------------------------------------

    def _run_pass(self, batch: list[tuple[TokenSequence, int]], events: ModelEvents) -> None:
        """Run the next ``count`` tokens of each sequence of ``batch`` and use the outputs."""
        started = time.perf_counter()
        running = [(sequence, count) for sequence, count in batch if count]
        requests = [(_requests_of(sequence), count) for sequence, count in running]
        for sequence, count in batch:
            if not count:
                self._mark_computed(sequence, 0)
        if not running:
            return
        try:
            hidden = self.backend.run(running)
        except REQUEST_ERRORS as error:
            self._run_separately(running, error, events)
        else:
            self._process_outputs(running, hidden, events)
        seconds = time.perf_counter() - started
        tokens = sum(count for _, count in running)
        self.stats.passes += 1
        self.stats.sequences += len(running)
        self.stats.tokens += tokens
        self.stats.seconds += seconds
        self.stats.pass_seconds.append(seconds)
        for sharing, count in requests:
            for request in sharing:
                request.seconds += seconds * count / tokens / len(sharing)

    def _run_separately(
        self, batch: list[tuple[TokenSequence, int]], error: Exception, events: ModelEvents
    ) -> None:
        """After a failed pass, run each sequence alone, so that only the faulty one fails."""
        for sequence, count in batch:
            if sequence not in self.scheduler.running:
                continue
            if len(batch) == 1:
                self._fail(sequence, failed_answer(error), events)
                continue
            if self.backend.whole_prompts:
                self.backend.release(sequence)
                self.backend.allocate(sequence, {})
                count = sequence.pending
            try:
                hidden = self.backend.run([(sequence, count)])
            except REQUEST_ERRORS as own_error:
                self._fail(sequence, failed_answer(own_error), events)
            else:
                self._process_outputs([(sequence, count)], hidden, events)

    def _process_outputs(
        self, batch: list[tuple[TokenSequence, int]], hidden: Tensor, events: ModelEvents
    ) -> None:
        """Sample tokens and record likelihoods from the hidden states of a pass."""
        row = 0
        generating: list[tuple[TokenSequence, EngineRequest, int]] = []
        scoring: list[tuple[TokenSequence, ScoringJob, int, int]] = []
        for sequence, count in batch:
            wanted = sequence.wanted_count(count)
            self._mark_computed(sequence, count)
            if isinstance(sequence.owner, ScoringJob):
                scoring.append((sequence, sequence.owner, row, wanted))
            elif wanted:
                generating.append((sequence, sequence.owner, row))
            row += wanted
        if generating:
            self._extend_generations(generating, hidden, events)
        for sequence, job, first, wanted in scoring:
            for start in range(first, first + wanted, MAX_LOGIT_ROWS):
                end = min(start + MAX_LOGIT_ROWS, first + wanted)
                self._extend_score(sequence, job, hidden[start:end], events)

    def _mark_computed(self, sequence: TokenSequence, count: int) -> None:
        """Count tokens as computed; cache the prefix once it is complete."""
        sequence.computed += count
        if count:
            sequence.mark_finite(False)
        complete = sequence.cacheable and sequence.computed >= sequence.cacheable
        if complete and not sequence.cached:
            sequence.cached = True
            self.backend.cache_prefix(sequence)
        if sequence.pending == 0 and sequence.logits_from == len(sequence.ids):
            self.scheduler.remove(sequence)

    def _extend_generations(
        self,
        rows: list[tuple[TokenSequence, EngineRequest, int]],
        hidden: Tensor,
        events: ModelEvents,
    ) -> None:
        """Sample the next token of some generations, each with its row of ``hidden``."""
        states = [request.generation for _, request, _ in rows if request.generation is not None]
        index = torch.tensor([row for _, _, row in rows], device=hidden.device)
        try:
            tokens = self._sample(self.backend.logits(hidden[index]), states)
        except REQUEST_ERRORS as error:
            for row in rows if len(rows) > 1 else ():
                self._extend_generations([row], hidden, events)
            if len(rows) == 1:
                self._fail(rows[0][0], failed_answer(error), events)
            return
        for (sequence, _, _), token in zip(rows, tokens):
            sequence.mark_finite(token is not None)
        for (sequence, request, _), state, token in zip(rows, states, tokens):
            length = len(state.token_ids)
            if token is None:
                detail = f"no token has a likelihood (after {length} tokens of the answer)"
                self._fail(sequence, Failed(reason="engine", detail=detail), events)
                continue
            try:
                answer = state.extend(token, request.ticket, events)
            except REQUEST_ERRORS as error:
                self._fail(sequence, failed_answer(error), events)
                continue
            sequence.ids += state.token_ids[length:]
            sequence.logits_from = len(sequence.ids) - 1
            if answer is not None:
                request.reused = sequence.reused
                self.scheduler.remove(sequence)
                self._finish(request, answer, events)

    def _sample(self, logits: Tensor, states: list[GenerationState]) -> list[int | None]:
        """A token for each generation by its row of logits, which are changed in place."""
        logits.index_fill_(1, self._suppressed.to(logits.device), -torch.inf)
        matchers = [(row, s.matcher) for row, s in enumerate(states) if s.matcher is not None]
        if matchers:
            apply_grammar_masks(logits, matchers)
        wanted = [row for row, state in enumerate(states) if state.ask.top_logprobs is not None]
        logprobs = torch.log_softmax(logits[wanted], dim=1) if wanted else logits[:0]
        free = [(row, state) for row, state in enumerate(states) if state.matcher is None]
        apply_penalties(logits, [(row, state.token_penalties()) for row, state in free])
        tokens = sample_tokens(logits, [state.sampling_params for state in states])
        if wanted:
            counts = [states[row].ask.top_logprobs or 0 for row in wanted]
            # A row without a token fails; its log-probabilities are of no use.
            chosen = [token if (token := tokens[row]) is not None else 0 for row in wanted]
            for row, sampled in zip(wanted, sampled_logprobs(logprobs, chosen, counts)):
                states[row].sampled = sampled
        return tokens

    def _extend_score(
        self, sequence: TokenSequence, job: ScoringJob, hidden: Tensor, events: ModelEvents
    ) -> None:
        """Score the next target tokens of a pair; answer the requests that it completes."""
        if sequence not in self.scheduler.running:
            return
        try:
            complete = job.score_logits(self.backend.logits(hidden))
        except REQUEST_ERRORS as error:
            self._fail(sequence, failed_answer(error), events)
            return
        if not job.is_finite:
            failed = Failed(reason="engine", detail="the likelihoods are not numbers (NaN)")
            self._fail(sequence, failed, events)
            return
        sequence.mark_finite(True)
        if not complete:
            return
        self.scheduler.remove(sequence)
        del self._jobs[job.pair]
        for request in job.requests:
            request.reused += sequence.reused
            assert request.decision is not None
            if request.decision.add_score(job.pair, tuple(job.logprobs)):
                try:
                    with cache_owner(request.cache_owner):
                        answer = request.decision.answer(self.decider)
                except REQUEST_ERRORS as error:
                    answer = failed_answer(error)
                self._finish(request, answer, events)

    # -- the end of a request -------------------------------------------------------

    def _fail(self, sequence: TokenSequence, failed: Failed, events: ModelEvents) -> None:
        """Answer all requests of a sequence with an error."""
        self.scheduler.remove(sequence)
        for request in _requests_of(sequence):
            if request.ticket in self._requests:
                self._drop_sequences(request)
                self._finish(request, failed, events)

    def _drop_sequences(self, request: EngineRequest) -> None:
        """Remove the sequences that run for this request only."""
        for pair in request.decision.waiting if request.decision is not None else ():
            job = self._jobs.get(pair)
            if job is not None:
                job.requests = [other for other in job.requests if other is not request]
                if not job.requests:
                    del self._jobs[pair]

        def unused(sequence: TokenSequence) -> bool:
            if isinstance(sequence.owner, ScoringJob):
                return not sequence.owner.requests
            return sequence.owner is request

        self.scheduler.remove_where(unused)

    def _finish(self, request: EngineRequest, answer: Answer, events: ModelEvents) -> None:
        self._requests.pop(request.ticket, None)
        for sequence in request.prefix_sequences:
            # Other requests may have scored all its pairs before the prefix was scheduled.
            self.scheduler.remove(sequence)
        self.stats.reused += request.reused
        self._finished.append((request, answer))
        events.append(Done(request.ticket, answer))

    def _record_usage(self) -> None:
        """Record the usage of finished requests, after the time of their last pass is added."""
        for request, answer in self._finished:
            self._usage.add(
                request.owner,
                request.ask.kind,
                request.ask.role,
                tokens_in=getattr(answer, "tokens_in", 0),
                tokens_out=getattr(answer, "tokens_out", 0),
                tokens_reused=request.reused,
                seconds=request.seconds,
            )
        self._finished.clear()


def _requests_of(sequence: TokenSequence) -> list[EngineRequest]:
    owner = sequence.owner
    return list(owner.requests) if isinstance(owner, ScoringJob) else [owner]
