from .label_coverage import measure_labels as measure_labels
from .task_runs import TASK_PLANNERS as TASK_PLANNERS
from .task_runs import measure_tasks as measure_tasks
from .tasks import BENCHMARK_TASKS as BENCHMARK_TASKS

__all__: list[str]
