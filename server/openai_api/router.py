"""The routes of the OpenAI API."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from contextlib import aclosing, suppress
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Header
from fastapi.responses import StreamingResponse
from starlette.requests import Request
from starlette.responses import Response

from ...core import Json, digest
from ..hosting import AgentHosts, Caller, HostingSettings, current_caller
from .agent_answer import agent_answer
from .api_error import ApiError, OpenAIRoute
from .chat_output import ChatCompletionOutput
from .chat_task import ChatTask, chat_task
from .embeddings import embeddings
from .model_service import ModelService
from .plain_answer import PlainModel
from .reply_parts import AnswerParts
from .request_types import ChatCompletionRequest, EmbeddingRequest

T = TypeVar("T")
CallerOf = Annotated[Caller, Depends(current_caller)]
PersonHeader = Annotated[str | None, Header(alias="X-Denizens-Person")]
CLIENT_GONE = 499
"""The status of a response that nobody reads, as in nginx's logs."""
STREAM_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class OpenAIService:
    """What the routes do: agents and the plain model by their ids."""

    def __init__(self, hosts: AgentHosts, settings: HostingSettings) -> None:
        self.settings = settings
        self._hosts = hosts
        self._model = ModelService(hosts.model)
        self._plain = PlainModel(hosts.model, self._model, settings.max_tokens)
        self._started = int(time.time())
        self._fingerprint = f"fp_{digest(hosts.model.describe())[:12]}"

    def models(self) -> Json:
        """All models: the plain one first."""
        ids = [self._hosts.model_id, *self._hosts]
        return {"object": "list", "data": [self._entry(one) for one in ids]}

    def model(self, model_id: str) -> Json:
        """A model by its id. Raises ApiError."""
        if model_id != self._hosts.model_id and self._hosts.agent(model_id) is None:
            raise self._unknown(model_id)
        return self._entry(model_id)

    def _entry(self, model_id: str) -> dict[str, Json]:
        return {
            "id": model_id,
            "object": "model",
            "created": self._started,
            "owned_by": "denizens",
        }

    def _unknown(self, model_id: str) -> ApiError:
        return ApiError(
            f"there is no model '{model_id}'; GET /v1/models lists those that there are",
            status=404,
            type="invalid_request_error",
            param="model",
            code="model_not_found",
        )

    def answer(self, task: ChatTask, caller: Caller, header: str | None) -> AnswerParts:
        """The parts of the answer to a task. Raises ApiError, AccessDenied."""
        if task.person and header and task.person != header:
            raise ApiError(
                "'user' and the header X-Denizens-Person name two persons; give one", param="user"
            )
        if task.model == self._hosts.model_id:
            return self._plain.answer(task, caller.key)
        agent = self._hosts.agent(task.model)
        if agent is None:
            raise self._unknown(task.model)
        return agent_answer(agent, task, caller.person(header or task.person))

    async def chat(
        self, request: Request, body: ChatCompletionRequest, caller: Caller, header: str | None
    ) -> Response | Json:
        """A chat completion."""
        task = chat_task(body, self.settings)
        parts = self.answer(task, caller, header)
        output = ChatCompletionOutput(task, self._fingerprint)
        if not task.stream:
            return await while_connected(request, output.whole(parts))
        include_usage = bool(body.stream_options and body.stream_options.include_usage)
        begun = await while_connected(request, first_of(parts))
        if isinstance(begun, Response):
            return begun
        return StreamingResponse(
            output.stream(begun, include_usage),
            media_type="text/event-stream",
            headers=STREAM_HEADERS,
        )

    async def embeddings(
        self, request: Request, body: EmbeddingRequest, caller: Caller
    ) -> Response | Json:
        """Embeddings by the plain model's embedder."""
        if body.model != self._hosts.model_id:
            if self._hosts.agent(body.model) is None:
                raise self._unknown(body.model)
            raise ApiError(
                f"'{body.model}' is an agent; embeddings are the plain model's "
                f"('{self._hosts.model_id}')",
                param="model",
            )
        work = embeddings(body, self._hosts.model, self._model, caller.key)
        return await while_connected(request, work)


def openai_router(hosts: AgentHosts, settings: HostingSettings) -> APIRouter:
    """A FastAPI router with the routes under ``/v1``."""
    router = APIRouter(prefix="/v1", tags=["OpenAI"], route_class=OpenAIRoute)
    service = OpenAIService(hosts, settings)

    @router.get("/models")
    async def list_models(caller: CallerOf) -> Any:
        return service.models()

    @router.get("/models/{model:path}")
    async def retrieve_model(model: str, caller: CallerOf) -> Any:
        return service.model(model)

    @router.post("/chat/completions")
    async def create_chat_completion(
        request: Request, body: ChatCompletionRequest, caller: CallerOf, person: PersonHeader = None
    ) -> Any:
        return await service.chat(request, body, caller, person)

    @router.post("/embeddings")
    async def create_embeddings(request: Request, body: EmbeddingRequest, caller: CallerOf) -> Any:
        return await service.embeddings(request, body, caller)

    return router


async def first_of(parts: AnswerParts) -> AnswerParts:
    """The same parts, once the first has arrived: what fails before it has a status."""
    first = await anext(parts)

    async def chained() -> AnswerParts:
        async with aclosing(parts) as rest:
            yield first
            async for part in rest:
                yield part

    return chained()


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T | Response:
    """The result of some work; it is cancelled when the client goes."""
    working = asyncio.create_task(work)
    gone = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        return Response(status_code=CLIENT_GONE)
    finally:
        for task in (working, gone):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task


async def _disconnected(request: Request) -> None:
    """Returns when the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
