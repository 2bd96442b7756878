from .daily_planner import Daily as Daily
from .encounters import talk_options as talk_options
from .routine import Routine as Routine

__all__: list[str]
