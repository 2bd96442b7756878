from .dialogue_planner import Dialogue as Dialogue
from .dialogue_planner import DialogueInput as DialogueInput
from .dialogue_planner import DialogueReply as DialogueReply
from .intents import LANGUAGES as LANGUAGES
from .intents import SENTIMENTS as SENTIMENTS
from .intents import Classification as Classification
from .intents import Intent as Intent
from .intents import Understanding as Understanding
from .intents import understand as understand

__all__: list[str]
