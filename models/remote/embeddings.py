"""Embeddings for a remote language model, by an embedder in this process or by the server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from .request_errors import RequestError
from .transport import OpenAITransport, RequestUsage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class TextEmbeddings(Protocol):
    """Embeds texts as float32 rows of length 1, shape (texts, d)."""

    async def vectors(self, texts: Sequence[str], usage: RequestUsage) -> NDArray[np.float32]:
        """The embeddings of texts; their tokens are added to ``usage``. Raises RequestError."""


class LocalEmbeddings:
    """An embedder in this process, loaded at first use, which runs in a thread.

    Texts that arrive while it runs form the next batch.
    """

    def __init__(self, name: str, device: str) -> None:
        self._name = name
        self._device = device
        self._embedder: Any = None
        self._worker: asyncio.Task[None] | None = None
        self._waiting: list[tuple[Sequence[str], asyncio.Future[Any]]] = []

    async def vectors(self, texts: Sequence[str], usage: RequestUsage) -> NDArray[np.float32]:
        """The embeddings of texts; uses no tokens of the server."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((texts, future))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._run_batches())
        rows: NDArray[np.float32] = await future
        return rows

    async def _run_batches(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            texts = [text for texts, _ in waiting for text in texts]
            work = asyncio.create_task(asyncio.to_thread(self._encode, texts))
            await asyncio.wait([work])
            start = 0
            for texts_of_ask, future in waiting:
                if future.done():  # its ask was cancelled meanwhile
                    pass
                elif error := work.exception():
                    future.set_exception(error)
                else:
                    future.set_result(work.result()[start : start + len(texts_of_ask)])
                start += len(texts_of_ask)

    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        if self._embedder is None:
            from ..embedders import load_embedder

            self._embedder = load_embedder(self._name, device=self._device)
        rows: NDArray[np.float32] = self._embedder.vectors(texts)
        return rows


class ServerEmbeddings:
    """The server's endpoint ``/embeddings``, with its model ``name``."""

    def __init__(self, transport: OpenAITransport, name: str) -> None:
        self._transport = transport
        self._name = name

    async def vectors(self, texts: Sequence[str], usage: RequestUsage) -> NDArray[np.float32]:
        """The embeddings of texts, scaled to length 1. Raises RequestError."""
        import numpy as np

        if not texts:
            raise RequestError(
                "refused", "an Embed of no texts has no vectors that a server could make"
            )
        rows = await self._transport.embed(self._name, list(texts), usage)
        try:
            array = np.asarray(rows, dtype=np.float32)
            if array.ndim != 2 or not array.shape[1] or not np.isfinite(array).all():
                raise ValueError("not one row of numbers for each text")
            norms = np.linalg.norm(array, axis=1, keepdims=True)
        except (ValueError, TypeError) as error:
            raise RequestError("engine", f"the server sent vectors of no shape: {error}") from error
        return np.asarray(array / np.maximum(norms, 1e-12), dtype=np.float32)
