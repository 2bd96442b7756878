from .agent import Agent as Agent
from .ask_router import AskRouter as AskRouter
from .chat_turn import TextStreamer as TextStreamer
from .direct_calls import run_tool as run_tool
from .fact_search import fact_search_tool as fact_search_tool
from .maintenance import Maintenance as Maintenance
from .skill_runner import run_skills as run_skills
from .state_labels import visible_state as visible_state
from .thought_guard import StoppedThought as StoppedThought
from .thought_guard import ThoughtGuard as ThoughtGuard
from .thought_guard import run_guarded as run_guarded
from .thought_labels import find_listeners as find_listeners
from .tool_executor import ToolExecutor as ToolExecutor

__all__: list[str]
