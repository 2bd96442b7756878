from .run_export import export_csv as export_csv
from .run_export import export_smallville as export_smallville
from .smallville_memories import load_smallville_memories as load_smallville_memories
from .smallville_memories import memories_input as memories_input
from .smallville_memories import records_of_input as records_of_input
from .smallville_page import load_smallville_page as load_smallville_page
from .smallville_scenario import load_smallville_scenario as load_smallville_scenario

__all__: list[str]
