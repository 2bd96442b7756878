"""Tool calls: which tool a request means, and the arguments that it gives.

Candidates for each field are read off the request (numbers, dates, names, lists), scored by
weighted features, and chosen together; nothing that the request does not state is made up for
a tool that acts.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
