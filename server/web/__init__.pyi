from .application import create_app as create_app
from .http_server import HostingServer as HostingServer
from .http_server import bind_socket as bind_socket
from .http_server import make_server as make_server
from .http_server import serve_app as serve_app
from .metrics import ServerMetrics as ServerMetrics
from .request_spans import tracer_provider as tracer_provider

__all__: list[str]
