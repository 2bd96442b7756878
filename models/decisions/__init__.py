"""Choose and Rate by likelihood: no token is generated and no reply is parsed.

``decider`` answers an ask from features of each option (``option_features``);
``scoring_prompts`` writes the contexts and targets that the language model scores;
``calibration`` says which features count how much for a model, and ``calibrator`` measures
that.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
