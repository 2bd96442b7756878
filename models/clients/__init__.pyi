from .inbox import BatchClient as BatchClient
from .inbox import EventInbox as EventInbox
from .inbox import InstantClient as InstantClient
from .inbox import require_same_process as require_same_process
from .usage import Usage as Usage
from .usage import UsageLedger as UsageLedger
from .usage import sum_usage as sum_usage
from .voice_support import load_voice as load_voice

__all__: list[str]
