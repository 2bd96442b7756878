"""One SQLite file: connection, schema versions, transactions, writer lock, checksums."""

from .checks import Damage, chain_digest
from .opening import WriterLock, connect_read_only, database_files, is_database, wal_path
from .store import Store

__all__ = [
    "Damage",
    "Store",
    "WriterLock",
    "chain_digest",
    "connect_read_only",
    "database_files",
    "is_database",
    "wal_path",
]
