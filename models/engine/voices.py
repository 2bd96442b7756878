"""The voices of a model: the adapters that asks name, read from their folders at first use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

from ...core import DEFAULT_VOICE
from ..files import Adapter, read_adapter, require_fit
from .backends import Backend

VoiceCallback: TypeAlias = Callable[[str, Adapter], None]
"""Called with the name of a voice in asks and the adapter that was loaded for it."""


class VoiceTable:
    """Adapters by the name that asks use: ``DEFAULT_VOICE`` or a folder.

    ``shapes``: the (out, in) sizes of the linear layers of ``model``, by path. ``default``: the
    voice that the model was loaded with, which the backend has already. ``on_load`` is called for
    each voice once its adapter is in the backend.
    """

    def __init__(
        self,
        backend: Backend,
        model: str,
        shapes: Mapping[str, tuple[int, int]],
        default: Adapter | None = None,
        on_load: VoiceCallback | None = None,
    ) -> None:
        self._backend, self._model, self._shapes = backend, model, shapes
        self._on_load = on_load
        self._adapters: dict[str, Adapter] = {}
        if default is not None:
            self._add(DEFAULT_VOICE, default)

    @property
    def digests(self) -> dict[str, str]:
        """The digests of the loaded voices by name."""
        return {voice: adapter.digest for voice, adapter in self._adapters.items()}

    @property
    def default(self) -> Adapter | None:
        """The voice that the model was loaded with."""
        return self._adapters.get(DEFAULT_VOICE)

    def adapter(self, voice: str, folder: Path | None = None) -> Adapter | None:
        """The adapter of a voice, loaded if it was not; None for the base weights, also where the
        model has no default voice. ``folder``: where it lies, if its name is not its folder from
        here. Raises ModelError for a folder without a fitting voice."""
        known = self._adapters.get(voice)
        if voice in ("", DEFAULT_VOICE):
            return known
        if known is None or folder not in (None, known.folder):
            return self._load(voice, folder or Path(voice).expanduser())
        return known

    def digest(self, voice: str) -> str:
        """The digest of a voice's adapter, "" for the base weights. Raises as ``adapter``."""
        adapter = self.adapter(voice)
        return adapter.digest if adapter is not None else ""

    def _load(self, voice: str, folder: Path) -> Adapter:
        adapter = read_adapter(folder)
        require_fit(adapter, self._shapes, self._model)
        if adapter.digest not in self.digests.values():
            self._backend.add_adapter(adapter)
        self._add(voice, adapter)
        return adapter

    def _add(self, voice: str, adapter: Adapter) -> None:
        if self._on_load is not None:
            self._on_load(voice, adapter)
        self._adapters[voice] = adapter
