"""Text utilities of the planners: sentences in any script, memories in the first person,
clean-up of generated lines, excerpts.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
