"""Character cards (SillyTavern V1, V2 and V3, as JSON or in PNG files), read and written: a card
becomes a persona, memories from its lorebook, and greetings. The card's own JSON is kept, so that
an export changes nothing that the package does not use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
