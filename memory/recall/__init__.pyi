from .answerability import FEATURES as FEATURES
from .answerability import answer_probability as answer_probability
from .answerability import cue_features as cue_features
from .answerability import logistic_probability as logistic_probability
from .answerability import packaged_weights as packaged_weights
from .batch_recall import RecallRequest as RecallRequest
from .batch_recall import recall_batch as recall_batch
from .episode_search import EpisodeHit as EpisodeHit
from .episode_search import search_episodes as search_episodes
from .recall_query import RecallQuery as RecallQuery
from .recall_query import candidate_records as candidate_records
from .recall_query import searched_audience as searched_audience
from .recall_rules import HYBRID as HYBRID
from .recall_rules import PAPER as PAPER
from .recall_rules import REVERIE as REVERIE
from .recall_rules import RuleSet as RuleSet
from .recall_rules import rule_set as rule_set
from .single_recall import candidate_limit as candidate_limit
from .single_recall import recall_one as recall_one
from .single_recall import select_hits as select_hits

__all__: list[str]
