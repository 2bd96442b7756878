from .calibration import large_model_calibration as large_model_calibration
from .calibration import load_calibration as load_calibration
from .calibration import rating_examples as rating_examples
from .calibration import shipped_calibration as shipped_calibration
from .calibration import write_calibration as write_calibration
from .decider import Decider as Decider
from .option_features import FEATURES as FEATURES
from .option_features import FUSED_FEATURES as FUSED_FEATURES
from .option_features import LM_FEATURES as LM_FEATURES
from .scorers import ScoringMethod as ScoringMethod
from .scoring_prompts import PLAIN_SYSTEM as PLAIN_SYSTEM
from .scoring_prompts import TOOL_INTRODUCTION as TOOL_INTRODUCTION
from .scoring_prompts import TOOL_ROLE as TOOL_ROLE
from .scoring_prompts import about_question as about_question
from .scoring_prompts import first_line as first_line
from .scoring_prompts import first_line_parts as first_line_parts
from .scoring_prompts import option_text as option_text

__all__: list[str]
