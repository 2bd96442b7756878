"""What visitors may ask of an agent: to chat, to look up, to remember, to use its tools."""

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
    """Receives visitors for an agent. A visitor is a person with a name: it is answered from
    what is for everybody or for that person, and what it says is kept as that person's words.

    With ``settled`` the caller says who visits, otherwise the visitor does by an argument
    ``person``. Used from one thread, with one visitor at a time.
    """

    def __init__(self, host: HostedAgent, *, settled: bool = False) -> None:
        self._host = host
        self._authenticated = settled
        self._sessions: OrderedDict[tuple[str, str], list[Utterance]] = OrderedDict()
        self._person = ANONYMOUS
        self._on_text: TextCallback = _discard_text
        made: list[AnyTool] = [Tool(self.chat, effect="acts"), Tool(self.recall, effect="reads")]
        if host.remembers:
            made.append(Tool(self.remember, effect="acts"))
        self._service_tools = Toolbox(made)

    # -- what is offered ------------------------------------------------------------

    def specs(self) -> tuple[ToolSpec, ...]:
        """All that may be asked, as tools: the counter's, and the agent's own under their
        names (after "own." where that is one of the counter's)."""
        name = self._host.agent.id
        desk = [
            replace(
                spec,
                description=spec.description.replace("the agent", name),
                parameters=spec.parameters
                if self._authenticated
                else _with_person(spec.parameters),
            )
            for spec in self._service_tools.specs()
        ]
        own = [replace(spec, name=shown) for shown, spec in self._agent_tools().items()]
        return (*desk, *own)

    def _agent_tools(self) -> dict[str, ToolSpec]:
        """The agent's tools by the names they have here. A visit to a run acts on nothing."""
        usable = [
            s for s in self._host.agent.tools.specs() if self._host.remembers or s.effect != "acts"
        ]
        return {f"own.{s.name}" if s.name in self._service_tools else s.name: s for s in usable}

    def call(
        self, name: str, arguments: Json, *, person: str = "", say: TextCallback | None = None
    ) -> ToolResult:
        """Do what a visitor asks; ``person`` is who that is, where it is settled. ``say`` gets
        a reply's text as it is made."""
        given = dict(arguments) if isinstance(arguments, Mapping) else {}
        own = self._agent_tools()
        told: object = person if self._authenticated else ANONYMOUS
        if not self._authenticated and name in self._service_tools:
            told = given.pop("person", None)
            if isinstance(told, str) and same_name(told, ANONYMOUS):
                told = None
        try:
            self._person = validate_person_name(self._host.agent.id, told)
        except SettingError as error:
            absent = not (isinstance(told, str) and told.strip())
            missing = "argument 'person' is missing: say your name"
            fault = missing if absent else f"argument 'person': {error}"
            return ToolResult(ok=False, error=f"{name}: {fault}", reason="arguments")
        self._on_text = say or _discard_text
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
        # The first line names the session in memory, the last ones are what is shown.
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
        asked = recall(Recall(cue=cue))
        found = drive({agent.id: asked}, AskRouter({agent.id: agent}, at=now))[agent.id]
        if isinstance(found, Failed):
            raise RuntimeError(found.detail)
        return [
            {
                "text": hit.record.text,
                "who": hit.record.who,
                "when": hit.record.created.isoformat(sep=" "),
                "kind": hit.record.kind,
                "score": round(hit.score, 4),
            }
            for hit in found.hits
        ]

    def remember(self, text: str) -> Json:
        """Tell the agent something to remember; it is kept as your words, and as for you.

        Args:
            text: what is to be remembered
        """
        _check_text(text)
        agent = self._host.agent
        said = format_utterance(self._person, agent.id, text)
        circle = (self._person,) if agent.private_talk else ()
        agent.learn([said], at=self._host.clock(), who=self._person, audience=circle)
        return {"remembered": said, "memories": len(self._visible_to(self._person))}

    def _visible_to(self, person: str) -> list[Record]:
        """What a person may hear of; without a name: what everybody may."""
        records = self._host.agent.memory.records()
        return [one for one in records if not one.audience or person in one.audience]

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
            caller = ToolExecutor(
                {agent.id: agent},
                now,
                None,
                _refuse_approval,
                _progress_listener(self._on_text),
                in_chat=True,
                person=self._person,
            )
            telling = TextStreamer(self._on_text)
            minds = AskRouter(
                {agent.id: agent}, at=now, on_text=telling, priority=-1, executor=caller
            )
            thought = agent.reply(Utterance(self._person, text, now), lines)
            reply = drive({agent.id: thought}, minds)[agent.id]
            telling.finish(reply.text)
            spent, before = reply.step.state, agent.state
            agent.charge_usage(spent.calls - before.calls, spent.tokens - before.tokens)
        if reply.failure:
            raise RuntimeError(f"no reply could be made: {reply.failure.detail}")
        return reply

    def _use_agent_tool(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        """One of the agent's own tools, by the way that its own thoughts call it: under the
        policy, on the visitor's word, and written down before it acts."""
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
        """The lines of a person's session; the sessions that rested longest are let go."""
        key = (self._person, name[:MAX_NAME_LENGTH])
        lines = self._sessions.pop(key, [])
        self._sessions[key] = lines
        while len(self._sessions) > _MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return lines

    # -- what can be read -----------------------------------------------------------

    def persona(self) -> Json:
        """Who the agent is, as far as anybody may know at once: not the facts it knows."""
        persona = self._host.agent.persona
        names = ("name", "age", "traits", "background", "currently", "lifestyle")
        return {name: getattr(persona, name) for name in names}

    def statistics(self) -> Json:
        """How much the agent remembers of what is for everybody. How much there is that is for
        single people would tell how much they confide."""
        public = self._visible_to("")
        return {
            "agent": self._host.agent.id,
            "memories": len(public),
            "for everybody": dict(Count(record.kind for record in public)),
            "first": str(public[0].created) if public else None,
            "last": str(public[-1].created) if public else None,
            "kept": self._host.remembers,
        }


def _progress_listener(say: TextCallback) -> ProgressListener:
    """Passes on what tools say while they work, also once somebody else is served: to whose call
    it was."""

    def told(progress: ToolProgress) -> None:
        say(f"[{progress.tool}] {progress.text}")

    return told


def _refuse_approval(request: ApprovalRequest) -> Approval:
    """Who visits is not who gives leave, and that person is not here."""
    return Approval(False, "nobody who could give leave is here")


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
        raise ValueError(
            f"the text has {len(text)} characters; at most {_MAX_TEXT} are taken at once"
        )


def _discard_text(text: str) -> None:
    """Nobody hears a reply before it is whole."""
