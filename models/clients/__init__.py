"""What model clients share: the event inbox, the client of a function, usage accounting.

A client has one mailbox: `submit` and `cancel` asks, `wait` for their events. `EventInbox` takes
events from other threads; `InstantClient` computes answers at `wait`; `UsageLedger` sums costs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
