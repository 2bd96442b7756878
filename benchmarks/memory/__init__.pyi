from .memory_suite import MEMORY_PARTS as MEMORY_PARTS
from .memory_suite import calibrate_answerability as calibrate_answerability
from .memory_suite import measure_memory as measure_memory

__all__: list[str]
