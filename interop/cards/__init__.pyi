from .card_macros import fill_macros as fill_macros
from .card_persona import load_cards as load_cards
from .card_persona import load_character_card as load_character_card
from .card_scenario import add_card as add_card
from .card_scenario import is_card_file as is_card_file
from .card_scenario import scenario_of_card as scenario_of_card
from .card_sources import card_of_person as card_of_person
from .card_sources import find_card as find_card
from .card_sources import load_look as load_look
from .card_writer import card_from_persona as card_from_persona
from .card_writer import write_character_card as write_character_card
from .character_card import CARD_VERSIONS as CARD_VERSIONS
from .character_card import CardVersion as CardVersion
from .character_card import CharacterCard as CharacterCard

__all__: list[str]
