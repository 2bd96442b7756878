"""The stand-in model of a rehearsal: decisions by similarity, improvised texts.

How much a run asks depends on what people do, whom they meet and what they talk about. The
stand-in chooses and rates by the real model's embeddings, as far as time allows, and only
improvises texts.
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
"""The weight of an option is exp(18 * cosine), as the engine's scorer weighs cosines."""
ANCHOR_SHARPNESS = 16.0  # the weight of an anchor of a rating is exp(16 * cosine)
BLOCK_ROUNDS = 6  # how many consecutive rounds form a block for the probe
MAX_BLOCKS = 160  # about how many blocks are kept at most, evenly over the rehearsal

KindAndRole: TypeAlias = tuple[str, str]  # the kind and the role of an ask
OwnedAsk: TypeAlias = tuple[str, ModelAsk]  # the owner of an ask, and the ask


@dataclass(slots=True)
class AskStats:
    """The number of asks of one kind and role, the characters of their prompts, and how many of
    their texts had not been embedded before."""

    calls: float = 0.0
    size: float = 0.0
    texts: float = 0.0

    def add(self, other: AskStats, factor: float = 1.0) -> None:
        """Add other stats, times a factor."""
        self.calls += factor * other.calls
        self.size += factor * other.size
        self.texts += factor * other.texts


@dataclass(slots=True)
class RoundSample:
    """Blocks of rounds, evenly distributed over an unknown number of rounds: when there are too
    many blocks, every second one is dropped, and from then on only every second is kept."""

    kept: list[list[list[OwnedAsk]]] = field(default_factory=list)
    _every: int = 1
    _rounds: int = 0

    def add(self, asks: list[OwnedAsk]) -> None:
        """Add a round: asks that are open at the same time."""
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
            self.kept[-1].append(asks)


class EmbeddingCache:
    """Embeddings of texts, shape (d,), length 1, each computed once.

    The real model computes them until it has used ``seconds``; then the embedding of a text is the
    mean over those of its words that are embedded."""

    def __init__(self, model: Model, seconds: float) -> None:
        self._client = model.client()
        self._left = seconds
        self._known: dict[str, Vector] = {}
        self._words: dict[str, Vector] = {}
        self.seconds = 0.0
        self.embedded = 0

    def embed_new(self, texts: Iterable[str]) -> int:
        """Embed the texts that are not in the cache; returns their number."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new and self._left > 0:
            self._known.update(self._embed(new))
        elif new:
            words = {word for text in new for word in _words(text)} - self._words.keys()
            # Words take time too, but far less, since the vocabulary of a scenario is small.
            if words and self._left > -0.5 * self.seconds:
                self._words.update(self._embed(sorted(words)))
            self._known.update((text, self._mean_of_words(text)) for text in new)
        return len(new)

    def vector(self, text: str) -> Vector:
        """The embedding of a text in the cache."""
        return self._known[text]

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """The embeddings of texts in the cache as the answer to an Embed."""
        import numpy as np

        if not texts:
            return Vectors.of(np.zeros((0, self._width()), dtype=np.float32))
        return Vectors.of(np.stack([self._known[text] for text in texts]))

    def _embed(self, texts: Sequence[str]) -> dict[str, Vector]:
        began = time.perf_counter()
        (answer,) = answer_all(self._client, [Embed(texts=tuple(texts))])
        if not isinstance(answer, Vectors):
            # An engine without an embedder: texts that share words get similar vectors.
            self._client = ImprovisedModel().client()
            (answer,) = answer_all(self._client, [Embed(texts=tuple(texts))])
            assert isinstance(answer, Vectors)
        spent = time.perf_counter() - began
        self._left -= spent
        self.seconds += spent
        self.embedded += len(texts)
        return dict(zip(texts, answer.array()))

    def _mean_of_words(self, text: str) -> Vector:
        import numpy as np

        vectors = [self._words[word] for word in _words(text) if word in self._words]
        mean = np.sum(vectors, axis=0) if vectors else np.zeros(self._width(), dtype=np.float32)
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
    """The model of a rehearsal. ``stats`` counts the asks since the caller last replaced it;
    ``blocks`` is the sample of rounds for the probe; ``seconds`` is the time spent in it."""

    def __init__(self, embeddings: EmbeddingCache) -> None:
        self.embeddings = embeddings
        self.text_model = ImprovisedModel()
        self.stats: dict[KindAndRole, AskStats] = {}
        self.blocks = RoundSample()
        self.rounds = 0
        self.seconds = 0.0

    def client(self) -> Client:
        """A new client; all asks that are queued at once are a round."""
        return BatchClient(self.answer)

    def describe(self) -> dict[str, Json]:
        """The name."""
        return {"name": "rehearsal"}

    def answer(self, asks: list[OwnedAsk]) -> list[Answer]:
        """The answers to a round of asks that are open at the same time."""
        began = time.perf_counter()
        for _, ask in asks:
            new_texts = self.embeddings.embed_new(_embedded_texts(ask))
            stats = self.stats.setdefault((ask.kind, ask.role), AskStats())
            stats.add(AskStats(1, prompt_characters(ask), new_texts))
        self.rounds += 1
        # Embeddings are timed here; the probe times all other asks.
        if to_probe := [owned for owned in asks if not isinstance(owned[1], Embed)]:
            self.blocks.add(to_probe)
        answers = [self._answer(ask) for _, ask in asks]
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
        vectors = [self.embeddings.vector(_option_text(option)) for option in ask.options]
        cosines = np.array([float(vector @ about) for vector in vectors])
        probabilities = np.exp(OPTION_SHARPNESS * (cosines - cosines.max()))
        probabilities /= probabilities.sum()
        index = int(probabilities.argmax())
        if ask.temperature > 0:
            weights = [*map(float, probabilities ** (1 / ask.temperature))]
            index = Seed.of(ask.seed).rng().choices(range(len(weights)), weights)[0]
        return Choice(index=index, probabilities=tuple(map(float, probabilities)))

    def _rating(self, ask: Rate) -> Rating:
        import numpy as np

        about = self.embeddings.vector(ask.about)
        vectors = [self.embeddings.vector(anchor.text) for anchor in ask.anchors]
        weights = np.exp(ANCHOR_SHARPNESS * np.array([float(v @ about) for v in vectors]))
        probabilities = np.zeros(ask.high - ask.low + 1)
        for anchor, weight in zip(ask.anchors, weights / weights.sum()):
            probabilities[min(max(anchor.value, ask.low), ask.high) - ask.low] += weight
        value = float(probabilities @ np.arange(ask.low, ask.high + 1))
        return Rating(value=value, probabilities=tuple(map(float, probabilities)))


def _option_text(option: Option) -> str:
    return option.description or option.name


def _embedded_texts(ask: ModelAsk) -> list[str]:
    """The texts of an ask whose embeddings are needed to answer it."""
    if isinstance(ask, Embed):
        return list(ask.texts)
    if isinstance(ask, Choose):
        return [ask.about, *map(_option_text, ask.options)]
    if isinstance(ask, Rate) and ask.anchors:
        return [ask.about, *(anchor.text for anchor in ask.anchors)]
    return []


def prompt_characters(ask: ModelAsk) -> int:
    """The number of characters of an ask that a model reads."""
    texts = [] if isinstance(ask, Embed) else [message.text for message in ask.messages]
    schema = canonical(ask.schema) if isinstance(ask, Generate) and ask.schema else ""
    return sum(map(len, [*texts, *_embedded_texts(ask), schema]))
