"""Speech: its prompt, which planners and training share, the voice it asks for, drafts of a line,
and the rules that refuse drafts.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
