"""A rehearsal: a scenario lived quickly, with decisions by meaning and improvised texts.

What people do, meet and talk about decides how much a run asks. A rehearsing model chooses
and rates by the real model's embeddings, as far as time allows; only the texts are made up.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from ...core import (
    Answer,
    Choice,
    Choose,
    Client,
    Embed,
    Generate,
    Json,
    Model,
    ModelAsk,
    Option,
    Rate,
    Rating,
    Seed,
    Vectors,
    answer_all,
    canonical,
)
from ...models import BatchClient, ImprovisedModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector: TypeAlias = NDArray[np.float32]

OPTION_SHARPNESS = 18.0
"""Weight of an option: exp(18 * cosine), the engine's own by cosine alone."""
ANCHOR_SHARPNESS = 16.0
"""Weight of a rated example: exp(16 * cosine)."""
BLOCK_ROUNDS = 6
"""Rounds in a row that are kept together for the probe."""
MAX_BLOCKS = 160
"""About so many blocks are kept at most, evenly over the rehearsal."""

KindAndRole: TypeAlias = tuple[str, str]
"""Kind and role of an ask."""
OwnedAsk: TypeAlias = tuple[str, ModelAsk]
"""Who asks what."""


@dataclass(slots=True)
class AskStats:
    """How often something was asked, how many characters that were to be read, and how many
    of its texts had not been embedded before."""

    calls: float = 0.0
    size: float = 0.0
    texts: float = 0.0

    def add(self, other: AskStats, share: float = 1.0) -> None:
        """Add a share of another tally."""
        self.calls += share * other.calls
        self.size += share * other.size
        self.texts += share * other.texts


@dataclass(slots=True)
class RoundSample:
    """Blocks of rounds, evenly spread however many rounds there are: whenever there are too
    many, every second goes, and from then on only every second is kept."""

    kept: list[list[list[OwnedAsk]]] = field(default_factory=list)
    _every: int = 1
    _rounds: int = 0

    def add(self, asked: list[OwnedAsk]) -> None:
        """Take a round in: the asks that are open at once."""
        number, place = divmod(self._rounds, BLOCK_ROUNDS)
        self._rounds += 1
        if number % self._every:
            return
        if place == 0:
            if len(self.kept) >= MAX_BLOCKS:
                del self.kept[1::2]
                self._every *= 2
                if number % self._every:
                    return
            self.kept.append([])
        if self.kept:
            self.kept[-1].append(asked)


class EmbeddingCache:
    """Embeddings of texts, shape (d,), length 1, each made once.

    By the real model until ``seconds`` of it are spent; from then on a text is the mean of
    its words, and a word that came too late counts for nothing."""

    def __init__(self, model: Model, seconds: float) -> None:
        self._client = model.client()
        self._left = seconds
        self._known: dict[str, Vector] = {}
        self._words: dict[str, Vector] = {}
        self.seconds = 0.0
        self.embedded = 0

    def embed_new(self, texts: Iterable[str]) -> int:
        """Make sure of texts; how many were new."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new and self._left > 0:
            self._known.update(self._embed(new))
        elif new:
            words = {word for text in new for word in _words(text)} - self._words.keys()
            # The words cost time too, but far less: a town has few of them.
            if words and self._left > -0.5 * self.seconds:
                self._words.update(self._embed(sorted(words)))
            self._known.update((text, self._mean_of_words(text)) for text in new)
        return len(new)

    def vector(self, text: str) -> Vector:
        """The embedding of a text that was learnt."""
        return self._known[text]

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """As an Embed is answered."""
        import numpy as np

        if not texts:
            return Vectors.of(np.zeros((0, self._width()), dtype=np.float32))
        return Vectors.of(np.stack([self._known[text] for text in texts]))

    def _embed(self, texts: Sequence[str]) -> dict[str, Vector]:
        began = time.perf_counter()
        found = answer_all(self._client, [Embed(texts=tuple(texts))])[0]
        if not isinstance(found, Vectors):
            # An engine without an embedder: texts that share words lie near each other.
            self._client = ImprovisedModel().client()
            found = answer_all(self._client, [Embed(texts=tuple(texts))])[0]
            assert isinstance(found, Vectors)
        spent = time.perf_counter() - began
        self._left -= spent
        self.seconds += spent
        self.embedded += len(texts)
        return dict(zip(texts, found.array()))

    def _mean_of_words(self, text: str) -> Vector:
        import numpy as np

        found = [self._words[word] for word in _words(text) if word in self._words]
        mean = np.sum(found, axis=0) if found else np.zeros(self._width(), dtype=np.float32)
        length = float(np.linalg.norm(mean))
        if length == 0.0:
            mean = mean.copy()
            mean[len(text) % len(mean)] = length = 1.0
        vector: Vector = (mean / length).astype(np.float32)
        return vector

    def _width(self) -> int:
        return len(next(iter(self._known.values()), ())) or 1


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z']{2,}", text.lower())


class RehearsalModel:
    """The model of a rehearsal. ``stats`` is what has been asked since it was last emptied."""

    def __init__(self, meanings: EmbeddingCache) -> None:
        self.embeddings = meanings
        self.text_model = ImprovisedModel()
        self.stats: dict[KindAndRole, AskStats] = {}
        self.blocks = RoundSample()
        self.rounds = 0
        self.seconds = 0.0

    def client(self) -> Client:
        """A new mailbox."""
        return BatchClient(self.answer)

    def describe(self) -> dict[str, Json]:
        """Its name only."""
        return {"name": "rehearsal"}

    def answer(self, asked: list[OwnedAsk]) -> list[Answer]:
        """A round of asks, open at once, and their answers."""
        began = time.perf_counter()
        for _, ask in asked:
            tally = self.stats.setdefault((ask.kind, ask.role), AskStats())
            tally.add(
                AskStats(1, prompt_characters(ask), self.embeddings.embed_new(_embedded_texts(ask)))
            )
        self.rounds += 1
        # Embeddings were measured on the way; the probe measures the rest.
        probed = [one for one in asked if not isinstance(one[1], Embed)]
        if probed:
            self.blocks.add(probed)
        answers = [self._answer(ask) for _, ask in asked]
        self.seconds += time.perf_counter() - began
        return answers

    def _answer(self, ask: ModelAsk) -> Answer:
        if isinstance(ask, Embed):
            return self.embeddings.vectors(ask.texts)
        if isinstance(ask, Choose) and ask.options:
            return self._choice(ask)
        if isinstance(ask, Rate) and ask.anchors and ask.low <= ask.high:
            return self._rating(ask)
        return answer_all(self.text_model.client(), [ask])[0]

    def _choice(self, ask: Choose) -> Choice:
        import numpy as np

        about = self.embeddings.vector(ask.about)
        near = np.array(
            [float(self.embeddings.vector(_option_text(one)) @ about) for one in ask.options]
        )
        spread = np.exp(OPTION_SHARPNESS * (near - near.max()))
        spread /= spread.sum()
        index = int(spread.argmax())
        if ask.temperature > 0:
            heated = spread ** (1 / ask.temperature)
            index = Seed.of(ask.seed).rng().choices(range(len(heated)), [*map(float, heated)])[0]
        return Choice(index=index, probabilities=tuple(map(float, spread)))

    def _rating(self, ask: Rate) -> Rating:
        import numpy as np

        about = self.embeddings.vector(ask.about)
        near = np.array([float(self.embeddings.vector(one.text) @ about) for one in ask.anchors])
        weights = np.exp(ANCHOR_SHARPNESS * near)
        spread = np.zeros(ask.high - ask.low + 1)
        for anchor, weight in zip(ask.anchors, weights / weights.sum()):
            spread[min(max(anchor.value, ask.low), ask.high) - ask.low] += weight
        value = float(spread @ np.arange(ask.low, ask.high + 1))
        return Rating(value=value, probabilities=tuple(map(float, spread)))


def _option_text(option: Option) -> str:
    return option.description or option.name


def _embedded_texts(ask: ModelAsk) -> list[str]:
    """The texts of an ask that are embedded."""
    if isinstance(ask, Embed):
        return list(ask.texts)
    if isinstance(ask, Choose):
        return [ask.about, *map(_option_text, ask.options)]
    if isinstance(ask, Rate) and ask.anchors:
        return [ask.about, *(anchor.text for anchor in ask.anchors)]
    return []


def prompt_characters(ask: ModelAsk) -> int:
    """Characters that an ask gives to read."""
    texts = [] if isinstance(ask, Embed) else [message.text for message in ask.messages]
    schema = canonical(ask.schema) if isinstance(ask, Generate) and ask.schema else ""
    return sum(map(len, [*texts, *_embedded_texts(ask), schema]))
