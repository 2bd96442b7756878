"""What of a memory is held in RAM: all but what recall leaves out for long."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...core import AgentId, Record, RecordId, RecordKind, is_visible
from ..storage import hidden_id_array, hidden_ids, is_erased, read_quarantined, read_records_by_id
from .memory_index import MemoryIndex

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from ...store import Store
    from ..memory import Memory

UNLOAD_SLACK = 64
"""So many hidden records, and a tenth of those held, may stay on a shelf: taking them down
goes through all of it."""


def load_index(store: Store, agent: AgentId, step: int | None, kind: DTypeLike) -> MemoryIndex:
    """The shelf for now, or for a view of the past, which needs what the first has dropped."""
    shelf: MemoryIndex | None = store.cache.get(("memory", agent))
    if shelf is None:
        # Where somebody is quarantined, what is hidden depends on who said what.
        left_out = () if read_quarantined(store, agent) else hidden_ids(store, agent)
        shelf = store.cache["memory", agent] = MemoryIndex.read(store, agent, kind, left_out)
    if step is None or not len(shelf.unloaded):
        return shelf
    whole: MemoryIndex | None = store.cache.get(("memory whole", agent))
    if whole is None:
        whole = store.cache["memory whole", agent] = MemoryIndex.read(store, agent, kind)
    return whole


def loaded_indexes(store: Store, agent: AgentId) -> list[MemoryIndex]:
    """What is held of a memory, for a writer to keep up."""
    kept = [store.cache.get((name, agent)) for name in ("memory", "memory whole")]
    return [shelf for shelf in kept if shelf is not None]


def current_index(memory: Memory) -> tuple[MemoryIndex, NDArray[np.int64]]:
    """The shelf that a recall works on, and the places on it that recall leaves out.

    Takes down what was hidden since, once it is enough to be worth it, and reads the shelf
    anew when something that was taken down is back.
    """
    shelf, store, agent, step = memory.index, memory.store, memory.agent, memory.as_of_step
    held = shelf.quarantined
    tainted = shelf.is_quarantined if held else None
    numbers = hidden_id_array(store, agent, step, held, tainted)
    if step is not None:
        return shelf, shelf.positions_of(numbers)
    if shelf.hidden[0] is not numbers:
        if len(np.setdiff1d(shelf.unloaded, numbers)):
            del store.cache["memory", agent]
            shelf = memory.index
        places = shelf.positions_of(numbers)
        if len(places) > UNLOAD_SLACK + len(shelf.records) // 10:
            shelf.unload(places)
            places = places[:0]
        shelf.hidden = (numbers, places)
    return shelf, shelf.hidden[1]


def stored_record(memory: Memory, number: RecordId) -> Record:
    """The record of a number, held or not, gone or not."""
    shelf = memory.index
    places = shelf.positions_of([number])
    if len(places):
        return shelf.records.get(int(places[0]))
    return read_records_by_id(memory.store, memory.agent, [number])[0]


def list_records(
    memory: Memory, kinds: Sequence[RecordKind], last: int | None, person: AgentId
) -> tuple[Record, ...]:
    """See ``Memory.list_records``."""
    shelf = memory.index
    places = shelf.visible_positions(shelf.count_at(memory.as_of_step), kinds, person)
    if last is not None:
        places = places[max(0, len(places) - last) :]
    found = [shelf.records.get(place) for place in places.tolist()]
    others: Iterable[RecordId] = shelf.unloaded.tolist()
    if last is not None and len(found) == last:
        # Older than all of the last are none of them.
        least = found[0].id if found else len(memory) + 1
        others = [number for number in others if number > least]
    for record in read_records_by_id(memory.store, memory.agent, list(others)):
        heard = is_visible(record.audience, person)
        if heard and not is_erased(record) and (not kinds or record.kind in kinds):
            found.append(record)
    if len(found) > len(places):
        found.sort(key=lambda record: record.id)
    return tuple(found[max(0, len(found) - last) :] if last is not None else found)
