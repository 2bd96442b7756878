"""The parts of which every planner builds a step: StepBuilder, prompts, choices among drafts.

Also here: what the world affords as tools, and memories of what was observed.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
