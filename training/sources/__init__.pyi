from .chat_lines import read_chat_lines as read_chat_lines
from .memory_dialogues import read_memory as read_memory
from .run_dialogues import persona_facts as persona_facts
from .run_dialogues import read_run as read_run
from .training_data import DataSource as DataSource
from .training_data import TrainingData as TrainingData
from .training_data import read_training_data as read_training_data

__all__: list[str]
