"""One turn of a conversation: understand the line (intent, slots, mood, language), recall, call
a tool, and choose the reply.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
