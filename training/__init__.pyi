from .dialogues import DialogueLine as DialogueLine
from .dialogues import PersonaDialogue as PersonaDialogue
from .dialogues import read_persona_csv as read_persona_csv

__all__: list[str]
