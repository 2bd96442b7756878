from .dialogues import DialogueLine as DialogueLine
from .dialogues import PersonaDialogue as PersonaDialogue
from .dialogues import read_persona_csv as read_persona_csv
from .fact_agreement import learned_f1 as learned_f1
from .fact_agreement import matched_facts as matched_facts
from .likelihood import LogProbs as LogProbs
from .likelihood import SpokenTurns as SpokenTurns
from .likelihood import score_pairs as score_pairs
from .likelihood import score_replies as score_replies
from .likelihood import spoken_turns as spoken_turns
from .reply_items import NextLineItem as NextLineItem
from .reply_items import next_line_items as next_line_items
from .reply_items import spoken_lines as spoken_lines
from .samples import Sample as Sample
from .samples import learned_facts as learned_facts
from .samples import nothing_learned as nothing_learned
from .samples import plain_sample as plain_sample
from .samples import voice_samples as voice_samples
from .told_facts import FactMatcher as FactMatcher
from .told_facts import content_stems as content_stems

__all__: list[str]
