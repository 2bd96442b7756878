"""What all web APIs of a server share: its agents, its limits, who is calling, admission.

``agent_hosts`` has the agents by model id, ``hosting_settings`` the limits; ``api_keys``,
``person_directory`` and ``callers`` say who a request is from and for which person it may speak;
``admission`` bounds how many run and wait; ``dependencies`` has the FastAPI dependencies.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
