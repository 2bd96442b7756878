from .application import app as app
from .cost_tables import forecast_lines as forecast_lines
from .cost_tables import usage_lines as usage_lines
from .entry_point import main as main

__all__: list[str]
