"""Embeddings beside a server's language model: by an embedder in this process, or by it."""

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
    """Makes float32 rows of length 1, shape (texts, d)."""

    async def vectors(self, texts: Sequence[str], cost: RequestUsage) -> NDArray[np.float32]:
        """The texts' vectors. Raises RequestError."""
        ...


class LocalEmbeddings:
    """An embedder in this process, loaded at the first use, in a thread beside the loop.

    What is asked while it works is done together when it is free.
    """

    def __init__(self, name: str, device: str) -> None:
        self._name = name
        self._device = device
        self._embedder: Any = None
        self._worker: asyncio.Task[None] | None = None
        self._waiting: list[tuple[Sequence[str], asyncio.Future[Any]]] = []

    async def vectors(self, texts: Sequence[str], cost: RequestUsage) -> NDArray[np.float32]:
        """The texts' vectors; costs no tokens of the server."""
        mine: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((texts, mine))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._run_batches())
        found: NDArray[np.float32] = await mine
        return found

    async def _run_batches(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            texts = [text for texts, _ in waiting for text in texts]
            work = asyncio.create_task(asyncio.to_thread(self._encode, texts))
            await asyncio.wait([work])
            at = 0
            for own, future in waiting:
                if future.done():  # its ask was broken off meanwhile
                    pass
                elif error := work.exception():
                    future.set_exception(error)
                else:
                    future.set_result(work.result()[at : at + len(own)])
                at += len(own)

    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        if self._embedder is None:
            from ..embedders import Embedder, embedder_folder
            from ..engine.backend_factory import pick_device

            self._embedder = Embedder(embedder_folder(self._name, None), pick_device(self._device))
        found: NDArray[np.float32] = self._embedder.vectors(texts)
        return found


class ServerEmbeddings:
    """The server's ``/embeddings``, by its model ``name``."""

    def __init__(self, wire: OpenAITransport, name: str) -> None:
        self._transport = wire
        self._name = name

    async def vectors(self, texts: Sequence[str], cost: RequestUsage) -> NDArray[np.float32]:
        """The texts' vectors, scaled to length 1. Raises RequestError."""
        import numpy as np

        if not texts:
            raise RequestError(
                "refused", "an Embed of no texts has no vectors that a server could make"
            )
        rows = await self._transport.embed(self._name, list(texts), cost)
        try:
            array = np.asarray(rows, dtype=np.float32)
            if array.ndim != 2 or not array.shape[1] or not np.isfinite(array).all():
                raise ValueError("not one row of numbers for each text")
            lengths = np.linalg.norm(array, axis=1, keepdims=True)
        except (ValueError, TypeError) as error:
            raise RequestError("engine", f"the server sent vectors of no shape: {error}") from error
        return np.asarray(array / np.maximum(lengths, 1e-12), dtype=np.float32)
