from .calibration import large_model_calibration as large_model_calibration
from .calibration import load_calibration as load_calibration
from .calibration import shipped_calibration as shipped_calibration
from .calibration import write_calibration as write_calibration
from .calibrator import calibrate as calibrate
from .calibrator import importance_question as importance_question
from .decider import Decider as Decider
from .option_scorer import OptionScorer as OptionScorer
from .option_scorer import TargetScore as TargetScore
from .option_scorer import anchor_distribution as anchor_distribution
from .option_scorer import expected_rating as expected_rating
from .option_scorer import invalid_ask as invalid_ask
from .option_scorer import needs_embeddings as needs_embeddings
from .option_scorer import option_similarities as option_similarities
from .option_scorer import rating_anchors as rating_anchors
from .option_scorer import sample_choice as sample_choice
from .option_scorer import softmax as softmax
from .option_scorer import texts_to_embed as texts_to_embed
from .scoring_method import FEATURES as FEATURES
from .scoring_method import FUSED_FEATURES as FUSED_FEATURES
from .scoring_method import ScoringMethod as ScoringMethod
from .scoring_prompts import PLAIN_SYSTEM as PLAIN_SYSTEM
from .scoring_prompts import question_messages as question_messages
from .scoring_prompts import system_text as system_text

__all__: list[str]
