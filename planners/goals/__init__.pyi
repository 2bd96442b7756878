from .goal_queue import Goal as Goal
from .goal_queue import GoalPlanner as GoalPlanner
from .goal_queue import accept_goals as accept_goals
from .goal_queue import first_open_goal as first_open_goal
from .goal_queue import goals_of as goals_of
from .goal_queue import record_outcome as record_outcome
from .goal_queue import task_for_goal as task_for_goal
from .goal_queue import with_goals as with_goals
from .plan_and_execute import PlanAndExecute as PlanAndExecute
from .react import React as React
from .reflexion import Reflexion as Reflexion
from .tasks import Task as Task
from .tasks import TaskOutcome as TaskOutcome
from .tasks import TaskStatus as TaskStatus
from .tasks import TaskWorker as TaskWorker
from .tasks import ToolCallRecord as ToolCallRecord
from .tree_of_thoughts import TreeOfThoughts as TreeOfThoughts

__all__: list[str]
