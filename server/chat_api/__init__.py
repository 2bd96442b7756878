"""Own API: sessions, memory, interviews and approvals, and the chat page.

``router`` puts together the routes of ``agent_routes``, ``session_routes``, ``memory_routes`` and
``approval_routes`` under ``/api`` and the files of the page; ``views`` has the types of their JSON.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
