"""What of a memory is held in RAM: all but what recall leaves out for long."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..core import AgentId, Kind, Record, RecordId
from .claim import visible
from .encoding import gone
from .hiding import hidden, hidden_numbers
from .ledger import read_quarantine
from .shelf import Shelf
from .table import read_some

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from ..store import Store
    from .memory import Memory

SLACK = 64
"""So many hidden records, and a tenth of those held, may stay on a shelf: taking them down
goes through all of it."""


def load(store: Store, agent: AgentId, step: int | None, kind: DTypeLike) -> Shelf:
    """The shelf for now, or for a view of the past, which needs what the first has dropped."""
    shelf: Shelf | None = store.cache.get(("memory", agent))
    if shelf is None:
        # Where somebody is quarantined, what is hidden depends on who said what.
        left_out = () if read_quarantine(store, agent) else hidden(store, agent)
        shelf = store.cache["memory", agent] = Shelf.read(store, agent, kind, left_out)
    if step is None or not len(shelf.dropped):
        return shelf
    whole: Shelf | None = store.cache.get(("memory whole", agent))
    if whole is None:
        whole = store.cache["memory whole", agent] = Shelf.read(store, agent, kind)
    return whole


def shelves(store: Store, agent: AgentId) -> list[Shelf]:
    """What is held of a memory, for a writer to keep up."""
    kept = [store.cache.get((name, agent)) for name in ("memory", "memory whole")]
    return [shelf for shelf in kept if shelf is not None]


def settled(memory: Memory) -> tuple[Shelf, NDArray[np.int64]]:
    """The shelf that a recall works on, and the places on it that recall leaves out.

    Takes down what was hidden since, once it is enough to be worth it, and reads the shelf
    anew when something that was taken down is back.
    """
    shelf, store, agent, step = memory.shelf, memory.store, memory.agent, memory.step
    held = shelf.quarantined
    tainted = shelf.suspected if held else None
    numbers = hidden_numbers(store, agent, step, held, tainted)
    if step is not None:
        return shelf, shelf.places_of(numbers)
    if shelf.hidden[0] is not numbers:
        if len(np.setdiff1d(shelf.dropped, numbers)):
            del store.cache["memory", agent]
            shelf = memory.shelf
        places = shelf.places_of(numbers)
        if len(places) > SLACK + len(shelf.records) // 10:
            shelf.drop(places)
            places = places[:0]
        shelf.hidden = (numbers, places)
    return shelf, shelf.hidden[1]


def kept(memory: Memory, number: RecordId) -> Record:
    """The record of a number, held or not, gone or not."""
    shelf = memory.shelf
    places = shelf.places_of([number])
    if len(places):
        return shelf.records.kept(int(places[0]))
    return read_some(memory.store, memory.agent, [number])[0]


def records(
    memory: Memory, kinds: Sequence[Kind], last: int | None, person: AgentId
) -> tuple[Record, ...]:
    """See ``Memory.records``."""
    shelf = memory.shelf
    places = shelf.places(shelf.count_at(memory.step), kinds, person)
    if last is not None:
        places = places[max(0, len(places) - last) :]
    found = [shelf.records.kept(place) for place in places.tolist()]
    others: Iterable[RecordId] = shelf.dropped.tolist()
    if last is not None and len(found) == last:
        # Older than all of the last are none of them.
        least = found[0].id if found else len(memory) + 1
        others = [number for number in others if number > least]
    for record in read_some(memory.store, memory.agent, list(others)):
        heard = visible(record.audience, person)
        if heard and not gone(record) and (not kinds or record.kind in kinds):
            found.append(record)
    if len(found) > len(places):
        found.sort(key=lambda record: record.id)
    return tuple(found[max(0, len(found) - last) :] if last is not None else found)
