"""The SQLite store: one file for runs and memories, with schema versions, transactions, a writer
lock and checksums.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
