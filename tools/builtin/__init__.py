"""The tools that come with the package: arithmetic, units, date and time, files, notes, language
skills, memory search, a Python sandbox.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
