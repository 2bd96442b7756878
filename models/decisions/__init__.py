"""Choose and Rate by likelihood: no token is generated and no reply is parsed.

``option_scorer`` computes choices and ratings from embeddings and log-probabilities; ``decider``
does so with the local engine, ``models.remote`` with a server. ``scoring_prompts`` are the
prompts that are scored, ``scoring_method`` weights features and fits the weights, and
``calibration`` stores the weights of a model.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
