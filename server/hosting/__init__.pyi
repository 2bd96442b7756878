from .admission import Admission as Admission
from .admission import Place as Place
from .agent_hosts import AgentHosts as AgentHosts
from .api_keys import ApiKey as ApiKey
from .api_keys import ApiKeys as ApiKeys
from .api_keys import add_key as add_key
from .api_keys import hash_key as hash_key
from .api_keys import revoke_key as revoke_key
from .callers import LOCAL_PERSON as LOCAL_PERSON
from .callers import Caller as Caller
from .dependencies import STATE_KEY as STATE_KEY
from .dependencies import admit as admit
from .dependencies import admitted_caller as admitted_caller
from .dependencies import current_caller as current_caller
from .dependencies import hosting_state as hosting_state
from .dependencies import request_context as request_context
from .hosting_settings import HostingSettings as HostingSettings
from .json_depth import check_json_depth as check_json_depth
from .json_depth import check_schema_depth as check_schema_depth
from .person_directory import PersonDirectory as PersonDirectory
from .refusals import OPENAI_PREFIX as OPENAI_PREFIX
from .refusals import AccessDenied as AccessDenied
from .refusals import RequestRefused as RequestRefused
from .refusals import error_body as error_body
from .server_state import HostingState as HostingState
from .server_state import RequestContext as RequestContext

__all__: list[str]
