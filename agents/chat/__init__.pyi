from .chat_turn import ChatTurn as ChatTurn
from .chat_turn import Responder as Responder
from .chat_turn import TextStreamer as TextStreamer
from .chat_turn import learn_thought as learn_thought
from .chat_turn import reply_thought as reply_thought
from .chat_turn import validate_utterance as validate_utterance
from .reply_stream import ReplyCancelled as ReplyCancelled
from .reply_stream import ReplyEnd as ReplyEnd
from .reply_stream import ReplyEvent as ReplyEvent
from .reply_stream import ReplyStream as ReplyStream
from .reply_stream import ReplyWork as ReplyWork
from .reply_stream import TextPiece as TextPiece
from .session import Session as Session
from .turn_queue import NESTED_TIMEOUT as NESTED_TIMEOUT
from .turn_queue import TurnQueue as TurnQueue

__all__: list[str]
