"""``denizens bench understanding``: intent, mood and language of texts of our own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files

from ...core import Embed, Json, Model, Seed, Thought, Vectors, answer_all, run_thoughts
from ...planners import Classification, Intent, understand
from ...planners.dialogue import LANGUAGES, SENTIMENTS

UNDERSTANDING_PARTS = ("intent", "sentiment", "language")
OTHER = "none"
"""The label of texts that come with none of the intents."""

LabelledText = tuple[str, str]


def labelled_texts(part: str) -> list[LabelledText]:
    """The labelled texts of a part, each with what it is."""
    return [(text, label) for text, label in _data()[part]]


def guest_intents() -> tuple[Intent, ...]:
    """What guests of an inn come with."""
    return tuple(Intent(name=name, about=about) for name, about in _data()["about"].items())


def _data() -> Json:
    source = files("denizens.benchmarks").joinpath("data", "understanding.json")
    return json.loads(source.read_text(encoding="utf-8"))


def measure_understanding(
    name: str = "smollm2",
    *,
    device: str = "auto",
    dtype: str = "auto",
    parts: Sequence[str] = UNDERSTANDING_PARTS,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Json]:
    """Accuracy of each part on all its texts, and on the odd ones (on which the options'
    words were written) and the even ones (which nobody looked at before)."""
    from ...models import load_model

    model = load_model(name, device=device, dtype=dtype)
    found: dict[str, Json] = {"model": name}
    for part in parts:
        progress(f"{part}: {len(labelled_texts(part))} texts")
        found[part] = classification_accuracy(model, part)
    return found


def classification_accuracy(model: Model, part: str) -> dict[str, Json]:
    """How often the model is right on a part, and each label's share."""
    rows = labelled_texts(part)
    guesses = classify(model, part, [text for text, _ in rows])
    right = [(guess.name or OTHER) == label for guess, (_, label) in zip(guesses, rows)]
    labels = sorted({label for _, label in rows})
    by_label = {
        label: _share([ok for ok, (_, own) in zip(right, rows) if own == label]) for label in labels
    }
    return {
        "texts": len(rows),
        "chance": round(1 / len(labels), 3),
        "all": _share(right),
        "odd": _share(right[::2]),
        "even": _share(right[1::2]),
        "cosine_alone": _cosine_accuracy(model, part, rows),
        "by_label": by_label,
    }


def classify(model: Model, part: str, rows: Sequence[str]) -> list[Classification]:
    """What each text is taken for, all asked at once."""
    seed = Seed.of(0)

    def thought(text: str) -> Thought[Classification]:
        if part == "intent":
            found = yield from understand(text, seed=seed, intents=guest_intents())
            return found.intent
        if part == "sentiment":
            found = yield from understand(text, seed=seed, sentiment=True)
            return found.sentiment
        found = yield from understand(text, seed=seed, languages=tuple(LANGUAGES))
        return found.language

    return run_thoughts(model, [thought(text) for text in rows])


def _cosine_accuracy(model: Model, part: str, rows: Sequence[LabelledText]) -> float:
    """Accuracy of the nearest option by the embedder alone, none of these left out."""
    options: Mapping[str, str] = {
        "intent": {one.name: one.about for one in guest_intents()},
        "sentiment": {one.name: one.description for one in SENTIMENTS},
        "language": LANGUAGES,
    }[part]
    kept = [(text, label) for text, label in rows if label in options]
    asks = [Embed(texts=tuple(options.values())), Embed(texts=tuple(text for text, _ in kept))]
    told, said = answer_all(model.client(), asks)
    if not isinstance(told, Vectors) or not isinstance(said, Vectors):
        return 0.0
    near = (said.array() @ told.array().T).argmax(axis=1)
    names = list(options)
    return _share([names[place] == label for place, (_, label) in zip(near, kept)])


def _share(right: Sequence[bool]) -> float:
    return round(sum(right) / max(1, len(right)), 3)
