"""Critics: discriminators of next lines, their data, fitting and figures, and the rounds of voice
against critic. Needs the extra ``train``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
