from .calendar import MONTH_NAMES as MONTH_NAMES
from .calendar import MONTH_NUMBERS as MONTH_NUMBERS
from .calendar import NUMBER_WORDS as NUMBER_WORDS
from .calendar import ORDINALS as ORDINALS
from .calendar import SMALL_NUMBER_WORDS as SMALL_NUMBER_WORDS
from .calendar import TENS_WORDS as TENS_WORDS
from .calendar import WEEKDAY_NAMES as WEEKDAY_NAMES
from .calendar import hour_of_day as hour_of_day
<<<<<<< HEAD
from .entity_names import EntityNames as EntityNames
from .entity_names import name_key as name_key
from .names import MAX_NAME_LENGTH as MAX_NAME_LENGTH
from .names import validate_person_name as validate_person_name
=======
from .names import fold_name as fold_name
from .names import name_matcher as name_matcher
from .names import normalize_name as normalize_name
from .names import reserved_sign as reserved_sign
from .names import same_name as same_name
from .names import short_name as short_name
>>>>>>> main
from .normalization import count_words as count_words
from .normalization import graphemes as graphemes
from .normalization import is_unspaced as is_unspaced
from .normalization import normalize as normalize
from .normalization import replace_surrogates as replace_surrogates
from .normalization import sentence_ends as sentence_ends
from .normalization import sentences as sentences
from .normalization import words as words
from .normalization import written_words as written_words
from .sleep_schedule import sleep_hours as sleep_hours
from .times_of_day import clock_minutes as clock_minutes

__all__: list[str]
