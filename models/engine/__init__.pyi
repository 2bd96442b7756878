from .backend_factory import make_backend as make_backend
from .backend_factory import make_limits as make_limits
from .backend_factory import pick_device as pick_device
from .backend_factory import pick_dtype as pick_dtype
from .backend_factory import prefers_int8 as prefers_int8
from .engine import REQUEST_ERRORS as REQUEST_ERRORS
from .engine import Engine as Engine
from .engine import failed_answer as failed_answer
from .generation import GenerationConfig as GenerationConfig
from .kv_cache import CacheScope as CacheScope
from .lora import linear_shapes as linear_shapes
from .prompt import ChatTemplate as ChatTemplate
from .prompt import PromptBuilder as PromptBuilder
from .request import PairScores as PairScores
from .request import PairSums as PairSums
from .request import ScoringPlan as ScoringPlan
from .request import TokenPair as TokenPair
from .request import TokenSequence as TokenSequence
from .sampling import RepetitionLimits as RepetitionLimits
from .sampling import SamplingParams as SamplingParams
from .sampling import sample_tokens as sample_tokens
from .voices import VoiceTable as VoiceTable

__all__: list[str]
