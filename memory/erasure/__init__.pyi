from .corrections import Corrections as Corrections
from .corrections import ForgetReport as ForgetReport
from .corrections import MemoryVersion as MemoryVersion
from .person_erasure import erase_person as erase_person

__all__: list[str]
