from .cost_forecast import Forecast as Forecast
from .cost_forecast import forecast_cost as forecast_cost
from .rehearsal_model import answer_together as answer_together

__all__: list[str]
