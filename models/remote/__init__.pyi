from .client import connect as connect
from .endpoint import UserModelName as UserModelName
from .endpoint import is_loopback as is_loopback
from .llamacpp import load_llamacpp as load_llamacpp

__all__: list[str]
