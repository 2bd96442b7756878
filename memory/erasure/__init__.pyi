from .person_erasure import erase_person as erase_person

__all__: list[str]
