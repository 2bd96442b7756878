from .agent_resources import AgentResources as AgentResources
from .ask_router import AskRouter as AskRouter
from .ask_router import validate_answer as validate_answer
from .ask_router import warn_of_failed_recall as warn_of_failed_recall
from .skill_runner import run_skills as run_skills
from .state_labels import label_heard_goals as label_heard_goals
from .state_labels import label_state as label_state
from .state_labels import trusted_state as trusted_state
from .state_labels import visible_state as visible_state
from .thought_guard import MAX_REFUSALS as MAX_REFUSALS
from .thought_guard import SPOKEN_LINE as SPOKEN_LINE
from .thought_guard import ReleasedRecord as ReleasedRecord
from .thought_guard import StoppedThought as StoppedThought
from .thought_guard import ThoughtGuard as ThoughtGuard
from .thought_guard import run_guarded as run_guarded
from .thought_guard import tokens_used as tokens_used
from .thought_labels import activity_labels as activity_labels
from .thought_labels import find_listeners as find_listeners
from .thought_labels import label_decision as label_decision
from .thought_labels import labelled_inputs as labelled_inputs
from .thought_labels import labelled_session as labelled_session
from .thought_labels import redact_observation as redact_observation
from .thought_labels import utterance_label as utterance_label
from .thought_labels import visible_people as visible_people
from .thought_labels import withheld_utterances as withheld_utterances
from .tool_executor import ToolExecutor as ToolExecutor

__all__: list[str]
