from .run_export import export_csv as export_csv
from .run_export import export_smallville as export_smallville
from .smallville_page import load_smallville_page as load_smallville_page
from .smallville_scenario import load_scenario as load_scenario
from .smallville_scenario import load_smallville_scenario as load_smallville_scenario

__all__: list[str]
