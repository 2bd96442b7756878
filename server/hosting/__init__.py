"""What all web APIs of a server share: its agents, its settings, who is calling.

``agent_hosts`` has the agents by model id, ``settings`` the limits, ``callers`` who a request is
from and for which person it may speak.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
