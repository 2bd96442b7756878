from .dialogues import DialogueLine as DialogueLine
from .dialogues import PersonaDialogue as PersonaDialogue
from .dialogues import read_persona_csv as read_persona_csv
from .third_person import to_third_person as to_third_person

__all__: list[str]
