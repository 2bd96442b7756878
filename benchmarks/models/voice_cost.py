"""``denizens bench engine --part voices``: what a voice costs a pass of the engine."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from ...core import DEFAULT_VOICE, NO_VOICE, Json, ModelError
from ...models import LocalModel, load_local
from ...models.engine import CacheScope, TokenSequence
from ...models.files import shipped_voice
from ...testing import write_tiny_voice

VOICE_PASSES = {"1_row": (1, 1), "4_rows": (4, 1), "16_rows": (16, 1), "48_rows": (48, 1)}
"""Sequences of a pass and their new tokens, by the name of the figure."""

PROMPT_TOKENS = 40
CHUNK_TOKENS = 160
REPEATS = 12
RANK = 16


def measure_voice_cost(
    name: str, source: str, *, device: str, dtype: str, quick: bool
) -> dict[str, Json]:
    """Seconds of a pass with a voice as multiples of the seconds of the same pass by a model that
    was loaded without one, measured alternately: of all rows with the voice (``voice``), of none
    (``base``), of every other row (``mixed``), and with a voice that was loaded later
    (``other``).

    ``source``: a name or folder that transformers can load, for voices of random weights where
    the model has none.
    """
    with TemporaryDirectory() as scratch:
        folders = [
            write_tiny_voice(Path(scratch) / str(seed), Path(source), seed=seed, rank=RANK)
            for seed in range(2)
        ]
        voice, other = str(shipped_voice(name) or folders[0]), str(folders[1])
        plain = load_local(name, device=device, dtype=dtype, voice=NO_VOICE)
        model = load_local(name, device=device, dtype=dtype, voice=voice)
        model.load_voice(other)
        repeats = REPEATS // 4 if quick else REPEATS
        figures: dict[str, Json] = {}
        for label, (rows, tokens) in {**VOICE_PASSES, "chunk": (1, CHUNK_TOKENS)}.items():
            figures[label] = _compare_passes(plain, model, other, rows, tokens, repeats)
    return figures


def _compare_passes(
    plain: LocalModel, model: LocalModel, other: str, rows: int, tokens: int, repeats: int
) -> dict[str, Json]:
    """The medians of alternating passes, as multiples of the plain model's."""
    voices = {"voice": [DEFAULT_VOICE], "base": [""], "other": [other]}
    if rows > 1:
        voices["mixed"] = ["", DEFAULT_VOICE]
    passes = [("plain", plain, [""]), *((key, model, names) for key, names in voices.items())]
    sequences = {id(one): _sequences(one, rows, tokens) for one in (plain, model)}
    seconds: dict[str, list[float]] = {label: [] for label, _, _ in passes}
    for repeat in range(repeats + 1):
        for label, one, names in passes:
            elapsed = _pass_seconds(one, sequences[id(one)], names, tokens)
            if repeat:  # the first warms up
                seconds[label].append(elapsed)
    for one in (plain, model):
        for sequence in sequences[id(one)]:
            one.engine.backend.release(sequence)
    medians = {label: statistics.median(values) for label, values in seconds.items()}
    figures: dict[str, Json] = {"plain_ms": round(1000 * medians["plain"], 2)}
    return figures | {key: round(medians[key] / medians["plain"], 3) for key in voices}


def _sequences(model: LocalModel, rows: int, tokens: int) -> list[TokenSequence]:
    """Sequences that wait for their next ``tokens`` tokens."""
    generator = random.Random(0)
    backend = model.engine.backend
    sequences = []
    for _ in range(rows):
        ids = [generator.randrange(5, 250) for _ in range(PROMPT_TOKENS + tokens)]
        sequence = TokenSequence(ids, len(ids) - 1, 0, (0, 0, 0, 0), None)
        if not backend.allocate(sequence, {}):
            raise ModelError(f"{rows} sequences do not fit the cache; raise cache_mb")
        sequences.append(sequence)
    with torch.inference_mode():
        backend.run([(sequence, PROMPT_TOKENS) for sequence in sequences])
    for sequence in sequences:
        sequence.computed = PROMPT_TOKENS
    return sequences


def _pass_seconds(
    model: LocalModel, sequences: Sequence[TokenSequence], voices: Sequence[str], tokens: int
) -> float:
    """Seconds of one pass with logits; the sequences have the voices in equal shares."""
    engine = model.engine
    for place, sequence in enumerate(sequences):
        digest = engine.voices.digest(voices[place * len(voices) // len(sequences)])
        sequence.scope = CacheScope(digest)
    started = time.perf_counter()
    with torch.inference_mode():
        hidden = engine.backend.run([(sequence, tokens) for sequence in sequences])
        engine.backend.logits(hidden).sum().item()  # waits for a GPU
    return time.perf_counter() - started
