from .cost_forecast import Forecast as Forecast
from .cost_forecast import forecast_cost as forecast_cost

__all__: list[str]
