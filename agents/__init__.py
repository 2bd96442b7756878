"""The Agent and its services: routing asks to models, memory and tools; executing tool calls
with approvals; chat turns; the provenance and budget guard; information-flow labels;
maintenance.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
