"""What a run records: the journal and all that is kept beside it in the run's store.

Journal is the hash chain of steps with asks, answers, states and snapshots; UsageTable the cost of
asks; Recorder answers a step's asks from the record or from models; FailureMonitor counts asks
without a usable answer.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
