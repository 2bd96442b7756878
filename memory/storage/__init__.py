"""How a memory is kept in a store: record table, access log, audit log, auxiliary logs,
tool-call log, hidden records, checks, recovery of damaged files, JSON Lines export and
import.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
