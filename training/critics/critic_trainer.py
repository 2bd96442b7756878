"""Trains the critic of a voice: ``denizens train critic``.

Most dialogues teach the matcher, which reads embeddings only and is cheap. The rest gives the
items for the network over all features: their lines are scored by the language model under the
voice, and drafts of the voice are among the false ones.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core import DEFAULT_VOICE, DataError, Json, Seed, atomic_path
from ...core import digest as digest_json
from ...models import LocalModel
from ...models.decisions import CRITIC_FEATURES, LINE_FEATURES, LineCritic, LineMatcher, match_texts
from ..dialogues import PersonaDialogue
from .critic_data import TRUE, CriticData, CriticItem, LinePlace, line_places, with_generated
from .critic_evaluation import CriticFigures, critic_figures, line_feature_rows
from .critic_network import (
    JudgedTable,
    MatcherData,
    MatcherSettings,
    NetworkSettings,
    fit_matcher,
    fit_network,
    mixture_weights,
)

MIN_DIALOGUES = 20
CHUNK_ITEMS = 16
EMBED_TEXTS = 1024  # texts whose vectors are stored at once
WORK_FOLDER = "critic_work"

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticSettings:
    """``places`` give the items for the network, ``drafts`` of the voice each; ``matcher_share``
    of the dialogues teach the matcher, the others the network. ``voice`` is the one that
    scores and drafts ("" for the base model)."""

    places: int = 600
    drafts: int = 1
    matcher_share: float = 0.7
    seed: int = 1
    voice: str = DEFAULT_VOICE
    features: tuple[str, ...] = CRITIC_FEATURES
    matcher: MatcherSettings = field(default_factory=MatcherSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)


def train_critic(
    model: LocalModel,
    dialogues: Sequence[PersonaDialogue],
    work: Path,
    settings: CriticSettings | None = None,
    progress: Progress | None = None,
) -> LineCritic:
    """A critic for a model with a voice. What was computed lies in the folder ``work``, from
    which a killed training goes on; the same data and settings give the same critic. Raises
    DataError for too few dialogues, ModelError, OSError."""
    chosen, report = settings or CriticSettings(), progress or _silent
    if len(dialogues) < MIN_DIALOGUES:
        raise DataError(
            f"a critic needs at least {MIN_DIALOGUES} dialogues to learn from; there are "
            f"{len(dialogues)}: give more data, or use the critic of the default voice"
        )
    work.mkdir(parents=True, exist_ok=True)
    rng = Seed.of(chosen.seed).child("critic").rng()
    cache = _WorkCache(work, _work_key(model, dialogues, chosen))
    places = line_places(dialogues, rng)
    border = max(1, int(chosen.matcher_share * len(dialogues)))
    teaching = [place for place in places if place.dialogue < border]
    others = [place for place in places if place.dialogue >= border]
    vectors = _place_vectors(model, places, cache, report)
    report(f"matcher: {len(teaching)} lines of {border} dialogues")
    matcher = cache.matcher(
        [[place.line for place in teaching], asdict(chosen.matcher), chosen.seed],
        lambda: fit_matcher(MatcherData.of_places(teaching, vectors), chosen.matcher, chosen.seed),
    )
    items = _items(model, others, chosen, rng)
    tables = cache.tables(model, items, matcher, chosen, report)
    report(f"network: {sum(len(table.kinds) for table in tables)} lines in {len(tables)} prompts")
    columns = [LINE_FEATURES.index(name) for name in chosen.features]
    tables = [replace(table, features=table.features[:, columns]) for table in tables]
    network, temperature = fit_network(tables, chosen.network, chosen.seed)
    training: dict[str, Json] = {
        "dialogues": len(dialogues),
        "places": len(items),
        "seed": chosen.seed,
        "work": cache.key,
    }
    return LineCritic(matcher, network, chosen.features, temperature, training)


def evaluate_critic(
    model: LocalModel,
    critic: LineCritic,
    dialogues: Sequence[PersonaDialogue],
    settings: CriticSettings | None = None,
    progress: Progress | None = None,
    work: Path | None = None,
) -> CriticFigures:
    """The figures of a critic on other dialogues, with the kinds of false lines that it was
    trained with. Raises ModelError."""
    chosen, report = settings or CriticSettings(), progress or _silent
    rng = Seed.of(chosen.seed).child("critic", "check").rng()
    items = _items(model, line_places(dialogues, rng), chosen, rng)
    cache = _WorkCache(work, _work_key(model, dialogues, chosen)) if work else None
    tables = judged_tables(model, items, critic.matcher, chosen, report, cache)
    columns = [LINE_FEATURES.index(name) for name in critic.features]
    logits = [
        critic.network.logits(table.features[:, columns]) / critic.temperature for table in tables
    ]
    kinds = [kind for table in tables for kind in table.kinds]
    return critic_figures(logits, [table.kinds for table in tables], mixture_weights(kinds))


def _silent(text: str) -> None:
    """Report nothing."""


def _work_key(
    model: LocalModel, dialogues: Sequence[PersonaDialogue], settings: CriticSettings
) -> str:
    """A digest of what the features depend on."""
    about = model.describe()
    return str(
        digest_json(
            {
                "dialogues": [[line.text for line in d.lines] for d in dialogues],
                "model": [about.get("digest"), about.get("voice"), about.get("dtype")],
                "matcher": asdict(settings.matcher),
                "items": [
                    settings.places,
                    settings.drafts,
                    settings.matcher_share,
                    settings.seed,
                    settings.voice,
                ],
            }
        )
    )


def _place_vectors(
    model: LocalModel, places: Sequence[LinePlace], cache: _WorkCache, report: Progress
) -> dict[str, NDArray[np.float32]]:
    """The vectors of all texts that the matcher reads."""
    texts: dict[str, None] = {}
    for place in places:
        texts[place.line] = None
        for given in match_texts(place.talk).values():
            texts.update(dict.fromkeys(given))
    return cache.vectors(model, list(texts), report)


def _items(
    model: LocalModel, places: Sequence[LinePlace], settings: CriticSettings, rng: random.Random
) -> list[CriticItem]:
    data = CriticData(places, model.embedder.vectors, rng)
    count = min(settings.places, len(places))
    return data.items(sorted(rng.sample(range(len(places)), count)))


def judged_tables(
    model: LocalModel,
    items: Sequence[CriticItem],
    matcher: LineMatcher,
    settings: CriticSettings,
    report: Progress,
    cache: _WorkCache | None = None,
) -> list[JudgedTable]:
    """The features of the items' lines and of the drafts that are added to them."""
    tables: list[JudgedTable] = cache.stored_tables() if cache else []
    for start in range(len(tables), len(items), CHUNK_ITEMS):
        report(f"likelihoods: {start} of {len(items)} prompts")
        chunk = items[start : start + CHUNK_ITEMS]
        drafted = [item for item in chunk if any(d.kind == TRUE for d in item.drafts)]
        seed = Seed.of(settings.seed).child("drafts", start).number >> 32
        new = with_generated(model, drafted, settings.voice, seed=seed, count=settings.drafts)
        renewed = {id(old): item for old, item in zip(drafted, new)}
        chunk = [renewed.get(id(item), item) for item in chunk]
        rows = line_feature_rows(model, [item.ask(settings.voice) for item in chunk], matcher)
        made = [_table(item, row) for item, row in zip(chunk, rows)]
        tables += made
        if cache:
            cache.add_tables(made)
    return tables


def _table(item: CriticItem, rows: Sequence[dict[str, float]]) -> JudgedTable:
    features = np.array([[row[name] for name in LINE_FEATURES] for row in rows])
    return JudgedTable(features, tuple(draft.kind for draft in item.drafts), item.dialogue)


class _WorkCache:
    """What a training has computed so far, in a folder: vectors, the matcher, and a line of JSON
    a prompt with the features of its lines. What another training has left there is removed."""

    def __init__(self, folder: Path, key: str) -> None:
        self.key = key
        self._folder = folder
        self._tables = folder / f"features-{key[:16]}.jsonl"

    def vectors(
        self, model: LocalModel, texts: Sequence[str], report: Progress
    ) -> dict[str, NDArray[np.float32]]:
        """The vectors of texts, computed in parts that are stored."""
        ordered = sorted(texts, key=lambda text: (len(text), text))
        path = self._folder / f"vectors-{digest_json(ordered)[:16]}.npy"
        rows = self._stored_rows(path)
        while len(rows) < len(ordered):
            report(f"embeddings: {len(rows)} of {len(ordered)} texts")
            new = model.embedder.vectors(ordered[len(rows) : len(rows) + EMBED_TEXTS])
            rows = np.concatenate([rows, new]) if len(rows) else new
            with atomic_path(path) as part, part.open("wb") as file:
                np.save(file, rows, allow_pickle=False)
        return dict(zip(ordered, rows))

    def _stored_rows(self, path: Path) -> NDArray[np.float32]:
        if not path.is_file():
            return np.zeros((0, 0), dtype=np.float32)
        rows: NDArray[np.float32] = np.load(path, allow_pickle=False)
        return rows

    def matcher(self, key: Json, fit: Callable[[], LineMatcher]) -> LineMatcher:
        """The matcher stored under ``key``, what it depends on; or the one that ``fit`` gives."""
        from safetensors.numpy import load_file, save_file

        path = self._folder / f"matcher-{digest_json(key)[:16]}.safetensors"
        if not path.is_file():
            fitted = fit()
            arrays = {"draft": fitted.draft, **fitted.inputs}
            with atomic_path(path) as part:
                save_file({name: a.astype(np.float16) for name, a in arrays.items()}, part)
        stored = {name: a.astype(np.float64) for name, a in load_file(path).items()}
        return LineMatcher(stored.pop("draft"), stored)

    def tables(
        self,
        model: LocalModel,
        items: Sequence[CriticItem],
        matcher: LineMatcher,
        settings: CriticSettings,
        report: Progress,
    ) -> list[JudgedTable]:
        """The tables of the items, those that are stored and the others."""
        return judged_tables(model, items, matcher, settings, report, self)

    def stored_tables(self) -> list[JudgedTable]:
        """The tables stored so far; a line that was cut off when the process died is left out."""
        if not self._tables.is_file():
            return []
        tables = []
        text = self._tables.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        for line in whole.splitlines():
            row: Any = json.loads(line)
            features = np.array(row["features"], dtype=np.float64)
            tables.append(JudgedTable(features, tuple(row["kinds"]), row["dialogue"]))
        kept = len(tables) - len(tables) % CHUNK_ITEMS
        lines = whole.splitlines(keepends=True)[:kept]
        with atomic_path(self._tables) as part:
            part.write_text("".join(lines), encoding="utf-8")
        return tables[:kept]

    def add_tables(self, tables: Sequence[JudgedTable]) -> None:
        with self._tables.open("a", encoding="utf-8") as file:
            for table in tables:
                row = {
                    "kinds": table.kinds,
                    "dialogue": table.dialogue,
                    "features": table.features.tolist(),
                }
                file.write(json.dumps(row) + "\n")
