"""Calling tools for agents: leave where the policy wants it, intents before what acts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..core import (
    AgentId,
    Approval,
    ApprovalRequest,
    ApprovalRequired,
    Approver,
    AskId,
    Call,
    Label,
    SettingError,
    Time,
    ToolResult,
)
from ..memory import Stopwatch, ToolCallEntry, ToolCallLog
from ..planners import call_key
from ..tools import ProgressListener, ToolContext, ToolProgress

if TYPE_CHECKING:
    from .agent import Agent

INTERRUPTED_CALL = (
    "it had begun when its process ended, and nobody knows whether it was done: yes does it"
)


@dataclass
class ToolExecutor:
    """Answers calls. ``call_log`` keeps what was asked, begun and done; without one nothing of
    that outlives the process. ``approver`` answers for a person at once. ``scope`` stands in
    the keys of calls instead of a step's number; with ``in_chat`` it is named when it is needed.
    ``person`` is whom the agent talks with, on whose behalf it calls.
    """

    agents: Mapping[AgentId, Agent]
    at: Time
    call_log: ToolCallLog | None = None
    approver: Approver | None = None
    listener: ProgressListener | None = None
    scope: str = ""
    in_chat: bool = False
    person: AgentId = ""
    pending: dict[AskId, ApprovalRequest] = field(default_factory=dict)

    def execute(self, where: AskId, call: Call) -> ToolResult | None:
        """What came of a call; None while it waits for a person."""
        box = self.agents[where.agent].tools
        refused = box.refusal(call.tool, call.arguments, sources=call.sources)
        if refused:
            return refused
        ruling = box.ruling(call.tool, call.sources)
        acts = box.spec(call.tool).effect == "acts"
        if ruling.verdict == "allow" and not acts:
            watch, key = Stopwatch(), self._key(where)
            result = self._call(where, call, key)
            if self.call_log:
                self.call_log.record_duration(key, where, watch.began, watch.seconds)
            return result
        return self._execute_with_approval(
            where, call, ruling.why if ruling.verdict == "ask" else "", acts
        )

    def approval_required(self) -> ApprovalRequired:
        """The error to raise when nothing else is left to be answered."""
        waiting = tuple(self.pending[where] for where in sorted(self.pending))
        told = "; ".join(f"{one} [{one.key}]" for one in waiting)
        return ApprovalRequired(f"a person has to answer: {told}", waiting)

    def _execute_with_approval(
        self, where: AskId, call: Call, because: str, acts: bool
    ) -> ToolResult | None:
        """Make a call that acts or needs leave, by what the book knows of it."""
        if self.in_chat and not self.scope and self.call_log:
            self.scope = self.call_log.next_conversation_id()
        key, entry = self._find_entry(where, call)
        request = ApprovalRequest(
            key=key,
            who=where.agent,
            tool=call.tool,
            arguments=call.arguments,
            why=call.why,
            sources=call.sources,
            because=because,
            person=call.person or self.person,
            read=call.read,
        )
        if entry.result:
            return entry.result
        known = entry.request
        if known and not set(call.sources) <= set(known.sources):
            # Whose words it rests on besides, nobody knew who was asked; a no stays one.
            known = None
            if entry.approval and entry.approval.yes:
                entry = replace(entry, approval=None)
        # In a talk that died, the same words begin a call under another name.
        died = entry == ToolCallEntry() and self._interrupted_call(where, call)
        if died or (entry.state == "began" and not (known and known.doubt and entry.approval)):
            request = replace(request, because=INTERRUPTED_CALL, doubt=True)
            entry = ToolCallEntry(began=entry.began)
        elif known and known.because:
            request = known
        approval = entry.approval or self._ask_approval(where, request, entry)
        if request.because and approval is None:
            return None
        result = self._execute_decision(where, call, request, approval, acts)
        # A person has spoken on it: what was left open before is settled with it.
        if request.doubt and self.call_log and (left := self._interrupted_call(where, call)):
            self.call_log.record_result(
                left[0], _unknown_outcome(call.tool, ""), Stopwatch(), left[1]
            )
        return result

    def _find_entry(self, where: AskId, call: Call) -> tuple[str, ToolCallEntry]:
        """A call's key, and what the book knows of it. A thought that goes on otherwise than
        it waited may make another call at the same place: that has a key of its own, for leave
        given to one call is none for another."""
        mine = call_key(call.tool, call.arguments)
        key, number = self._key(where), 1
        while True:
            entry = (self.call_log.find(key) if self.call_log else None) or ToolCallEntry()
            made = entry.request
            if made is None or call_key(made.tool, made.arguments) == mine:
                return key, entry
            number += 1
            key = f"{self._key(where)}-{number}"

    def _interrupted_call(self, where: AskId, call: Call) -> tuple[AskId, ToolCallEntry] | None:
        if not (self.in_chat and self.call_log):
            return None
        person = call.person or self.person
        return self.call_log.unfinished_call(where.agent, call.tool, call.arguments, person)

    def _ask_approval(
        self, where: AskId, request: ApprovalRequest, entry: ToolCallEntry
    ) -> Approval | None:
        """A person's answer to a request, or None; then it waits, durably."""
        if not request.because:
            return None
        if self.approver is not None and not callable(self.approver):
            raise SettingError(
                f"approve is {self.approver!r}; give a function of a Request that returns "
                "True or False, or None"
            )
        given = self.approver(request) if self.approver else None
        if given is None:
            if self.call_log and entry.request != request:
                self.call_log.request_approval(where, request)
            self.pending[where] = request
            return None
        # An Approval takes nothing but True and False, and raises for any other answer.
        return given if isinstance(given, Approval) else Approval(given)

    def _execute_decision(
        self,
        where: AskId,
        call: Call,
        request: ApprovalRequest,
        approval: Approval | None,
        acts: bool,
    ) -> ToolResult:
        """Make or refuse a call that was decided on; its intent and receipt go to the book."""
        watch = Stopwatch()
        if approval and not approval.yes:
            note = f": {approval.note}" if approval.note else ""
            result = (
                _unknown_outcome(call.tool, note)
                if request.doubt
                else _denied_result(call.tool, note)
            )
            acts = False
        else:
            if self.call_log and acts:
                self.call_log.record_start(where, request, approval)
                self._charge_call(where.agent)
            result = self._call(where, call, request.key, allowed=True)
        if self.call_log:
            self.call_log.record_result(
                where, result, watch, ToolCallEntry(request=request, approval=approval)
            )
        return result

    def _charge_call(self, who: AgentId) -> None:
        """Count a call that acts for its life before it is made: a process may end in it. (A
        run counts by its journal.) Whatever the whole thought has used is counted at its end."""
        life = self.agents[who].tools.policy.life
        if self.call_log and self.in_chat and (life.calls is not None or life.tokens is not None):
            calls, tokens = self.call_log.usage(who)
            self.call_log.save_usage(who, calls + 1, tokens)

    def _call(self, where: AskId, call: Call, key: str, allowed: bool = False) -> ToolResult:
        listener = self.listener

        def heard(text: str, share: float | None) -> None:
            if listener:
                listener(ToolProgress(call.tool, where.agent, key, text, share))

        context = ToolContext(
            where.agent,
            self.at,
            sources=call.sources,
            person=call.person or self.person,
            listener=heard,
            label=Label(call.read, call.audience),
        )
        box = self.agents[where.agent].tools
        return box.call(
            call.tool, call.arguments, context=context, key=key, why=call.why, allowed=allowed
        )

    def _key(self, where: AskId) -> str:
        return f"{where.agent}/{self.scope or where.step}/{where.path}"


def _denied_result(tool: str, note: str) -> ToolResult:
    return ToolResult(ok=False, error=f"a person did not allow '{tool}'{note}", reason="denied")


def _unknown_outcome(tool: str, note: str) -> ToolResult:
    error = f"'{tool}' was begun before, nobody knows whether it was done, and it is left{note}"
    return ToolResult(ok=False, error=error, reason="gone")
