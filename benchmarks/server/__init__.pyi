from .http_clients import BurstClient as BurstClient
from .http_clients import SpokenReply as SpokenReply
from .http_clients import open_connections as open_connections
from .http_clients import speak as speak
from .measured_server import MeasuredServer as MeasuredServer
from .measured_server import running_server as running_server
from .paced_model import PacedModel as PacedModel
from .server_load import SERVER_PARTS as SERVER_PARTS
from .server_load import measure_server as measure_server

__all__: list[str]
