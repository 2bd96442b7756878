"""What a scenario will cost before it is run: model calls, tokens and seconds, hour by hour.

The scenario is rehearsed with a fast stand-in model (rehearsal_model), the real engine
answers a sample of the asks (engine_probe), and cost_forecast combines both into a range.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
