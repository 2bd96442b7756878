from .clauses import swapped_roles as swapped_roles
from .draft_rules import DRAFT_RULES as DRAFT_RULES
from .draft_rules import DraftContext as DraftContext
from .draft_rules import is_farewell as is_farewell
from .draft_rules import is_question as is_question
from .draft_rules import refusal_rule as refusal_rule
from .draft_rules import repeats_line as repeats_line
from .invented_terms import invented_names as invented_names
from .invented_terms import invented_numbers as invented_numbers
from .invented_terms import invented_relatives as invented_relatives
from .speech_prompt import Speaker as Speaker
from .speech_prompt import SpokenLine as SpokenLine
from .speech_prompt import learned_messages as learned_messages
from .speech_prompt import speaker_text as speaker_text
from .speech_prompt import speech_messages as speech_messages
from .voices import speaking_voice as speaking_voice

__all__: list[str]
