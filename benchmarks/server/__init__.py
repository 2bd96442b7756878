"""Benchmarks of the web server under load: streaming clients, a burst, disconnects, slow readers;
loopback only, on a scripted model whose pieces come at a fixed pace.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
