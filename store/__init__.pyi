from .chained_log import ChainedLog as ChainedLog
from .checksums import Damage as Damage
from .checksums import chain_digest as chain_digest
from .database_file import WriterLock as WriterLock
from .database_file import connect_read_only as connect_read_only
from .database_file import database_files as database_files
from .database_file import is_database as is_database
from .database_file import wal_path as wal_path
from .sqlite_store import Store as Store

__all__: list[str]
