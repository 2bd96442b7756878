from .router import chat_router as chat_router

__all__: list[str]
