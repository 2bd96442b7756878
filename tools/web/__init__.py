"""Fetching web pages safely: public addresses only, DNS pinned to the checked address, bodies as
plain text.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
