from .declare import AnyTool as AnyTool
from .declare import Effect as Effect
from .declare import ProgressCallback as ProgressCallback
from .declare import Tool as Tool
from .declare import ToolContext as ToolContext
from .declare import ToolLimits as ToolLimits
from .declare import Unit as Unit
from .declare import checked_name as checked_name
from .declare import join_faults as join_faults
from .declare import tool as tool
from .declare import unknown_argument as unknown_argument
from .skills import Skill as Skill
from .skills import skill as skill
from .skills import skill_of as skill_of

__all__: list[str]
