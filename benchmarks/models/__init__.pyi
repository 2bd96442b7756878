from .decision_quality import DECISION_PARTS as DECISION_PARTS
from .decision_quality import choices as choices
from .decision_quality import measure_decisions as measure_decisions
from .decision_quality import measure_irrelevance as measure_irrelevance
from .decision_quality import right_choices as right_choices
from .engine_throughput import ENGINE_PARTS as ENGINE_PARTS
from .engine_throughput import measure_engine as measure_engine
from .schema_conformance import measure_schemas as measure_schemas
from .text_classification import UNDERSTANDING_PARTS as UNDERSTANDING_PARTS
from .text_classification import measure_understanding as measure_understanding
from .trace_replay import measure_trace as measure_trace

__all__: list[str]
