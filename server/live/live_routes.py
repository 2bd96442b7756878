"""The HTTP routes of a live town: the page, its data and events, and what people do."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from ...core import DenizensError, Input, Json, SettingError
from ..hosting import AccessDenied, Caller, RequestRefused, admitted_caller, current_caller
from .event_stream import EventStream
from .interview_desk import DeskBusy, InterviewDesk
from .live_feed import LiveFeed
from .live_page import PAGE_HEADERS, live_page, page_script, page_style
from .live_town import LiveTown, RecordedTown, TownBusy
from .visitor_desk import NotThisPerson, VisitorDesk

ANSWER_SECONDS = 0.5
"""How long a request waits to learn whether its input was accepted; a step may take longer, and
then the page learns it by a "notice"."""

Name = Annotated[str, Field(min_length=1, max_length=120)]
Text = Annotated[str, Field(min_length=1, max_length=2000)]
Visitor = Annotated[str, Header(alias="X-Visitor", max_length=200)]
CallerOf = Annotated[Caller, Depends(current_caller)]
Tile = Annotated[int, Field(ge=0, le=100_000)]


class LiveBody(BaseModel):
    """A request; a field that is unknown is refused."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class ControlRequest(LiveBody):
    """``value``: seconds for a simulated minute ("pace"), steps ("step"), simulated minutes
    ("extend")."""

    action: Literal["play", "pause", "step", "pace", "extend"]
    value: float | None = Field(default=None, ge=0, le=100_000)


class VisitorLook(LiveBody):
    """The looks of a person: a colour, and indices of skins, hair colours and hair styles."""

    color: str = Field(default="", pattern=r"^(#[0-9a-f]{6})?$")
    skin: int = Field(default=0, ge=0, le=5)
    hair: int = Field(default=0, ge=0, le=7)
    style: int = Field(default=0, ge=0, le=4)
    skirt: bool = False


class EnterRequest(LiveBody):
    """Walk in as ``name``, at a tile or a place, or at a spot that the world chooses."""

    name: Name
    look: VisitorLook = Field(default_factory=VisitorLook)
    x: Tile | None = None
    y: Tile | None = None
    place: str = Field(default="", max_length=400)


class PersonRequest(LiveBody):
    """What the person ``name`` does."""

    name: Name


class MoveRequest(PersonRequest):
    """Walk to a tile or a place."""

    x: Tile | None = None
    y: Tile | None = None
    place: str = Field(default="", max_length=400)


class TalkRequest(PersonRequest):
    """Open or join a conversation."""

    to: Name


class SayRequest(PersonRequest):
    """Say a line: in the conversation, else to ``to``, else to who is nearest."""

    text: Text
    to: str = Field(default="", max_length=120)


class WhisperRequest(LiveBody):
    """A whisper to an agent: of the person ``name``, else the agent's own idea."""

    to: Name
    text: Text
    name: str = Field(default="", max_length=120)


class InterviewRequest(LiveBody):
    """A question; ``id`` continues an interview."""

    agent: Name
    question: Text
    id: str = Field(default="", max_length=100)


class ApprovalAnswer(LiveBody):
    """The answer to a tool call that waits for approval."""

    key: Annotated[str, Field(min_length=1, max_length=400)]
    yes: bool


@dataclass
class LiveHosts:
    """What the routes serve: a town, its feed, and its desks."""

    town: LiveTown | RecordedTown
    feed: LiveFeed
    interviews: InterviewDesk
    desk: VisitorDesk = field(default_factory=VisitorDesk)

    @property
    def running(self) -> LiveTown:
        """The town, if it can go on. Raises SettingError."""
        if isinstance(self.town, LiveTown):
            return self.town
        raise SettingError("this run is only being read; to go on with it, serve it with --resume")

    def shared(self) -> dict[str, Json]:
        """What belongs to the first paint beside the run."""
        town = self.town
        return {"visitors": town.views.latest} if isinstance(town, LiveTown) else {}


def live_router(hosts: LiveHosts) -> APIRouter:
    """The routes of a live town: the page at ``/``, all else below ``/live``."""
    router = APIRouter(tags=["live"])
    _add_page_routes(router, hosts)
    _add_feed_routes(router, hosts)
    _add_person_routes(router, hosts)
    _add_talk_routes(router, hosts)
    _add_side_routes(router, hosts)
    return router


def _add_page_routes(router: APIRouter, hosts: LiveHosts) -> None:
    @router.get("/", include_in_schema=False)
    async def page() -> Response:
        return Response(live_page(), headers=PAGE_HEADERS, media_type="text/html")

    @router.get("/live/page.js", include_in_schema=False)
    async def script() -> Response:
        return Response(page_script(), headers=PAGE_HEADERS, media_type="text/javascript")

    @router.get("/live/page.css", include_in_schema=False)
    async def style() -> Response:
        return Response(page_style(), headers=PAGE_HEADERS, media_type="text/css")

    @router.get("/favicon.ico", include_in_schema=False)
    async def icon() -> Response:
        return Response(status_code=204)


def _add_feed_routes(router: APIRouter, hosts: LiveHosts) -> None:
    @router.get("/live/run")
    async def run(request: Request) -> Response:
        """The run so far: its page data, and the id of the event after which to listen."""
        packed = await asyncio.to_thread(hosts.feed.snapshot, hosts.shared())
        headers = {"Cache-Control": "no-store", "Vary": "Accept-Encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
        else:
            packed = await asyncio.to_thread(gzip.decompress, packed)
        return Response(packed, headers=headers, media_type="application/json")

    @router.get("/live/events", response_class=EventStream)
    async def events(
        after: Annotated[str, Query(max_length=60)] = "",
        last_event_id: Annotated[str, Header(max_length=60)] = "",
    ) -> EventStream:
        """Server-sent events after ``Last-Event-ID``, or after ``after``: "steps", "visitors",
        "notice", "pending", "status", and "reset" where the run must be fetched anew."""
        number = hosts.feed.number_of(last_event_id or after)
        return EventStream(hosts.feed, number, hosts.town.status)

    @router.get("/live/status")
    async def status() -> dict[str, Any]:
        """Whether the town plays, waits or thinks, and how fast it goes."""
        return hosts.town.status()

    @router.post("/live/control")
    async def control(given: ControlRequest) -> Response:
        """Play, pause, make steps, set the pace, or let the run go on after its end."""

        def act() -> None:
            town, value = hosts.running, given.value
            if given.action == "pace":
                if value is None:
                    raise SettingError("pace: give the seconds of a simulated minute in 'value'")
                town.set_pace(value)
            elif given.action == "step":
                town.step(int(value or 1))
            elif given.action == "extend":
                town.extend(int(value or 60))
            else:
                {"play": town.play, "pause": town.pause}[given.action]()

        return await _status_after(act, hosts)


async def _act(
    hosts: LiveHosts, caller: Caller, given: PersonRequest, secret: str, **fields: Any
) -> Response:
    """Give what a person does to the next step."""
    try:
        who = hosts.desk.check(given.name, secret, caller.key)
        future = hosts.running.submit(Input(who=who, **fields))
    except DenizensError as error:
        return refusal(error)
    if fields["kind"] == "leave":
        hosts.desk.start_leaving(who)
    return await outcome(future, hosts.feed, who)


def _add_person_routes(router: APIRouter, hosts: LiveHosts) -> None:
    @router.post("/live/enter")
    async def enter(given: EnterRequest, caller: CallerOf) -> Response:
        """Walk in. The answer has the person's ``secret``, sent as X-Visitor from then on."""
        fields: dict[str, Json] = {"look": given.look.model_dump(), **_tile_fields(given)}
        try:
            town, name = hosts.running, caller.person(given.name)
            people = town.simulation.people
            who, secret = hosts.desk.enter(name, set(people), caller.key)
            if who in people:
                # The server was started anew: the person is still there.
                back = {"back": True, **hosts.shared()}
                return JSONResponse({"name": who, "secret": secret, **back})
        except DenizensError as error:
            return refusal(error)
        try:
            future = town.submit(Input(kind="enter", who=who, place=given.place, fields=fields))
        except DenizensError as error:
            hosts.desk.release(who)
            return refusal(error)

        def give_back(done: Future[None]) -> None:
            if done.cancelled() or done.exception() is not None:
                hosts.desk.release(who)

        future.add_done_callback(give_back)
        return await outcome(future, hosts.feed, who, {"name": who, "secret": secret})

    @router.post("/live/move")
    async def move(given: MoveRequest, caller: CallerOf, x_visitor: Visitor = "") -> Response:
        """Walk to a tile or a place, leaving a conversation."""
        fields = _tile_fields(given)
        return await _act(
            hosts, caller, given, x_visitor, kind="move", place=given.place, fields=fields
        )

    @router.post("/live/leave")
    async def leave(given: PersonRequest, caller: CallerOf, x_visitor: Visitor = "") -> Response:
        """Leave the town."""
        return await _act(hosts, caller, given, x_visitor, kind="leave")


def _add_talk_routes(router: APIRouter, hosts: LiveHosts) -> None:
    @router.post("/live/talk")
    async def talk(given: TalkRequest, caller: CallerOf, x_visitor: Visitor = "") -> Response:
        """Open a conversation with somebody, or join theirs."""
        return await _act(hosts, caller, given, x_visitor, kind="talk", to=given.to)

    @router.post("/live/say")
    async def say(given: SayRequest, caller: CallerOf, x_visitor: Visitor = "") -> Response:
        """Say a line as soon as the floor is the person's."""
        text = " ".join(given.text.split())
        return await _act(hosts, caller, given, x_visitor, kind="say", to=given.to, text=text)

    @router.post("/live/end-talk")
    async def end_talk(given: PersonRequest, caller: CallerOf, x_visitor: Visitor = "") -> Response:
        """Take leave of the conversation."""
        return await _act(hosts, caller, given, x_visitor, kind="end_talk")

    @router.post("/live/whisper")
    async def whisper(given: WhisperRequest, caller: CallerOf, x_visitor: Visitor = "") -> Response:
        """Whisper to an agent, wherever it is; nobody else hears it."""
        try:
            if caller.key and not given.name:
                raise AccessDenied(403, "walk in first: a whisper is from somebody")
            who = hosts.desk.check(given.name, x_visitor, caller.key) if given.name else ""
            text = " ".join(given.text.split())
            future = hosts.running.submit(Input(kind="whisper", to=given.to, who=who, text=text))
        except DenizensError as error:
            return refusal(error)
        return await outcome(future, hosts.feed, who)


def _add_side_routes(router: APIRouter, hosts: LiveHosts) -> None:
    @router.post("/live/interview", dependencies=[Depends(admitted_caller)])
    async def interview(given: InterviewRequest) -> Response:
        """Ask an agent as it is after the last step. Nothing of it is kept in the run."""
        question = " ".join(given.question.split())
        try:
            id, text, at = await asyncio.to_thread(
                hosts.interviews.ask, given.agent, question, given.id
            )
        except DenizensError as error:
            return refusal(error)
        return JSONResponse({"id": id, "answer": text, "at": at.isoformat()})

    @router.post("/live/approval")
    async def approval(given: ApprovalAnswer) -> Response:
        """Answer a tool call that waits for approval."""
        return await _status_after(lambda: hosts.running.allow(given.key, given.yes), hosts)


def _tile_fields(given: EnterRequest | MoveRequest) -> dict[str, Json]:
    return {name: value for name in ("x", "y") if (value := getattr(given, name)) is not None}


async def _status_after(act: Callable[[], None], hosts: LiveHosts) -> Response:
    try:
        await asyncio.to_thread(act)
    except DenizensError as error:
        return refusal(error)
    return JSONResponse(hosts.town.status())


async def outcome(future: Future[None], feed: LiveFeed, who: str, answer: Json = None) -> Response:
    """200 if the input was recorded, 409 if it cannot happen, 202 if a step under way keeps it
    waiting: then a refusal is published as a "notice"."""
    await asyncio.to_thread(wait, [future], ANSWER_SECONDS)
    if not future.done():
        future.add_done_callback(lambda late: _publish_refusal(late, feed, who))
        return JSONResponse({**(answer or {}), "recorded": False}, status_code=202)
    error = future.exception()
    if isinstance(error, DenizensError):
        return refusal(error)
    return JSONResponse({**(answer or {}), "recorded": True})


def _publish_refusal(future: Future[None], feed: LiveFeed, who: str) -> None:
    if not future.cancelled() and (error := future.exception()) is not None:
        feed.publish("notice", {"who": who, "text": str(error)})


def refusal(error: DenizensError) -> JSONResponse:
    """The response to a request that cannot be fulfilled: ``{"detail": MESSAGE}``."""
    if isinstance(error, RequestRefused):
        raise error
    status = 409
    if isinstance(error, NotThisPerson):
        status = 403
    elif isinstance(error, TownBusy | DeskBusy):
        status = 429
    headers = {"Retry-After": "2"} if status == 429 else None
    return JSONResponse({"detail": str(error)}, status, headers)
