"""Training: voices (adapters that teach a model to converse), critics (discriminators of lines),
and the data for both. Needs the extra ``train``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
