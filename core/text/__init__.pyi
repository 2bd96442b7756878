from .names import MAX_NAME_LENGTH as MAX_NAME_LENGTH
from .names import validate_person_name as validate_person_name
from .normalization import count_words as count_words
from .normalization import decode_text as decode_text
from .normalization import fold_name as fold_name
from .normalization import graphemes as graphemes
from .normalization import is_unspaced as is_unspaced
from .normalization import name_matcher as name_matcher
from .normalization import normalize as normalize
from .normalization import normalize_name as normalize_name
from .normalization import read_text_file as read_text_file
from .normalization import replace_surrogates as replace_surrogates
from .normalization import reserved_sign as reserved_sign
from .normalization import same_name as same_name
from .normalization import sentence_ends as sentence_ends
from .normalization import sentences as sentences
from .normalization import words as words
from .normalization import written_words as written_words
from .sleep_schedule import clock_minutes as clock_minutes
from .sleep_schedule import sleep_hours as sleep_hours

__all__: list[str]
