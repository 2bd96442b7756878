"""The state of one Generate: its tokens, its text, what it may generate next, when it ends."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...core import (
    Answer,
    Completion,
    ContextTooLong,
    Delta,
    Failed,
    Generate,
    GeneratedToken,
    Ticket,
    TokenLogprob,
)
from ..grammar import GrammarCompiler, GrammarMatcher
from .prompt import Prompt, PromptBuilder
from .sampling import (
    NGramIndex,
    RepetitionLimits,
    SampledLogprobs,
    SamplingParams,
    TokenPenalties,
)


@dataclass(frozen=True, slots=True)
class GenerationConfig:
    """How the loaded model generates.

    ``stop_tokens`` end a reply, ``suppressed_tokens`` are never generated, ``newline_tokens``
    consist of blanks and a line break.
    """

    tokenizer: Any
    stop_tokens: frozenset[int]
    suppressed_tokens: tuple[int, ...]
    newline_tokens: frozenset[int]
    repetition_limits: RepetitionLimits
    grammars: GrammarCompiler

    def text(self, ids: Sequence[int]) -> str:
        """The decoded text without control tokens."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))

    def token_logprob(self, token: int, logprob: float) -> TokenLogprob:
        """A token with its log-probability."""
        data = self.grammars.token_bytes(token)
        text = data.decode("utf-8", "replace")
        return TokenLogprob(token=text, logprob=logprob, data=tuple(data))


@dataclass(slots=True)
class GenerationState:
    """What has been generated for one Generate.

    ``text`` grows by what the last few tokens add to it (``settled`` and ``decoded`` are the
    token counts of the incremental decoding); the whole is decoded at the end only. ``sent`` is
    the number of characters streamed so far, ``logprobs_sent`` that of their tokens. ``sampled``
    are the log-probabilities of the next token, which ``logprobs`` has once it is appended.
    """

    ask: Generate
    prompt: Prompt
    matcher: GrammarMatcher | None
    config: GenerationConfig
    token_ids: list[int] = field(default_factory=list)
    text: str = ""
    sent: int = 0
    own_ngrams: NGramIndex | None = None
    prompt_ngrams: NGramIndex | None = None
    used_tokens: set[int] = field(default_factory=set)
    decoded: int = 0
    settled: int = 0
    sampled: SampledLogprobs | None = None
    logprobs: list[GeneratedToken] = field(default_factory=list)
    logprobs_sent: int = 0

    @classmethod
    def begin(
        cls, ask: Generate, prompt_builder: PromptBuilder, config: GenerationConfig
    ) -> GenerationState:
        """The state before the first token. Raises ContextTooLong, SchemaError."""
        if ask.max_tokens < 1:
            raise ContextTooLong(f"max_tokens is {ask.max_tokens}; ask for at least 1")
        if ask.clip:
            left = prompt_builder.window - len(prompt_builder.ids(ask.messages))
            ask = replace(ask, max_tokens=max(1, min(ask.max_tokens, left)))
        prompt = prompt_builder.fit(ask.messages, ask.max_tokens)
        matcher = None
        if ask.schema is not None:
            matcher = config.grammars.matcher(ask.schema, ask.max_tokens)
        if ask.top_logprobs is not None:
            config.grammars.token_bytes(0)  # raises SchemaError where tokens have no bytes
        size = config.repetition_limits.ngram
        return cls(ask, prompt, matcher, config, own_ngrams=NGramIndex(size) if size else None)

    @property
    def sampling_params(self) -> SamplingParams:
        """How the next token is sampled."""
        ask, position = self.ask, len(self.token_ids)
        return SamplingParams(ask.temperature, ask.top_p, ask.seed, position, ask.top_k, ask.min_p)

    def token_penalties(self) -> TokenPenalties:
        """Which tokens are banned or penalized next; only without a grammar."""
        limits, stop_tokens = self.config.repetition_limits, self.config.stop_tokens
        if not self.token_ids:
            # An empty reply is no answer: the first token is neither a stop token nor a stop
            # sequence.
            banned = set(stop_tokens)
            if any(stop.startswith("\n") for stop in self.ask.stop):
                banned |= self.config.newline_tokens
            return TokenPenalties(banned)
        banned = set() if self.own_ngrams is None else set(self.own_ngrams.repeats())
        if 0 < limits.prompt_ngram <= len(self.token_ids) + 1:
            if self.prompt_ngrams is None:
                self.prompt_ngrams = NGramIndex(limits.prompt_ngram, self.prompt.ids)
            banned |= self.prompt_ngrams.repeats_after(self.token_ids)
        penalty = self.ask.repetition_penalty
        if penalty is None:
            penalty = limits.penalty
        return TokenPenalties(banned - stop_tokens, self.used_tokens, penalty)

    def forced(self) -> list[int]:
        """Tokens without an alternative in the grammar, up to the token limit."""
        if self.matcher is None:
            return []
        return self.matcher.forced_tokens()[: self.ask.max_tokens - len(self.token_ids)]

    def extend(self, token: int, ticket: Ticket, events: list[Any]) -> Answer | None:
        """Add a token and those that the grammar forces after it; the answer once complete."""
        answer = self.append(token, ticket, events)
        for forced in self.forced() if answer is None else ():
            answer = self.append(forced, ticket, events)
            if answer is not None:
                break
        return answer

    def append(self, token: int, ticket: Ticket, events: list[Any]) -> Answer | None:
        """Add one token; streamed text is appended to ``events``. The answer once complete."""
        ended = token in self.config.stop_tokens
        if not ended:
            self.token_ids.append(token)
            self.used_tokens.add(token)
            if self.own_ngrams is not None:
                self.own_ngrams.add(token)
            if self.ask.top_logprobs is not None:
                self._append_logprob(token)
        if self.matcher is not None:
            ended = self.matcher.accept_token(token) or ended
        if not ended and (self.ask.stop or self.ask.stream):
            self._extend_text()
        finished = ended or len(self.token_ids) >= self.ask.max_tokens
        if finished:
            self.text = self.config.text(self.token_ids)
        cut = self._find_stop()
        if cut >= 0:
            # Decoded as a whole: the parts may have been decoded differently.
            self.text = self.config.text(self.token_ids)
            cut = self._find_stop()
        finished = finished or cut >= 0
        if cut >= 0:
            self.text = self.text[:cut]
            self.logprobs = self._logprobs_within(self.text)
        if self.ask.stream:
            self._stream(ticket, finished, events)
        if not finished:
            return None
        return self._answer("stop" if cut >= 0 else "end" if ended else "limit")

    def _find_stop(self) -> int:
        """Where the first stop sequence begins in the text; -1 if there is none."""
        starts = [self.text.find(stop) for stop in self.ask.stop if stop]
        return min((start for start in starts if start >= 0), default=-1)

    def _extend_text(self) -> None:
        """Append the text of the new tokens, unless it ends within a character."""
        before = self.config.text(self.token_ids[self.settled : self.decoded])
        after = self.config.text(self.token_ids[self.settled :])
        if len(after) > len(before) and not after.endswith("\ufffd"):
            self.text += after[len(before) :]
            self.settled, self.decoded = self.decoded, len(self.token_ids)

    def _stream(self, ticket: Ticket, finished: bool, events: list[Any]) -> None:
        """Stream the text that cannot change any more: no part of a stop sequence."""
        ready = len(self.text)
        if not finished:
            ready -= max((len(stop) for stop in self.ask.stop if stop), default=1) - 1
        logprobs: tuple[GeneratedToken, ...] = ()
        if self.ask.top_logprobs is not None:
            count = len(self._logprobs_within(self.text[:ready], whole=not finished))
            logprobs = tuple(self.logprobs[self.logprobs_sent : count])
            self.logprobs_sent = max(count, self.logprobs_sent)
        if ready > self.sent or logprobs:
            events.append(Delta(ticket, self.text[self.sent : ready], logprobs))
            self.sent = max(ready, self.sent)

    def _append_logprob(self, token: int) -> None:
        """Add the log-probability of an appended token: that which it was sampled with, 0 if the
        grammar forced it."""
        forced = SampledLogprobs(0.0, ((token, 0.0),)[: self.ask.top_logprobs])
        sampled, self.sampled = self.sampled or forced, None
        own = self.config.token_logprob(token, sampled.logprob)
        top = tuple(self.config.token_logprob(*pair) for pair in sampled.top)
        self.logprobs.append(
            GeneratedToken(token=own.token, logprob=own.logprob, data=own.data, top=top)
        )

    def _logprobs_within(self, text: str, *, whole: bool = False) -> list[GeneratedToken]:
        """The tokens that a beginning of the text consists of; with ``whole`` without the last
        one if only a part of it is in the text."""
        left = len(text.encode("utf-8", "replace"))
        for count, one in enumerate(self.logprobs):
            if left <= 0 or (whole and left < len(one.data)):
                return self.logprobs[:count]
            left -= len(one.data)
        return self.logprobs

    def _answer(self, stopped: Any) -> Answer:
        data = None
        if self.matcher is not None:
            try:
                data = json.loads(self.text)
            except ValueError:
                detail = f"the JSON was not complete after {len(self.token_ids)} tokens"
                return Failed(
                    reason="limit", detail=f"{detail}: {self.text[-80:]!r}; raise max_tokens"
                )
        return Completion(
            text=self.text,
            data=data,
            tokens_in=len(self.prompt.ids),
            tokens_out=len(self.token_ids),
            stopped=stopped,
            dropped=self.prompt.dropped,
            logprobs=tuple(self.logprobs),
        )
