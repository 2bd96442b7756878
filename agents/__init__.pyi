from .agent import Agent as Agent
from .chat import ReplyCancelled as ReplyCancelled
from .chat import ReplyEnd as ReplyEnd
from .chat import ReplyEvent as ReplyEvent
from .chat import ReplyStream as ReplyStream
from .chat import Session as Session
from .chat import TextPiece as TextPiece
from .chat import TextStreamer as TextStreamer
from .direct_calls import run_tool as run_tool
from .fact_search import fact_search_tool as fact_search_tool
from .maintenance import Maintenance as Maintenance
from .thoughts import AskRouter as AskRouter
from .thoughts import StoppedThought as StoppedThought
from .thoughts import ThoughtGuard as ThoughtGuard
from .thoughts import ToolExecutor as ToolExecutor
from .thoughts import find_listeners as find_listeners
from .thoughts import run_guarded as run_guarded
from .thoughts import run_skills as run_skills
from .thoughts import visible_state as visible_state

__all__: list[str]
