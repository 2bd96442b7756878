from .application import create_app as create_app
from .metrics import ServerMetrics as ServerMetrics
from .request_spans import tracer_provider as tracer_provider

__all__: list[str]
