"""Text of any script: normalisation, words and sentences, names of people and agents, text
files, and times of day written in prose.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
