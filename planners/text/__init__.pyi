from .speech import clean_line as clean_line
from .speech import excerpt as excerpt
from .speech import first_spoken_line as first_spoken_line
from .speech import has_two_words as has_two_words
from .speech import is_english as is_english
from .speech import is_fragment as is_fragment
from .speech import is_unfinished as is_unfinished
from .speech import join_sentences as join_sentences
from .speech import repeats as repeats
from .speech import sentence_ends as sentence_ends
from .speech import sentences as sentences
from .speech import strip_quotes as strip_quotes
from .speech import to_first_person as to_first_person
from .speech import word_overlap as word_overlap

__all__: list[str]
