"""What other programs may ask of an agent: to chat, to recall, to remember, to use its tools."""

from __future__ import annotations

from collections import Counter as Count
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..agents import AskRouter, TextStreamer, ToolExecutor, run_tool
from ..core import (
    MAX_NAME_LENGTH,
    Approval,
    ApprovalRequest,
    Cue,
    Failed,
    Json,
    Recall,
    Record,
    Reply,
    SettingError,
    ToolResult,
    ToolSpec,
    Utterance,
    drive,
    format_utterance,
    recall,
    same_name,
    validate_person_name,
)
from ..tools import AnyTool, ProgressListener, Tool, Toolbox, ToolContext, ToolProgress
from .agent_thread import TextCallback
from .hosted_agent import HostedAgent

_MAX_SESSIONS = 256
_MAX_LINES = 40
_MAX_TEXT = 4_000
_MAX_HITS = 50
ANONYMOUS = "a visitor"
_PERSON_PARAMETER = {
    "type": "string",
    "description": "Your name, always the same: what is only for you is found by it.",
}


class AgentService:
    """Serves an agent to visitors, one call at a time, from one thread.

    A visitor is a named person. Answers use only records whose audience is everybody or that
    person; what the visitor says is stored with that person as its source. With
    ``authenticated`` the caller names the visitor; otherwise the visitor does so itself, in an
    argument ``person``.
    """

    def __init__(self, host: HostedAgent, *, authenticated: bool = False) -> None:
        self._host = host
        self._authenticated = authenticated
        self._sessions: OrderedDict[tuple[str, str], list[Utterance]] = OrderedDict()
        self._person = ANONYMOUS
        self._on_text: TextCallback = _discard_text
        tools: list[AnyTool] = [Tool(self.chat, effect="acts"), Tool(self.recall, effect="reads")]
        if host.remembers:
            tools.append(Tool(self.remember, effect="acts"))
        self._service_tools = Toolbox(tools)

    # -- what is offered ------------------------------------------------------------

    def specs(self) -> tuple[ToolSpec, ...]:
        """The tools offered: those of this service, then the agent's own (prefixed with "own."
        where the service has a tool of that name)."""
        name = self._host.agent.id
        service = [
            replace(
                spec,
                description=spec.description.replace("the agent", name),
                parameters=spec.parameters
                if self._authenticated
                else _with_person(spec.parameters),
            )
            for spec in self._service_tools.specs()
        ]
        own = [replace(spec, name=offered) for offered, spec in self._agent_tools().items()]
        return (*service, *own)

    def _agent_tools(self) -> dict[str, ToolSpec]:
        """The agent's tools by offered name; for an agent of a finished run, none that acts."""
        return {
            f"own.{spec.name}" if spec.name in self._service_tools else spec.name: spec
            for spec in self._host.agent.tools.specs()
            if self._host.remembers or spec.effect != "acts"
        }

    def call(
        self, name: str, arguments: Json, *, person: str = "", on_text: TextCallback | None = None
    ) -> ToolResult:
        """Call a tool for a visitor. ``person`` is the visitor where the caller names it;
        ``on_text`` receives the text of a reply as it is generated."""
        given = dict(arguments) if isinstance(arguments, Mapping) else {}
        own = self._agent_tools()
        visitor: object = person if self._authenticated else ANONYMOUS
        if not self._authenticated and name in self._service_tools:
            visitor = given.pop("person", None)
            if isinstance(visitor, str) and same_name(visitor, ANONYMOUS):
                visitor = None
        try:
            self._person = validate_person_name(self._host.agent.id, visitor)
        except SettingError as error:
            absent = not (isinstance(visitor, str) and visitor.strip())
            missing = "argument 'person' is missing: say your name"
            problem = missing if absent else f"argument 'person': {error}"
            return ToolResult(ok=False, error=f"{name}: {problem}", reason="arguments")
        self._on_text = on_text or _discard_text
        now = self._host.clock()
        if name not in own:
            context = ToolContext(who=self._person, now=now)
            return self._service_tools.call(name, given, context=context, key=now.isoformat())
        return self._use_agent_tool(own[name].name, given)

    # -- what is done ---------------------------------------------------------------

    def chat(self, text: str, session: str = "main") -> Json:
        """Say something to the agent and be answered; both lines are remembered as for you.

        Args:
            text: what you say
            session: a name of this conversation; what was said in it before is known
        """
        _check_text(text)
        lines = self._session(session)
        reply = self._reply(text, lines)
        now = self._host.clock()
        lines += [
            Utterance(self._person, text, now),
            Utterance(self._host.agent.id, reply.text, now),
        ]
        # The first line identifies the session in memory; the last ones are shown in prompts.
        del lines[1 : max(1, len(lines) - _MAX_LINES)]
        return {"reply": reply.text, "session": session}

    def recall(self, about: str, limit: int = 8) -> Json:
        """Look up what the agent remembers about something: what is for everybody or for you.

        Args:
            about: what it is about, in words
            limit: how many memories at most, 1 to 50
        """
        _check_text(about)
        agent, now = self._host.agent, self._host.clock()
        cue = Cue(
            text=about,
            at=now,
            limit=min(max(limit, 1), _MAX_HITS),
            rules="hybrid",
            person=self._person,
            touch=False,
        )
        thought = recall(Recall(cue=cue))
        recalled = drive({agent.id: thought}, AskRouter({agent.id: agent}, at=now))[agent.id]
        if isinstance(recalled, Failed):
            raise RuntimeError(recalled.detail)
        return [
            {
                "text": hit.record.text,
                "who": hit.record.who,
                "when": hit.record.created.isoformat(sep=" "),
                "kind": hit.record.kind,
                "score": round(hit.score, 4),
            }
            for hit in recalled.hits
        ]

    def remember(self, text: str) -> Json:
        """Tell the agent something to remember; it is kept as your words, and as for you.

        Args:
            text: what is to be remembered
        """
        _check_text(text)
        agent = self._host.agent
        line = format_utterance(self._person, agent.id, text)
        audience = (self._person,) if agent.private_talk else ()
        agent.learn([line], at=self._host.clock(), who=self._person, audience=audience)
        return {"remembered": line, "memories": len(self._visible_to(self._person))}

    def _visible_to(self, person: str) -> list[Record]:
        """The records that a person may hear of; for an empty name those for everybody."""
        records = self._host.agent.memory.records()
        return [record for record in records if not record.audience or person in record.audience]

    def _reply(self, text: str, lines: list[Utterance]) -> Reply:
        agent, now = self._host.agent, self._host.clock()
        if self._host.remembers:
            reply = agent.chat(
                text,
                self._person,
                session=lines,
                at=now,
                on_text=self._on_text,
                approve=_refuse_approval,
                listener=_progress_listener(self._on_text),
            )
        else:
            executor = ToolExecutor(
                {agent.id: agent},
                now,
                None,
                _refuse_approval,
                _progress_listener(self._on_text),
                in_chat=True,
                person=self._person,
            )
            streamer = TextStreamer(self._on_text)
            router = AskRouter(
                {agent.id: agent}, at=now, on_text=streamer, priority=-1, executor=executor
            )
            thought = agent.reply(Utterance(self._person, text, now), lines)
            reply = drive({agent.id: thought}, router)[agent.id]
            streamer.finish(reply.text)
            after, before = reply.step.state, agent.state
            agent.charge_usage(after.calls - before.calls, after.tokens - before.tokens)
        if reply.failure:
            raise RuntimeError(f"no reply could be made: {reply.failure.detail}")
        return reply

    def _use_agent_tool(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        """Call one of the agent's own tools as the agent itself does: under its tool policy, with
        the visitor as the source, and logged before the tool acts."""
        return run_tool(
            self._host.agent,
            tool,
            arguments,
            at=self._host.clock(),
            person=self._person,
            why=f"{self._person} asked for it",
            sources=(self._person,),
            approve=_refuse_approval,
            listener=_progress_listener(self._on_text),
        )

    def _session(self, name: str) -> list[Utterance]:
        """The lines of a person's session; the least recently used sessions are dropped."""
        key = (self._person, name[:MAX_NAME_LENGTH])
        lines = self._sessions.pop(key, [])
        self._sessions[key] = lines
        while len(self._sessions) > _MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return lines

    # -- what can be read -----------------------------------------------------------

    def persona(self) -> Json:
        """The parts of the persona that are public: not the facts that the agent knows."""
        persona = self._host.agent.persona
        names = ("name", "age", "traits", "background", "currently", "lifestyle")
        return {name: getattr(persona, name) for name in names}

    def statistics(self) -> Json:
        """Counts of the records for everybody. Counts of private records would reveal how much
        single people confide."""
        public = self._visible_to("")
        return {
            "agent": self._host.agent.id,
            "memories": len(public),
            "for everybody": dict(Count(record.kind for record in public)),
            "first": str(public[0].created) if public else None,
            "last": str(public[-1].created) if public else None,
            "kept": self._host.remembers,
        }


def _progress_listener(on_text: TextCallback) -> ProgressListener:
    """Passes the progress of tools to the visitor whose call started them, even when the next
    visitor is already being served."""

    def report(progress: ToolProgress) -> None:
        on_text(f"[{progress.tool}] {progress.text}")

    return report


def _refuse_approval(request: ApprovalRequest) -> Approval:
    """Refuse: visitors approve nothing, and the person who could is not present."""
    return Approval(False, "nobody who could approve is here")


def _with_person(parameters: Json) -> Json:
    return {
        **parameters,
        "properties": {"person": _PERSON_PARAMETER, **parameters["properties"]},
        "required": ["person", *parameters.get("required", ())],
    }


def _check_text(text: str) -> None:
    if not text.strip():
        raise ValueError("the text is empty")
    if len(text) > _MAX_TEXT:
        raise ValueError(f"the text has {len(text)} characters; at most {_MAX_TEXT} are accepted")


def _discard_text(text: str) -> None:
    """Ignore the partial text of a reply."""
