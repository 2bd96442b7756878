from .answer_recorder import Recorder as Recorder
from .failures import EMBEDDER_KINDS as EMBEDDER_KINDS
from .failures import LANGUAGE_KINDS as LANGUAGE_KINDS
from .failures import MAX_REFUSALS_IN_A_ROW as MAX_REFUSALS_IN_A_ROW
from .failures import MIN_ASKS as MIN_ASKS
from .failures import Failure as Failure
from .failures import FailureMonitor as FailureMonitor
from .failures import failure_lines as failure_lines
from .failures import failure_of as failure_of
from .failures import failure_stats as failure_stats
from .journal import SNAPSHOT_EVERY as SNAPSHOT_EVERY
from .journal import AskTable as AskTable
from .journal import Journal as Journal
from .journal import ask_label as ask_label
from .row_codec import ASK_COLUMNS as ASK_COLUMNS
from .row_codec import AskRow as AskRow
from .row_codec import checksum_fits as checksum_fits
from .row_codec import decode_answer as decode_answer
from .row_codec import decode_ask as decode_ask
from .row_codec import decode_json as decode_json
from .row_codec import row_checksum as row_checksum
from .run_usage import CAP_KEY as CAP_KEY
from .run_usage import StepUsage as StepUsage
from .run_usage import TokenBudget as TokenBudget
from .run_usage import UsageCollector as UsageCollector
from .run_usage import usage_summary as usage_summary

__all__: list[str]
