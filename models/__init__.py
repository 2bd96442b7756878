"""What answers model asks: the local engine, its catalogue, and doubles for tests.

Importing this package loads no torch; the engine does on first use.
"""

from .catalogue import ModelInfo, cache_home, is_installed, known_models, pull, remove
from .doubles import ImprovisedModel, ReplayModel, ScriptedModel
from .loading import load_model, model_from_name
from .router import Router

__all__ = [
    "ImprovisedModel",
    "ModelInfo",
    "ReplayModel",
    "Router",
    "ScriptedModel",
    "cache_home",
    "is_installed",
    "known_models",
    "load_model",
    "model_from_name",
    "pull",
    "remove",
]
