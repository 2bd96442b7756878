from .live_feed import LiveFeed as LiveFeed
from .live_routes import LiveHosts as LiveHosts
from .live_routes import live_router as live_router
from .live_server import LiveSettings as LiveSettings
from .live_server import create_live_app as create_live_app
from .live_server import host_run as host_run
from .live_server import host_simulation as host_simulation
from .live_server import open_live_server as open_live_server
from .live_server import require_web_packages as require_web_packages
from .live_server import serve_live as serve_live
from .live_town import LiveTown as LiveTown
from .live_town import RecordedTown as RecordedTown

__all__: list[str]
