"""The voice of a persona: which trained adapter its speech asks for."""

from __future__ import annotations

from ...core import DEFAULT_VOICE, NO_VOICE, Persona


def speaking_voice(persona: Persona) -> str:
    """The field ``voice`` of the asks by which a persona speaks.

    >>> speaking_voice(Persona(name="Bo")), speaking_voice(Persona(name="Bo", voice="none"))
    ('default', '')
    >>> speaking_voice(Persona(name="Bo", voice="voices/bo"))
    'voices/bo'
    """
    if not persona.voice:
        return DEFAULT_VOICE
    return "" if persona.voice == NO_VOICE else persona.voice
