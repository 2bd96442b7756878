"""Sentence embeddings, equal to those of sentence-transformers."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...core import ModelCorrupt, ModelError, current_cache_owner, replace_surrogates
from ..engine import pick_device
from ..files import (
    ProgressCallback,
    checked_encoders,
    class_names,
    explain_errors,
    known_models,
    model_not_found,
    pull,
    read_config,
    read_json_object,
    require_kind,
    require_no_lfs_pointer,
    require_tensors,
    require_vocabulary,
    silence_libraries,
)

BATCH = 64
DEFAULT_MAX_TOKENS = 512  # of a text
CACHE_SIZE = 50_000  # vectors of 1.5 KB: 77 MB at most


class Embedder:
    """Unit vectors of texts; the last 50,000 are cached, for each ``cache_owner`` apart.

    A sentence-transformers folder that holds an encoder with mean or first-token pooling is
    loaded with transformers (0.2 s instead of 8 s to import sentence_transformers, equal
    vectors), any other with sentence_transformers. ``alone`` encodes one text per batch, so its
    vector is independent of the others to the last bit. Raises ModelCorrupt.
    """

    def __init__(self, folder: Path, device: torch.device, *, alone: bool = False) -> None:
        self._device = device
        self._cache: OrderedDict[tuple[str, str], NDArray[np.float32]] = OrderedDict()
        self._batch = 1 if alone else BATCH
        self._folder = folder
        with silence_libraries(), explain_errors(folder, "the embedder"):
            self._pooling = _pooling(folder)
            self._load(folder)

    def _load(self, folder: Path) -> None:
        self._model: Any
        if self._pooling is None:
            from sentence_transformers import SentenceTransformer

            with checked_encoders(str(folder)):
                self._model = SentenceTransformer(
                    str(folder),
                    device=str(self._device),
                    local_files_only=True,
                    trust_remote_code=False,
                )
            return
        from transformers import AutoModel, AutoTokenizer

        config = read_config(folder)
        _require_vectors(folder, config)
        self._tokenizer = AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
        require_vocabulary(folder, self._tokenizer)
        if self._tokenizer.pad_token_id is None:
            # Padding is masked, so any token serves.
            self._tokenizer.pad_token = self._tokenizer.convert_ids_to_tokens(0)
        model, report = AutoModel.from_pretrained(
            str(folder),
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
        require_tensors(str(folder), report, encoder=model)
        self._model = model.eval().to(self._device)
        self._max_tokens = _max_tokens_of(folder, config, self._tokenizer)

    def vectors(self, texts: Sequence[str], owners: Sequence[str] = ()) -> NDArray[np.float32]:
        """float32 rows of length 1, shape (len(texts), d). ``owners``: whose each text is, as in
        ``cache_owner``; by default all are of the owner of this context."""
        whose = owners or [current_cache_owner()] * len(texts)
        keys = [(owner, replace_surrogates(text)) for owner, text in zip(whose, texts, strict=True)]
        missing = {key for key in keys if key not in self._cache}
        new = sorted(missing, key=lambda key: (len(key[1]), key[1], key[0]))  # little padding
        for start in range(0, len(new), self._batch):
            batch = new[start : start + self._batch]
            self._cache.update(zip(batch, self._encode([text for _, text in batch])))
        rows = []
        for key in keys:
            self._cache.move_to_end(key)
            rows.append(self._cache[key])
        while len(self._cache) > max(CACHE_SIZE, len(set(keys))):
            self._cache.popitem(last=False)
        return np.stack(rows) if rows else np.zeros((0, self.dimension), dtype=np.float32)

    @property
    def max_tokens(self) -> int | None:
        """The tokens of a text that are read, its rest is cut; None if that is not known."""
        if self._pooling is None:
            length = getattr(self._model, "max_seq_length", None)
            return None if length is None else int(length)
        return int(self._max_tokens)

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text, with those that mark its beginning and end, uncut."""
        tokenizer = self._model.tokenizer if self._pooling is None else self._tokenizer
        with silence_libraries():
            encoded = tokenizer([replace_surrogates(text) for text in texts], truncation=False)
        return [len(ids) for ids in encoded.input_ids]

    def clear_cache(self) -> None:
        """Empty the cache of vectors."""
        self._cache.clear()

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        if self._pooling is None:
            return int(self._model.get_sentence_embedding_dimension())
        return int(self._model.config.hidden_size)

    @torch.inference_mode()
    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        if self._pooling is None:
            rows = self._model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
            return self._require_finite(np.asarray(rows, dtype=np.float32))
        tokens = self._tokenizer(
            texts, padding=True, truncation=True, max_length=self._max_tokens, return_tensors="pt"
        ).to(self._device)
        if not tokens["input_ids"].shape[
            1
        ]:  # empty texts; in a batch with others they are zeros too
            return np.zeros((len(texts), self.dimension), dtype=np.float32)
        hidden = self._model(**tokens).last_hidden_state
        if self._pooling == "cls":
            pooled = hidden[:, 0]
        else:
            mask = tokens["attention_mask"].unsqueeze(-1).float()
            pooled = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
        unit = torch.nn.functional.normalize(pooled, dim=1)
        array: NDArray[np.float32] = unit.float().cpu().numpy()
        return self._require_finite(array)

    def _require_finite(self, array: NDArray[np.float32]) -> NDArray[np.float32]:
        if not np.isfinite(array).all():
            raise ModelCorrupt(
                f"{self._folder}: computes vectors with NaN, so its weights are "
                "damaged; fetch the model again"
            )
        return array


def _require_vectors(folder: Path, config: Any) -> None:
    """Raises ModelError for a reranker or a classifier."""
    classes = class_names(config)
    heads = ("Classification", "Answering")
    judges = bool(classes) and all(any(h in name for h in heads) for name in classes)
    if judges and not (folder / "modules.json").is_file():
        raise ModelError(
            f"{folder}: is a {classes[0]}, which judges texts and was not trained to make "
            "vectors; name an embedder, such as minilm"
        )


def _max_tokens_of(folder: Path, config: Any, tokenizer: Any) -> int:
    """How many tokens of a text are encoded: at most as many as the model has positions for."""
    limits = (
        read_json_object(folder / "sentence_bert_config.json").get("max_seq_length")
        or DEFAULT_MAX_TOKENS,
        getattr(config, "max_position_embeddings", None),
        tokenizer.model_max_length,
    )
    return min(limit for limit in limits if isinstance(limit, int) and limit > 0)


def _pooling(folder: Path) -> str | None:
    """``mean`` or ``cls`` if transformers can load the folder, else None. Raises ModelCorrupt,
    ModelError."""
    for file in folder.glob("*.safetensors"):
        require_no_lfs_pointer(file)
    config = read_json_object(folder / "config.json")
    modules = folder / "modules.json"
    if not modules.is_file():
        return None if config.get("is_encoder_decoder") else "mean"
    types = _module_types(modules)
    if not (folder / "config.json").is_file():
        return None  # the encoder is in a subfolder
    kinds = {name.rsplit(".", 1)[-1] for name in types}
    if not kinds <= {"Transformer", "Pooling", "Normalize"} or config.get("is_encoder_decoder"):
        return None
    if read_json_object(folder / "sentence_bert_config.json").get("do_lower_case"):
        return None
    if read_json_object(folder / "config_sentence_transformers.json").get("default_prompt_name"):
        return None
    modes = read_json_object(folder / "1_Pooling" / "config.json")
    on = [name for name, value in modes.items() if name.startswith("pooling_mode_") and value]
    return {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}.get(" ".join(on))


def _module_types(path: Path) -> list[str]:
    """The module classes of a sentence-transformers folder. Raises ModelError for a class that is
    not the library's own."""
    try:
        types = [str(module["type"]) for module in json.loads(path.read_bytes())]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelCorrupt(f"{path}: is not a list of modules ({error}); fetch it again") from error
    for name in types:
        if not name.startswith("sentence_transformers."):
            raise ModelError(
                f"{path}: wants the class {name} of the folder's own code, which is never run; "
                "name an embedder that sentence-transformers supports by itself"
            )
    return types


def load_embedder(
    name: str = "minilm",
    *,
    device: str = "cpu",
    alone: bool = False,
    progress: ProgressCallback | None = None,
) -> Embedder:
    """The embedder of a packaged model's name, a folder or a Hugging Face id.

    Raises ModelError, ModelNotFound, ModelCorrupt, SettingError for an absent device.
    """
    return Embedder(_embedder_folder(name, progress), pick_device(device), alone=alone)


def _embedder_folder(name: str, progress: ProgressCallback | None) -> Path:
    """The folder of an embedder: a packaged model, a folder or a Hugging Face id. Raises
    ModelError, ModelNotFound."""
    require_kind(name, "embedder")
    if name in {info.name for info in known_models()}:
        return pull(name, progress)
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.is_file():
        raise ModelError(
            f"{path}: is one file, not an embedder; name the folder of an embedder in "
            "safetensors, or minilm"
        )
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name))
    except (OSError, ValueError) as error:
        raise model_not_found(name) from error
