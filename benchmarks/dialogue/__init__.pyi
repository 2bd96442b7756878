from .blind_ballots import read_verdicts as read_verdicts
from .blind_ballots import talk_situations as talk_situations
from .blind_ballots import town_situations as town_situations
from .blind_ballots import write_ballots as write_ballots
from .blind_speakers import BlindSituation as BlindSituation
from .blind_speakers import planner_lines as planner_lines
from .blind_speakers import read_lines as read_lines
from .blind_speakers import read_situations as read_situations
from .blind_speakers import role_play_lines as role_play_lines
from .blind_speakers import write_lines as write_lines
from .blind_speakers import write_situations as write_situations
from .dialogue_suite import DIALOGUE_PARTS as DIALOGUE_PARTS
from .dialogue_suite import dialogue_file as dialogue_file
from .dialogue_suite import measure_dialogue as measure_dialogue
from .line_faults import town_figures as town_figures
from .town_talk import TownConversation as TownConversation
from .town_talk import TownLine as TownLine
from .town_talk import conversation_text as conversation_text
from .town_talk import read_conversations as read_conversations
from .town_talk import run_mornings as run_mornings

__all__: list[str]
