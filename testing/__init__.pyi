from .scripted_models import ReplayModel as ReplayModel
from .scripted_models import ScriptedAnswer as ScriptedAnswer
from .scripted_models import ScriptedModel as ScriptedModel
from .tiny_models import write_tiny_embedder as write_tiny_embedder
from .tiny_models import write_tiny_model as write_tiny_model

__all__: list[str]
