"""``denizens bench understanding``: intent, sentiment and language of labelled texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ...core import Embed, Json, Model, Seed, Thought, Vectors, answer_all, run_thoughts
from ...planners import Classification, Intent, understand
from ...planners.dialogue import LANGUAGES, SENTIMENTS
from ..data_files import packaged_data

UNDERSTANDING_PARTS = ("intent", "sentiment", "language")
OTHER = "none"
"""The label of texts without any of the intents."""

LabelledText = tuple[str, str]


def labelled_texts(part: str) -> list[LabelledText]:
    """The labelled texts of a part."""
    return [(text, label) for text, label in packaged_data("understanding")[part]]


def guest_intents() -> tuple[Intent, ...]:
    """Intents of the guests of an inn."""
    about = packaged_data("understanding")["about"]
    return tuple(Intent(name=name, about=text) for name, text in about.items())


def measure_understanding(
    name: str = "smollm2",
    *,
    device: str = "auto",
    dtype: str = "auto",
    parts: Sequence[str] = UNDERSTANDING_PARTS,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Json]:
    """Accuracy of each part on all texts, on the odd ones (on which the option descriptions were
    written) and on the even ones (held out)."""
    from ...models import load_model

    model = load_model(name, device=device, dtype=dtype)
    figures: dict[str, Json] = {"model": name}
    for part in parts:
        progress(f"{part}: {len(labelled_texts(part))} texts")
        figures[part] = classification_accuracy(model, part)
    return figures


def classification_accuracy(model: Model, part: str) -> dict[str, Json]:
    """Accuracy of a model on a part, also by label."""
    rows = labelled_texts(part)
    classifications = classify(model, part, [text for text, _ in rows])
    right = [
        (classification.name or OTHER) == label
        for classification, (_, label) in zip(classifications, rows)
    ]
    labels = sorted({label for _, label in rows})
    by_label = {
        label: _share([is_right for is_right, (_, own) in zip(right, rows) if own == label])
        for label in labels
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
    """The classification of each text, all asked at once."""
    seed = Seed.of(0)

    def thought(text: str) -> Thought[Classification]:
        if part == "intent":
            figures = yield from understand(text, seed=seed, intents=guest_intents())
            return figures.intent
        if part == "sentiment":
            figures = yield from understand(text, seed=seed, sentiment=True)
            return figures.sentiment
        figures = yield from understand(text, seed=seed, languages=tuple(LANGUAGES))
        return figures.language

    return run_thoughts(model, [thought(text) for text in rows])


def _cosine_accuracy(model: Model, part: str, rows: Sequence[LabelledText]) -> float:
    """Accuracy of the nearest option by the embedder alone, without texts that have no option."""
    options: Mapping[str, str] = {
        "intent": {one.name: one.about for one in guest_intents()},
        "sentiment": {one.name: one.description for one in SENTIMENTS},
        "language": LANGUAGES,
    }[part]
    with_option = [(text, label) for text, label in rows if label in options]
    asks = [
        Embed(texts=tuple(options.values())),
        Embed(texts=tuple(text for text, _ in with_option)),
    ]
    option_vectors, text_vectors = answer_all(model.client(), asks)
    if not isinstance(option_vectors, Vectors) or not isinstance(text_vectors, Vectors):
        return 0.0
    nearest = (text_vectors.array() @ option_vectors.array().T).argmax(axis=1)
    names = list(options)
    return _share([names[place] == label for place, (_, label) in zip(nearest, with_option)])


def _share(right: Sequence[bool]) -> float:
    return round(sum(right) / max(1, len(right)), 3)
