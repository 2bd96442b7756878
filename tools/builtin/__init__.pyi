from .arithmetic import calculator as calculator
from .date_time import calendar as calendar
from .date_time import clock as clock
from .files import file_tools as file_tools
from .language_skills import answer_from_documents as answer_from_documents
from .language_skills import extract_fields as extract_fields
from .language_skills import sentiment as sentiment
from .language_skills import summarise as summarise
from .language_skills import translate as translate
from .memory_tools import FactResult as FactResult
from .memory_tools import fact_search as fact_search
from .memory_tools import knowledge_search as knowledge_search
from .memory_tools import memory_search as memory_search
from .notebook import LabelledNotebook as LabelledNotebook
from .notebook import Notebook as Notebook
from .notebook import note_tools as note_tools
from .sandbox import python as python
from .sandbox import python_sandbox as python_sandbox
from .unit_conversion import units as units

__all__: list[str]
