"""Foreign file formats, read and written. Smallville (generative agents): map folder, persona
memories, base simulations as scenarios, finished runs as viewer pages.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
