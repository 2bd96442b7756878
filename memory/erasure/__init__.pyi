from .person_erasure import erase_person as erase_person
from .text_columns import label_leaves as label_leaves
from .text_columns import text_leaves as text_leaves

__all__: list[str]
