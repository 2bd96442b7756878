"""The routes of the OpenAI API."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header
from fastapi.responses import StreamingResponse
from starlette.requests import Request
from starlette.responses import Response

from ...agents import Agent
from ...core import Json, digest
from ..hosting import AgentHosts, Caller, HostingSettings, RequestRefused, admit, current_caller
from .agent_answer import AgentAnswers
from .api_error import OpenAIRoute, api_error
from .chat_output import ChatCompletionOutput
from .chat_task import ChatLine, ChatTask, chat_task
from .embeddings import embeddings
from .model_service import ModelService
from .plain_answer import PlainModel
from .reply_parts import AnswerParts
from .request_types import ChatCompletionRequest, EmbeddingRequest
from .response_output import ResponseOutput
from .response_request import ResponsesRequest, response_task
from .response_store import ResponseStore, StoredResponse

CallerOf = Annotated[Caller, Depends(current_caller)]
PersonHeader = Annotated[str | None, Header(alias="X-Denizens-Person")]
STREAM_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class OpenAIService:
    """What the routes do: agents and the plain model by their ids."""

    def __init__(self, hosts: AgentHosts, settings: HostingSettings) -> None:
        self.settings = settings
        self._hosts = hosts
        self._model = ModelService(hosts.model)
        self._plain = PlainModel(hosts.model, self._model, settings.max_tokens)
        self._agents = AgentAnswers()
        self._responses = ResponseStore()
        self._started = int(time.time())
        self._fingerprint = f"fp_{digest(hosts.model.describe())[:12]}"

    def models(self) -> Json:
        """All models: the plain one first."""
        ids = [self._hosts.model_id, *self._hosts]
        return {"object": "list", "data": [self._entry(one) for one in ids]}

    def model(self, model_id: str) -> Json:
        """A model by its id. Raises RequestRefused."""
        if model_id != self._hosts.model_id and self._agent(model_id) is None:
            raise self._unknown(model_id)
        return self._entry(model_id)

    def _agent(self, model_id: str) -> Agent | None:
        """The agent of an id or of an exact name."""
        if agent := self._hosts.agent(model_id):
            return agent
        agents = (self._hosts.agent(one) for one in self._hosts)
        return next((one for one in agents if one is not None and one.id == model_id), None)

    def _entry(self, model_id: str) -> dict[str, Json]:
        return {
            "id": model_id,
            "object": "model",
            "created": self._started,
            "owned_by": "denizens",
        }

    def _unknown(self, model_id: str) -> RequestRefused:
        return api_error(
            f"there is no model '{model_id}'; GET /v1/models lists those that there are",
            status=404,
            param="model",
            code="model_not_found",
        )

    def _person(self, task: ChatTask, caller: Caller, header: str | None) -> str:
        """The person that an agent is asked by; empty for the plain model, which has no memory.
        Raises RequestRefused."""
        if task.person and header and task.person != header:
            raise api_error(
                "'user' and the header X-Denizens-Person name two persons; give one", param="user"
            )
        if self._agent(task.model) is None:
            return ""
        return caller.person(header or task.person)

    def _answer(self, task: ChatTask, caller: Caller, person: str) -> AnswerParts:
        """The parts of the answer to a task. Raises RequestRefused."""
        if task.model == self._hosts.model_id:
            return self._plain.answer(task, caller.key)
        agent = self._agent(task.model)
        if agent is None:
            raise self._unknown(task.model)
        return self._agents.answer(agent, task, person)

    async def chat(
        self, request: Request, body: ChatCompletionRequest, caller: Caller, header: str | None
    ) -> Response | Json:
        """A chat completion."""
        task = chat_task(body, self.settings)
        parts = self._answer(task, caller, self._person(task, caller, header))
        output = ChatCompletionOutput(task, self._fingerprint)
        await admit(request)
        if not task.stream:
            return await output.whole(parts)
        include_usage = bool(body.stream_options and body.stream_options.include_usage)
        begun = await first_of(parts)
        return StreamingResponse(
            output.stream(begun, include_usage),
            media_type="text/event-stream",
            headers=STREAM_HEADERS,
        )

    async def respond(
        self, request: Request, body: ResponsesRequest, caller: Caller, header: str | None
    ) -> Response | Json:
        """A response."""
        earlier = self._stored(caller, body.previous_response_id, "previous_response_id")
        task = response_task(body, earlier.lines if earlier else (), self.settings)
        person = self._person(task, caller, header)
        if earlier and person != earlier.person:
            raise _no_response(str(body.previous_response_id), "previous_response_id")

        def keep(response: dict[str, Json], lines: tuple[ChatLine, ...]) -> None:
            if body.store is not False:
                spoken = tuple(line for line in task.lines if line is not task.opening)
                stored = StoredResponse(response, (*spoken, *lines), person)
                self._responses.add(caller.key, output.id, stored)

        output = ResponseOutput(body, task, keep)
        parts = self._answer(task, caller, person)
        await admit(request)
        if not task.stream:
            return await output.whole(parts)
        begun = await first_of(parts)
        return StreamingResponse(
            output.stream(begun), media_type="text/event-stream", headers=STREAM_HEADERS
        )

    def response(self, caller: Caller, response_id: str) -> Json:
        """A response of the caller. Raises RequestRefused."""
        stored = self._stored(caller, response_id, "response_id")
        return stored.body if stored else None

    def delete_response(self, caller: Caller, response_id: str) -> Json:
        """Forget a response of the caller. Raises RequestRefused."""
        if not self._responses.remove(caller.key, response_id):
            raise _no_response(response_id, "response_id")
        return {"id": response_id, "object": "response", "deleted": True}

    def _stored(self, caller: Caller, response_id: str | None, param: str) -> StoredResponse | None:
        if response_id is None:
            return None
        stored = self._responses.get(caller.key, response_id)
        if stored is None:
            raise _no_response(response_id, param)
        return stored

    async def embeddings(
        self, request: Request, body: EmbeddingRequest, caller: Caller
    ) -> Response | Json:
        """Embeddings by the plain model's embedder."""
        if body.model != self._hosts.model_id:
            if self._agent(body.model) is None:
                raise self._unknown(body.model)
            raise api_error(
                f"'{body.model}' is an agent; embeddings are the plain model's "
                f"('{self._hosts.model_id}')",
                param="model",
            )
        await admit(request)
        return await embeddings(body, self._model, caller.key)


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

    @router.post("/responses")
    async def create_response(
        request: Request, body: ResponsesRequest, caller: CallerOf, person: PersonHeader = None
    ) -> Any:
        return await service.respond(request, body, caller, person)

    @router.get("/responses/{response_id}")
    async def retrieve_response(response_id: str, caller: CallerOf) -> Any:
        return service.response(caller, response_id)

    @router.delete("/responses/{response_id}")
    async def delete_response(response_id: str, caller: CallerOf) -> Any:
        return service.delete_response(caller, response_id)

    @router.post("/embeddings")
    async def create_embeddings(request: Request, body: EmbeddingRequest, caller: CallerOf) -> Any:
        return await service.embeddings(request, body, caller)

    return router


def _no_response(response_id: str, param: str) -> RequestRefused:
    return api_error(
        f"there is no response '{response_id}': none was kept, or it was forgotten",
        status=404,
        param=param,
        code="response_not_found",
    )


async def first_of(parts: AnswerParts) -> AnswerParts:
    """The same parts, once the first has arrived: what fails before it has a status."""
    first = await anext(parts)

    async def chained() -> AnswerParts:
        async with aclosing(parts) as rest:
            yield first
            async for part in rest:
                yield part

    return chained()
