"""One SQLite file: connection, schema versions, transactions, writer lock, checksums."""

from .checks import Damage, chain
from .opening import WriterLock, connect_reading, files_of, is_database, wal_of
from .store import Store

__all__ = [
    "Damage",
    "Store",
    "WriterLock",
    "chain",
    "connect_reading",
    "files_of",
    "is_database",
    "wal_of",
]
