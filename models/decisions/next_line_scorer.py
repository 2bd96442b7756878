"""Choose among drafts of a next line by the critic of the voice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ...core import NONE_OF_THESE, Choice, Choose, Message
from ..engine import PairSums, TokenPair
from .critic import LineCritic, LineMatcher, VectorsByText, draft_features
from .line_features import HeardTalk, heard_talk
from .option_scorer import sample_choice, softmax

WITHOUT_TALK = Message.of("user", "[I meet somebody.]")
"""Stands for the conversation in the prompt without it; the speaker's own system message stays."""

ReplyPairs = Callable[[Sequence[Message], list[str], str], list[TokenPair]]
"""From messages, replies and a voice to the pairs of prompt and whole reply."""


class NextLineScorer:
    """Scores the drafts of one Choose, each apart from the others.

    ``embed`` gives the vectors of texts. Without ``critic`` only the features are computed.
    """

    def __init__(
        self,
        ask: Choose,
        critic: LineCritic | None,
        reply_pairs: ReplyPairs,
        embed: Callable[[Sequence[str]], VectorsByText],
    ) -> None:
        self._ask = ask
        self._critic = critic
        self._embed = embed
        self.drafts = [option.name for option in ask.options if option != NONE_OF_THESE]
        self._within: list[TokenPair] = []
        self._without: list[TokenPair] = []
        if self.drafts:
            system = [message for message in ask.messages if message.role == "system"]
            self._within = reply_pairs(ask.messages, self.drafts, ask.voice)
            self._without = reply_pairs((*system, WITHOUT_TALK), self.drafts, ask.voice)

    @property
    def pairs(self) -> list[TokenPair]:
        """The pairs whose log-probabilities are needed, in a fixed order, without duplicates."""
        return list(dict.fromkeys((*self._within, *self._without)))

    def features(self, sums: PairSums, matcher: LineMatcher | None) -> list[dict[str, float]]:
        """The features of each draft by name."""
        talk, vectors = self._talk(), self._embed(texts_of_next_line(self._ask))
        return [
            draft_features(
                talk, draft, vectors, matcher, (sums[within], sums[without], len(within.target))
            )
            for draft, within, without in zip(self.drafts, self._within, self._without)
        ]

    def _talk(self) -> HeardTalk:
        return heard_talk(self._ask.messages, self._ask.about)

    def choice(self, sums: PairSums) -> Choice:
        """The choice, once all pairs are scored. The logit of none of these is 0."""
        logits = np.zeros(len(self._ask.options))
        if self._critic is not None and self.drafts:
            scores: Mapping[str, float] = dict(
                zip(
                    self.drafts,
                    self._critic.logits(self.features(sums, self._critic.matcher)),
                    strict=True,
                )
            )
            logits = np.array(
                [
                    0.0 if option == NONE_OF_THESE else scores[option.name]
                    for option in self._ask.options
                ]
            )
        tokens = sum(len(pair.context) + len(pair.target) for pair in self.pairs)
        return sample_choice(self._ask, softmax(logits), tokens)


def texts_of_next_line(ask: Choose) -> list[str]:
    """The texts whose embeddings the critic reads."""
    drafts = [option.name for option in ask.options if option != NONE_OF_THESE]
    return list(dict.fromkeys((*heard_talk(ask.messages, ask.about).texts, *drafts)))
