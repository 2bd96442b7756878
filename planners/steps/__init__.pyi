from .best_of_n import best_of as best_of
from .best_of_n import choose_among as choose_among
from .best_of_n import pick_option as pick_option
from .observations import MAX_LINE_CHARS as MAX_LINE_CHARS
from .observations import MAX_MEMORY_CHARS as MAX_MEMORY_CHARS
from .observations import recall_records as recall_records
from .observations import remember_events as remember_events
from .observations import remember_lines as remember_lines
from .observations import remember_overheard as remember_overheard
from .observations import remember_whispers as remember_whispers
from .observations import transcript as transcript
from .prompt_templates import render_prompt as render_prompt
from .step_builder import IMPORTANCE_ANCHORS as IMPORTANCE_ANCHORS
from .step_builder import StepBuilder as StepBuilder
from .step_builder import identity_text as identity_text
from .world_actions import WORLD_TOOL_PREFIX as WORLD_TOOL_PREFIX
from .world_actions import action_from_call as action_from_call
from .world_actions import idle_action as idle_action
from .world_actions import to_offered_action as to_offered_action
from .world_actions import world_tools as world_tools

__all__: list[str]
