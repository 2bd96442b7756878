"""A Generate on its way: its tokens, its text, what it may write next, when it ends."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ...core import Answer, Completion, ContextTooLong, Delta, Failed, Generate, Ticket
from ..grammar import GrammarCompiler, GrammarMatcher
from .prompt import Prompt, PromptBuilder
from .sampling import NGramIndex, RepetitionLimits, SamplingParams, TokenPenalties


@dataclass(frozen=True, slots=True)
class GenerationConfig:
    """How the loaded model writes: its tokenizer, where it ends, what it may not write."""

    tokenizer: Any
    stop_tokens: frozenset[int]
    suppressed_tokens: tuple[int, ...]
    newline_tokens: frozenset[int]
    repetition_limits: RepetitionLimits
    grammars: GrammarCompiler

    def text(self, ids: Sequence[int]) -> str:
        """Decoded without control tokens."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))


@dataclass(slots=True)
class GenerationState:
    """What has been written of one Generate.

    The text grows by what the last few tokens add to it; only the end decodes it whole.
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

    @classmethod
    def begin(
        cls, ask: Generate, prompter: PromptBuilder, voice: GenerationConfig
    ) -> GenerationState:
        """Raises ContextTooLong, SchemaError."""
        if ask.max_tokens < 1:
            raise ContextTooLong(f"max_tokens is {ask.max_tokens}; ask for at least 1")
        prompt = prompter.fit(ask.messages, ask.max_tokens)
        matcher = None
        if ask.schema is not None:
            matcher = voice.grammars.matcher(ask.schema, ask.max_tokens)
        size = voice.repetition_limits.ngram
        return cls(ask, prompt, matcher, voice, own_ngrams=NGramIndex(size) if size else None)

    @property
    def sampling_params(self) -> SamplingParams:
        """How the next token is drawn."""
        ask = self.ask
        return SamplingParams(
            ask.temperature, ask.top_p, ask.seed, len(self.token_ids), ask.top_k, ask.min_p
        )

    def token_penalties(self) -> TokenPenalties:
        """What the next token may not be; a grammar says that by itself."""
        guard, ends = self.config.repetition_limits, self.config.stop_tokens
        if not self.token_ids:
            # An empty line is no answer: the first token is neither the end nor a stop.
            blank = set(ends)
            if any(stop.startswith("\n") for stop in self.ask.stop):
                blank |= self.config.newline_tokens
            return TokenPenalties(blank)
        never = set() if self.own_ngrams is None else set(self.own_ngrams.repeats())
        if 0 < guard.prompt_ngram <= len(self.token_ids) + 1:
            if self.prompt_ngrams is None:
                self.prompt_ngrams = NGramIndex(guard.prompt_ngram, self.prompt.ids)
            never |= self.prompt_ngrams.repeats_after(self.token_ids)
        own = self.ask.repetition_penalty
        penalty = guard.penalty if own is None else own
        return TokenPenalties(never - ends, self.used_tokens, penalty)

    def forced(self) -> list[int]:
        """Tokens that the grammar leaves no choice about, as many as may still be written."""
        if self.matcher is None:
            return []
        return self.matcher.forced_tokens()[: self.ask.max_tokens - len(self.token_ids)]

    def extend(self, token: int, ticket: Ticket, out: list[Any]) -> Answer | None:
        """Take a token, and those that the grammar forces behind it."""
        answer = self.append(token, ticket, out)
        for forced in self.forced() if answer is None else ():
            answer = self.append(forced, ticket, out)
            if answer is not None:
                break
        return answer

    def append(self, token: int, ticket: Ticket, out: list[Any]) -> Answer | None:
        """Go on by a token. Streamed text is added to ``out``; the answer once complete."""
        ended = token in self.config.stop_tokens
        if not ended:
            self.token_ids.append(token)
            self.used_tokens.add(token)
            if self.own_ngrams is not None:
                self.own_ngrams.add(token)
        if self.matcher is not None:
            ended = self.matcher.accept_token(token) or ended
        if not ended and (self.ask.stop or self.ask.stream):
            self._extend()
        finished = ended or len(self.token_ids) >= self.ask.max_tokens
        if finished:
            self.text = self.config.text(self.token_ids)
        cut = min((at for stop in self.ask.stop if (at := self._find(stop)) >= 0), default=-1)
        if cut >= 0:
            # Whole once more: the pieces may have been put together otherwise.
            self.text = self.config.text(self.token_ids)
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
        before = self.config.text(self.token_ids[self.settled : self.decoded])
        after = self.config.text(self.token_ids[self.settled :])
        if len(after) > len(before) and not after.endswith("\ufffd"):
            self.text += after[len(before) :]
            self.settled, self.decoded = self.decoded, len(self.token_ids)

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
        )
