"""One SQLite file: connection, schema versions, transactions, writer lock, checksums."""

from .checks import Damage, chain
from .store import Store

__all__ = ["Damage", "Store", "chain"]
