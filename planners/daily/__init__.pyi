from .daily_planner import Daily as Daily
from .encounters import MAX_LINE_CHARS as MAX_LINE_CHARS
from .encounters import MAX_MEMORY_CHARS as MAX_MEMORY_CHARS
from .encounters import remember_lines as remember_lines
from .encounters import talk_options as talk_options

__all__: list[str]
