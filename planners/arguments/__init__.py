"""Tool calls: which tool a request means, and the arguments that it states.

Candidates for each field are read from the request (numbers, dates, names, lists), scored by
weighted features, and selected together.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
