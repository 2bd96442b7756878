"""Facts of a memory, with validity times, sources and audience. Statements are appended, never
changed; `FactView` computes which fact holds when; `Facts` reads and writes. Extraction by rule or
by model, the graph of entities, and answers to questions about changed facts.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
