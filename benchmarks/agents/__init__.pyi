from .chat_throughput import measure_chats as measure_chats
from .label_coverage import measure_labels as measure_labels
from .task_runs import TASK_PLANNERS as TASK_PLANNERS
from .task_runs import measure_tasks as measure_tasks
from .tasks import BENCHMARK_TASKS as BENCHMARK_TASKS
from .tool_calls import TOOL_PARTS as TOOL_PARTS
from .tool_calls import calibrate_arguments as calibrate_arguments
from .tool_calls import measure_tools as measure_tools

__all__: list[str]
