from .live_feed import LiveFeed as LiveFeed
from .live_routes import LiveHosts as LiveHosts
from .live_routes import live_router as live_router
from .live_server import LiveSettings as LiveSettings
from .live_server import host_run as host_run
from .live_server import host_simulation as host_simulation
from .live_server import require_web_packages as require_web_packages
from .live_server import town_started as town_started
from .live_town import LiveTown as LiveTown
from .live_town import RecordedTown as RecordedTown

__all__: list[str]
