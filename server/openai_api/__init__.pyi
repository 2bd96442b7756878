from .router import openai_router as openai_router

__all__: list[str]
