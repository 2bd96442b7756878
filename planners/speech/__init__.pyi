from .speech_prompt import Speaker as Speaker
from .speech_prompt import SpokenLine as SpokenLine
from .speech_prompt import learned_messages as learned_messages
from .speech_prompt import speaker_text as speaker_text
from .speech_prompt import speech_messages as speech_messages
from .voices import speaking_voice as speaking_voice

__all__: list[str]
