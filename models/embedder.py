"""Sentence vectors, the way sentence-transformers makes them."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..core import ModelCorrupt
from .quiet import quiet

BATCH = 64
REMEMBERED = 50_000  # vectors of 1.5 KB: 77 MB at most


class Embedder:
    """Unit vectors of texts, each computed once.

    Loads a sentence-transformers folder with plain transformers when it is an encoder with
    mean or first-token pooling (0.2 s instead of 8 s to import sentence_transformers, equal
    vectors), else with sentence_transformers itself. ``alone`` encodes each text by itself,
    so its vector depends on nothing else to the last bit. Raises ModelCorrupt.
    """

    def __init__(self, folder: Path, device: torch.device, *, alone: bool = False) -> None:
        self._device = device
        self._known: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._batch = 1 if alone else BATCH
        self._pooling = _pooling(folder)
        try:
            with quiet():
                self._load(folder)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise ModelCorrupt(
                f"{folder}: cannot be loaded as an embedder ({error}); reinstall it or name another"
            ) from error

    def _load(self, folder: Path) -> None:
        self._model: Any
        if self._pooling is None:
            from sentence_transformers import SentenceTransformer

            self._model = SentenceTransformer(str(folder), device=str(self._device))
            return
        from transformers import AutoModel, AutoTokenizer

        self._tokenizer = AutoTokenizer.from_pretrained(str(folder))
        model = AutoModel.from_pretrained(str(folder), dtype=torch.float32)
        self._model = model.eval().to(self._device)
        self._longest = _read(folder / "sentence_bert_config.json").get("max_seq_length") or 512

    def vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32 rows of length 1, shape (len(texts), d)."""
        new = sorted({text for text in texts if text not in self._known}, key=lambda t: (len(t), t))
        "".join(new).encode()  # half a character is a ValueError that says so
        for start in range(0, len(new), self._batch):
            chunk = new[start : start + self._batch]
            self._known.update(zip(chunk, self._encode(chunk)))
        rows = []
        for text in texts:
            self._known.move_to_end(text)
            rows.append(self._known[text])
        while len(self._known) > max(REMEMBERED, len(set(texts))):
            self._known.popitem(last=False)
        return np.stack(rows) if rows else np.zeros((0, self.dimension), dtype=np.float32)

    def forget(self) -> None:
        """Empty the table of known vectors."""
        self._known.clear()

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        if self._pooling is None:
            return int(self._model.get_sentence_embedding_dimension())
        return int(self._model.config.hidden_size)

    @torch.inference_mode()
    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        if self._pooling is None:
            found = self._model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
            return np.asarray(found, dtype=np.float32)
        tokens = self._tokenizer(
            texts, padding=True, truncation=True, max_length=self._longest, return_tensors="pt"
        ).to(self._device)
        hidden = self._model(**tokens).last_hidden_state
        if self._pooling == "cls":
            pooled = hidden[:, 0]
        else:
            mask = tokens["attention_mask"].unsqueeze(-1).float()
            pooled = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
        unit = torch.nn.functional.normalize(pooled, dim=1)
        array: NDArray[np.float32] = unit.float().cpu().numpy()
        return array


def _read(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found if isinstance(found, dict) else {}


def _pooling(folder: Path) -> str | None:
    """mean or cls when plain transformers will do, else None."""
    modules = folder / "modules.json"
    if not modules.is_file():
        return "mean"
    kinds = [str(module["type"]).rsplit(".", 1)[-1] for module in json.loads(modules.read_text())]
    if not set(kinds) <= {"Transformer", "Pooling", "Normalize"}:
        return None
    modes = _read(folder / "1_Pooling" / "config.json")
    on = [name for name, value in modes.items() if name.startswith("pooling_mode_") and value]
    return {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}.get(" ".join(on))
