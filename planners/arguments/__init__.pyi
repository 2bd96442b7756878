from .argument_fields import satisfies_schema as satisfies_schema
from .argument_filler import NOT_STATED as NOT_STATED
from .argument_filler import FieldCandidates as FieldCandidates
from .argument_filler import collect_candidates as collect_candidates
from .candidate_features import FIELD_GROUPS as FIELD_GROUPS
from .candidate_features import Features as Features
from .candidate_features import field_group as field_group
from .time_expressions import TIME_FORMATS as TIME_FORMATS
from .time_expressions import time_expressions_in as time_expressions_in
from .tool_calls import FillMode as FillMode
from .tool_calls import IncompleteCall as IncompleteCall
from .tool_calls import ProposedCall as ProposedCall
from .tool_calls import call_key as call_key
from .tool_calls import call_question as call_question
from .tool_calls import fill_arguments as fill_arguments
from .tool_calls import forbids_action as forbids_action
from .tool_calls import propose_call as propose_call

__all__: list[str]
