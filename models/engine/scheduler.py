"""Which sequences run in the next forward pass: admission, order, preemption.

Every pass takes one token of each sequence that generates and fills up with chunks of prompts,
so long prompts do not stall generation (chunked prefill: Sarathi, Agrawal et al. 2024).
Sequences with a common prefix wait for the first of them and then share its keys and values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .backends import Backend
from .request import SchedulingKey, TokenSequence

MIN_LEAD_TOKENS = 24  # tokens that a sequence must share with one ahead to wait for it
STEP_COST = 2  # one generated token costs as much as so many tokens of a prompt
MAX_WAIT_PASSES = 64  # passes for which more urgent requests may hold up a sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """Size of a batch: at most ``rows`` sequences, about ``pass_tokens`` tokens per pass.

    ``exclusive``: one request at a time, nothing cached between requests.
    """

    rows: int = 64
    pass_tokens: int = 256
    exclusive: bool = False


class Scheduler:
    """The waiting and the running sequences.

    When the cache is full, the least urgent running sequence goes back to the queue; no request
    fails for lack of memory. ``preempted`` counts how often that happened.
    """

    def __init__(self, backend: Backend, limits: BatchLimits) -> None:
        self.backend = backend
        self.limits = limits
        self.waiting: list[TokenSequence] = []
        self.running: list[TokenSequence] = []
        self.preempted = 0
        self._passes = 0

    def add(self, sequence: TokenSequence) -> None:
        """Put a sequence into the queue."""
        sequence.last_pass = self._passes
        self.waiting.append(sequence)

    def raise_priority(self, owner: object, key: SchedulingKey) -> None:
        """Give the sequences of ``owner`` the key of one more request, if it is more urgent."""
        for sequence in [*self.waiting, *self.running]:
            if sequence.owner is owner:
                sequence.key = min(sequence.key, key)

    def admit(self) -> None:
        """Start waiting sequences in order of their keys while there is room.

        A sequence whose prefix is being computed by one ahead of it stays in the queue. Less
        urgent sequences take no room from more urgent ones.
        """
        if not self.waiting:
            return
        self.waiting.sort(key=lambda sequence: sequence.key)
        counts = Counter(sequence.key[0] for sequence in self.running)
        free = self._free_places(counts, self.waiting[0])
        if free <= 0:
            return
        window = self.waiting[: 2 * free]
        ahead = [one for one in self.running if one.cacheable and not one.cached]
        sharers = Counter(id(node) for one in window for node in self.backend.cached_path(one))
        admitted: set[int] = set()
        for sequence in window:
            if self._free_places(counts, sequence) <= 0:
                break
            prefix = sequence.ids[: sequence.logits_from]
            known = self.backend.cached_length(prefix, sequence.scope)
            if any(_computes_prefix_of(one, sequence, known + MIN_LEAD_TOKENS) for one in ahead):
                continue
            if not self._allocate(sequence, sharers):
                break
            admitted.add(id(sequence))
            counts[sequence.key[0]] += 1
            sharers.subtract(id(node) for node in sequence.prefix_nodes)
            self.running.append(sequence)
            if sequence.cacheable and not sequence.cached:
                ahead.append(sequence)
        if admitted:
            self.waiting = [one for one in self.waiting if id(one) not in admitted]

    def schedule(self) -> list[tuple[TokenSequence, int]]:
        """The batch of the next pass: sequences and how many of their tokens.

        Generation waits while a more urgent prompt is read. A sequence that is computed already
        is returned with 0 tokens.
        """
        prompts = [one for one in self.running if one.pending > 1 or one.single_pass]
        urgent = min((one.key[0] for one in prompts), default=None)
        batch: dict[int, tuple[TokenSequence, int]] = {}
        generating = [one for one in self.running if one.pending == 1 and not one.single_pass]
        for sequence in sorted(generating, key=lambda one: one.key):
            yields = urgent is not None and sequence.key[0] > urgent
            if yields or len(batch) == self.limits.rows:
                break
            if sequence in self.running and self._ensure_room(sequence, 1, batch):
                batch[id(sequence)] = (sequence, 1)
        budget = self.limits.pass_tokens
        left = max(budget - STEP_COST * len(batch), budget // 4)
        chunks = 0
        for sequence in sorted(prompts, key=lambda one: one.key):
            uncut = self.backend.whole_prompts or sequence.slot is None
            count = sequence.pending if uncut else min(sequence.pending, left)
            if count <= 0 or (count > left and chunks):
                continue
            if sequence in self.running and self._ensure_room(sequence, count, batch):
                batch[id(sequence)] = (sequence, count)
                left -= count
                chunks += 1
        self._passes += 1
        for sequence, _ in batch.values():
            sequence.last_pass = self._passes
        if self._passes % MAX_WAIT_PASSES == 0:
            self._prevent_starvation()
        computed = [(sequence, 0) for sequence in self.running if sequence.pending == 0]
        # Side by side, so that each adapter changes one slice of the rows.
        return [*computed, *sorted(batch.values(), key=lambda one: one[0].adapter)]

    def remove_where(self, unused: Callable[[TokenSequence], bool]) -> None:
        """Remove all sequences for which ``unused`` is true."""
        self.waiting = [sequence for sequence in self.waiting if not unused(sequence)]
        for sequence in [sequence for sequence in self.running if unused(sequence)]:
            self.remove(sequence)

    def remove(self, sequence: TokenSequence) -> None:
        """Remove a sequence and free its memory."""
        if sequence in self.running:
            self.running.remove(sequence)
            self.backend.release(sequence)
        else:
            self.waiting = [other for other in self.waiting if other is not sequence]

    def _free_places(self, counts: Mapping[int, int], sequence: TokenSequence) -> int:
        """How many more sequences as urgent as this one may run; ``counts`` by priority."""
        urgent = sum(n for priority, n in counts.items() if priority <= sequence.key[0])
        return self.limits.rows - urgent

    def _allocate(self, sequence: TokenSequence, sharers: Mapping[int, int]) -> bool:
        """Allocate a sequence, preempting less urgent ones if necessary."""
        while not self.backend.allocate(sequence, sharers):
            victim = max(self._preemptible(sequence), key=lambda one: one.key, default=sequence)
            if victim.key[0] <= sequence.key[0]:
                return False
            self._preempt(victim)
        return True

    def _ensure_room(
        self, sequence: TokenSequence, count: int, batch: dict[int, tuple[TokenSequence, int]]
    ) -> bool:
        """Make room for a sequence's next tokens, preempting later sequences if necessary and
        the sequence itself as the last resort."""
        while not self.backend.ensure_room(sequence, count):
            victim = max(self._preemptible(sequence), key=lambda one: one.key, default=sequence)
            if victim.key <= sequence.key:
                victim = sequence
            batch.pop(id(victim), None)
            self._preempt(victim)
            if victim is sequence:
                return False
        return True

    def _preemptible(self, sequence: TokenSequence) -> list[TokenSequence]:
        """Other running sequences that hold memory of their own."""
        holding = [one for one in self.running if one.slot is not None or one.state is not None]
        return [one for one in holding if one is not sequence]

    def _preempt(self, sequence: TokenSequence) -> None:
        self.remove(sequence)
        self.waiting.append(sequence)
        self.preempted += 1

    def _prevent_starvation(self) -> None:
        """Schedule the request that has waited longest behind more urgent ones, if for too long,
        right after the most urgent requests of this moment."""
        sequences = [*self.waiting, *self.running]
        top = min((one.key[0] for one in sequences), default=0)
        late = [
            one
            for one in sequences
            if one.key[0] > top and self._passes - one.last_pass >= MAX_WAIT_PASSES
        ]
        if late:
            ticket = min(late, key=lambda one: (one.last_pass, one.key[1:])).key[-1]
            behind = max(one.key for one in sequences if one.key[0] == top)
            for sequence in sequences:
                if sequence.key[-1] == ticket:
                    sequence.key = (behind[0], behind[1], behind[2] + 1, ticket)


def _computes_prefix_of(one: TokenSequence, other: TokenSequence, tokens: int) -> bool:
    """Whether ``one`` computes at least the first ``tokens`` tokens of ``other`` and is at least
    as urgent."""
    if one.key[0] > other.key[0] or min(one.cacheable, other.logits_from) < tokens:
        return False
    if one.adapter != other.adapter:
        return False
    if one.scope.owner != other.scope.owner:
        # What others compute is found up to where it is public.
        public = one.scope.shared(tokens), other.scope.shared(tokens)
        if min(public) < tokens:
            return False
    same = one.ids[tokens - 1] == other.ids[tokens - 1]
    return same and one.ids[:tokens] == other.ids[:tokens]
