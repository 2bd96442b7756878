"""A live town: a run served as a page while it goes on, into which people can walk.

``live_town`` steps the simulation in a thread, ``live_feed`` numbers what happens for readers,
``live_routes`` are its HTTP routes, ``live_server`` makes what they serve, ``page`` is the page.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
