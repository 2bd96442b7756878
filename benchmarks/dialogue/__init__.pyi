from .dialogue_suite import DIALOGUE_PARTS as DIALOGUE_PARTS
from .dialogue_suite import measure_dialogue as measure_dialogue
from .line_faults import town_figures as town_figures
from .town_talk import TownConversation as TownConversation
from .town_talk import TownLine as TownLine
from .town_talk import conversation_text as conversation_text
from .town_talk import read_conversations as read_conversations
from .town_talk import run_mornings as run_mornings

__all__: list[str]
