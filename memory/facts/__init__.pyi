from .extracted_facts import ExtractedFact as ExtractedFact
from .facts import Facts as Facts
from .model_extraction import extract_facts_with_model as extract_facts_with_model
from .statements import Fact as Fact
from .statements import Statement as Statement
from .temporal_qa import TemporalAnswer as TemporalAnswer
from .temporal_qa import TemporalQA as TemporalQA
from .temporal_qa import question_subject as question_subject

__all__: list[str]
