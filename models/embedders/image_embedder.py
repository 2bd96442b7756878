"""Embeddings of images and texts in one space: a CLIP model by sentence-transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core import ModelCorrupt, ModelError, SettingError
from ..files import checked_encoders, silence_libraries

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ImageEmbedder:
    """Unit vectors of images and of texts that can be compared with each other.

    ``name`` is a folder or Hugging Face id of a CLIP-like model. Raises SettingError if pillow
    is missing or the model embeds no images, ModelCorrupt if it cannot be loaded.
    """

    def __init__(self, name: str | Path, *, device: str = "cpu") -> None:
        try:
            import PIL  # noqa: F401
        except ImportError as error:
            raise SettingError(
                f"{name}: images need pillow; pip install 'denizens[images]'"
            ) from error
        from sentence_transformers import SentenceTransformer

        try:
            with silence_libraries(), checked_encoders(str(name)):
                self._model: Any = SentenceTransformer(
                    str(name), device=device, trust_remote_code=False
                )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise ModelCorrupt(
                f"{name}: cannot be loaded as a model of images ({error}); name another"
            ) from error
        if "image" not in self._model.modalities:
            raise SettingError(f"{name}: embeds no images; name a CLIP model")

    def text_vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32 rows of length 1, shape (len(texts), d)."""
        return self._unit_vectors(list(texts))

    def image_vectors(self, paths: Sequence[Path | str]) -> NDArray[np.float32]:
        """float32 rows of length 1, shape (len(paths), d). Raises ModelError naming the first file
        that is not an image."""
        from PIL import Image, UnidentifiedImageError

        images = []
        for path in paths:
            try:
                with Image.open(path) as image:
                    images.append(image.convert("RGB"))
            except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
                raise ModelError(f"{path}: is not a readable image ({error})") from error
        return self._unit_vectors(images)

    def _unit_vectors(self, inputs: list[Any]) -> NDArray[np.float32]:
        import numpy as np

        with silence_libraries():
            rows: NDArray[np.float32] = self._model.encode(
                inputs, normalize_embeddings=True, show_progress_bar=False
            )
        return np.asarray(rows, np.float32)
