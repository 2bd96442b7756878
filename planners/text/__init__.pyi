from .claim_clauses import content_terms as content_terms
from .evidence import Evidence as Evidence
from .evidence import SourceLine as SourceLine
from .evidence import source_line as source_line
from .first_person import is_english as is_english
from .first_person import to_first_person as to_first_person
from .generated_lines import clean_line as clean_line
from .generated_lines import first_spoken_line as first_spoken_line
from .generated_lines import strip_quotes as strip_quotes
from .pronouns import own_words as own_words
from .sentences import SENTENCE_END_MARKS as SENTENCE_END_MARKS
from .sentences import excerpt as excerpt
from .sentences import finished_sentence_ends as finished_sentence_ends
from .sentences import finished_sentences as finished_sentences
from .sentences import has_two_words as has_two_words
from .sentences import is_fragment as is_fragment
from .sentences import is_grounded as is_grounded
from .sentences import is_unfinished as is_unfinished
from .sentences import join_sentences as join_sentences
from .sentences import repeats as repeats
from .sentences import word_overlap as word_overlap
from .sentences import word_set as word_set
from .third_person import to_third_person as to_third_person
from .verb_forms import gerund as gerund
from .verb_forms import is_finite_verb as is_finite_verb
from .verb_forms import third_person_verb as third_person_verb

__all__: list[str]
