"""What model, world and planner exchange with an agent: asks and answers, thoughts (generators
that yield asks) and the driver, agent state and steps, and the protocols Model, World and
Planner.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
