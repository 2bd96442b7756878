"""Random seeds in a tree: children are derived by name."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True, slots=True)
class Seed:
    """A node in a tree of seeds.

    The key of a child is the blake2b digest of the parent's key and the JSON of the path: the same
    on every machine and in every process.

    >>> Seed.of(1).child("day", 3, "Isabella") == Seed.of(1).child("day", 3, "Isabella")
    True
    >>> Seed.of(1).child("a").number == Seed.of(1).child("b").number
    False
    """

    key: str

    @classmethod
    def of(cls, number: int) -> Seed:
        """The root seed of a number, such as the ``--seed`` of a run."""
        return cls(blake2b(f"denizens:{number}".encode(), digest_size=16).hexdigest())

    def child(self, *path: str | int) -> Seed:
        """The seed at ``path`` below this one."""
        text = json.dumps([self.key, *path], ensure_ascii=False, separators=(",", ":"))
        return Seed(blake2b(text.encode(), digest_size=16).hexdigest())

    @property
    def number(self) -> int:
        """This seed as an integer in [0, 2**63)."""
        return int(self.key[:16], 16) >> 1

    def rng(self) -> random.Random:
        """A new random generator with this seed."""
        return random.Random(self.number)


def uniform(seed: int, position: int) -> float:
    """A number in [0, 1) determined by a seed and a position.

    >>> uniform(1, 0) == uniform(1, 0) and uniform(1, 0) != uniform(1, 1)
    True
    """
    noise = blake2b(f"{seed}:{position}".encode(), digest_size=8).digest()
    return (int.from_bytes(noise) >> 11) / 2**53
