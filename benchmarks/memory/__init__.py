"""Benchmarks of memory: recall quality and speed, answerability, facts that change, compaction,
fault injection; the LoCoMo data set.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
