from .dialogues import DialogueLine as DialogueLine
from .dialogues import PersonaDialogue as PersonaDialogue
from .dialogues import read_persona_csv as read_persona_csv
from .samples import Sample as Sample
from .samples import learned_facts as learned_facts
from .samples import plain_sample as plain_sample
from .samples import voice_samples as voice_samples
from .third_person import to_third_person as to_third_person
from .told_facts import FactMatcher as FactMatcher
from .told_facts import content_stems as content_stems
from .voice_trainer import VoiceSettings as VoiceSettings
from .voice_trainer import train_voice as train_voice

__all__: list[str]
