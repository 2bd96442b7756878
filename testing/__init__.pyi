from .adversarial_models import Answerer as Answerer
from .adversarial_models import EchoModel as EchoModel
from .adversarial_models import RandomAnswerer as RandomAnswerer
from .adversarial_models import RefusingAnswerer as RefusingAnswerer
from .adversarial_models import RepeatingAnswerer as RepeatingAnswerer
from .adversarial_models import adversarial_answerers as adversarial_answerers
from .planner_contract import check_planner as check_planner
from .scripted_models import ReplayModel as ReplayModel
from .scripted_models import ScriptedAnswer as ScriptedAnswer
from .scripted_models import ScriptedModel as ScriptedModel
from .situations import default_situations as default_situations
from .thought_replay import recorded_asks as recorded_asks
from .thought_replay import retrace as retrace
from .thought_replay import retrace_step as retrace_step
from .tiny_models import write_tiny_embedder as write_tiny_embedder
from .tiny_models import write_tiny_model as write_tiny_model
from .tiny_models import write_tiny_voice as write_tiny_voice
from .tool_contract import check_tool as check_tool
from .world_contract import check_world as check_world

__all__: list[str]
