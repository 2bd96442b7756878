from .dialogue_planner import TALK_OPTIONS as TALK_OPTIONS
from .dialogue_planner import Dialogue as Dialogue
from .dialogue_planner import DialogueInput as DialogueInput
from .dialogue_planner import DialogueReply as DialogueReply
from .dialogue_planner import ReplyStyle as ReplyStyle
from .dialogue_planner import add_turn_records as add_turn_records
from .intents import LANGUAGES as LANGUAGES
from .intents import SENTIMENTS as SENTIMENTS
from .intents import Classification as Classification
from .intents import Intent as Intent
from .intents import Understanding as Understanding
from .intents import understand as understand
from .known_sentences import KnownSentence as KnownSentence
from .known_sentences import bears_on as bears_on
from .known_sentences import fit_sentences as fit_sentences
from .known_sentences import known_answer as known_answer
from .questions import asked_question as asked_question

__all__: list[str]
