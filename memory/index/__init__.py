"""The data in RAM that recall computes on: records and columns, vectors and their 8-bit first pass,
the BM25 index, date expressions.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
