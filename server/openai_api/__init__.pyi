from .error_shape import error_body as error_body
from .router import openai_router as openai_router

__all__: list[str]
