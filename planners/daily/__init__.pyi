from .conversation_planner import ConversationPlanner as ConversationPlanner
from .daily_planner import Daily as Daily
from .daily_settings import DailySettings as DailySettings
from .encounters import talk_options as talk_options
from .routine import Routine as Routine

__all__: list[str]
