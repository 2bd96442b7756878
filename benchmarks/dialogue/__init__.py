"""``denizens bench dialogue``: likelihood of true lines, the right reply among others, told facts,
the conversations of a town, and a blind comparison of speakers.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
