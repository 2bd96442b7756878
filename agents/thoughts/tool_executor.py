"""Executing the tool calls of agents: policy, approval, and a log of every call that acts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

from ...core import (
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
from ...memory import Stopwatch, ToolCallEntry, ToolCallLog
from ...planners import call_key
from ...tools import ProgressListener, ToolContext, ToolProgress
from .agent_resources import AgentResources

INTERRUPTED_CALL = (
    "it had begun when its process ended, and nobody knows whether it was done: yes does it"
)


@dataclass
class ToolExecutor:
    """Executes tool calls.

    ``call_log`` records approval requests, starts and results (None: nothing is recorded).
    ``approver`` answers approval requests at once. Without it, or where it returns None, a call
    waits in ``pending``. ``person`` is the partner of the chat, for whom the calls are made, and
    ``zone`` their time zone.

    The key of a call is agent/step/path, with ``scope`` in place of the step if it is set. In a
    chat (``in_chat``) the first call that acts or needs approval sets it to a new conversation id
    of the log. Tools and the approver run inside a context of ``waiting``, which may release a
    lock.
    """

    agents: Mapping[AgentId, AgentResources]
    at: Time
    call_log: ToolCallLog | None = None
    approver: Approver | None = None
    listener: ProgressListener | None = None
    scope: str = ""
    in_chat: bool = False
    person: AgentId = ""
    waiting: Callable[[], AbstractContextManager[None]] = nullcontext
    pending: dict[AskId, ApprovalRequest] = field(default_factory=dict)
    zone: str = ""

    def execute(self, where: AskId, call: Call) -> ToolResult | None:
        """The result of a call; None while it waits for a person's approval."""
        toolbox = self.agents[where.agent].tools
        refusal = toolbox.refusal(call.tool, call.arguments, sources=call.sources)
        if refusal:
            return refusal
        ruling = toolbox.ruling(call.tool, call.sources)
        acts = toolbox.spec(call.tool).effect == "acts"
        if ruling.verdict == "allow" and not acts:
            watch, key = Stopwatch(), self._key(where)
            result = self._call(where, call, key)
            if self.call_log:
                self.call_log.record_duration(key, where, watch.began, watch.seconds)
            return result
        because = ruling.why if ruling.verdict == "ask" else ""
        return self._execute_with_approval(where, call, because, acts)

    def approval_required(self) -> ApprovalRequired:
        """The error to raise when only calls that wait for approval are left."""
        requests = tuple(self.pending[where] for where in sorted(self.pending))
        listed = "; ".join(f"{request} [{request.key}]" for request in requests)
        return ApprovalRequired(f"a person has to answer: {listed}", requests)

    def _execute_with_approval(
        self, where: AskId, call: Call, because: str, acts: bool
    ) -> ToolResult | None:
        """Execute a call that acts or needs approval (``because``: why); None while it waits.

        A logged result is returned as it is. A logged denial stands; a logged approval stands
        unless the call now rests on sources that the person was not shown. A call that an earlier
        process started and did not finish needs approval in any case.
        """
        if self.in_chat and not self.scope and self.call_log:
            self.scope = self.call_log.next_conversation_id()
        key, entry = self._find_entry(where, call)
        if entry.result:
            return entry.result
        request = self._request(key, where, call, because)
        logged = entry.request
        if logged and not set(call.sources) <= set(logged.sources):
            # The person did not see all sources that the call rests on now: a yes no longer
            # counts, a no does.
            logged = None
            if entry.approval and entry.approval.yes:
                entry = replace(entry, approval=None)
        # After a chat that was interrupted, the same message makes the call under another key.
        interrupted = entry == ToolCallEntry() and self._interrupted_call(where, call)
        unfinished = entry.state == "began" and not (logged and logged.doubt and entry.approval)
        if interrupted or unfinished:
            request = replace(request, because=INTERRUPTED_CALL, doubt=True)
            entry = ToolCallEntry(began=entry.began)
        elif logged and logged.because:
            request = logged
        approval = entry.approval or self._ask_approval(where, request, entry)
        if request.because and approval is None:
            return None
        result = self._execute_decision(where, call, request, approval, acts)
        # The person has decided: the interrupted call is closed too.
        if request.doubt and self.call_log and (open_call := self._interrupted_call(where, call)):
            outcome = _unknown_outcome(call.tool, "")
            self.call_log.record_result(open_call[0], outcome, Stopwatch(), open_call[1])
        return result

    def _request(self, key: str, where: AskId, call: Call, because: str) -> ApprovalRequest:
        return ApprovalRequest(
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

    def _find_entry(self, where: AskId, call: Call) -> tuple[str, ToolCallEntry]:
        """The key of a call and its entry in the log. A resumed thought may make another call at
        the same place; it gets a key of its own, since an approval is for one call only."""
        identity = call_key(call.tool, call.arguments)
        key, number = self._key(where), 1
        while True:
            entry = (self.call_log.find(key) if self.call_log else None) or ToolCallEntry()
            request = entry.request
            if request is None or call_key(request.tool, request.arguments) == identity:
                return key, entry
            number += 1
            key = f"{self._key(where)}-{number}"

    def _interrupted_call(self, where: AskId, call: Call) -> tuple[AskId, ToolCallEntry] | None:
        """The same call in a chat whose process ended before the result was logged."""
        if not (self.in_chat and self.call_log):
            return None
        person = call.person or self.person
        return self.call_log.unfinished_call(where.agent, call.tool, call.arguments, person)

    def _ask_approval(
        self, where: AskId, request: ApprovalRequest, entry: ToolCallEntry
    ) -> Approval | None:
        """A person's answer to a request; None if it has to wait, which is logged."""
        if not request.because:
            return None
        if self.approver is not None and not callable(self.approver):
            raise SettingError(
                f"approve is {self.approver!r}; give a function of an ApprovalRequest that "
                "returns True, False or None"
            )
        answer = None
        if self.approver:
            with self.waiting():
                answer = self.approver(request)
        if answer is None:
            if self.call_log and entry.request != request:
                self.call_log.request_approval(where, request)
            self.pending[where] = request
            return None
        # Approval raises SettingError for anything but True and False.
        return answer if isinstance(answer, Approval) else Approval(answer)

    def _execute_decision(
        self,
        where: AskId,
        call: Call,
        request: ApprovalRequest,
        approval: Approval | None,
        acts: bool,
    ) -> ToolResult:
        """Execute or deny a call after the decision; log its start and its result."""
        watch = Stopwatch()
        if approval and not approval.yes:
            note = f": {approval.note}" if approval.note else ""
            denial = _unknown_outcome if request.doubt else _denied_result
            result = denial(call.tool, note)
        else:
            if self.call_log and acts:
                self.call_log.record_start(where, request, approval)
                self._charge_call(where.agent)
            result = self._call(where, call, request.key, allowed=True)
        if self.call_log:
            entry = ToolCallEntry(request=request, approval=approval)
            self.call_log.record_result(where, result, watch, entry)
        return result

    def _charge_call(self, who: AgentId) -> None:
        """Count a call that acts towards the lifetime budget before it runs, since the process
        may end in it. (A run counts calls in its journal.) The usage of the whole thought is
        charged at its end."""
        life = self.agents[who].tools.policy.life
        if self.call_log and self.in_chat and (life.calls is not None or life.tokens is not None):
            calls, tokens = self.call_log.usage(who)
            self.call_log.save_usage(who, calls + 1, tokens)

    def _call(self, where: AskId, call: Call, key: str, allowed: bool = False) -> ToolResult:
        listener = self.listener

        def report(text: str, share: float | None) -> None:
            if listener:
                listener(ToolProgress(call.tool, where.agent, key, text, share))

        context = ToolContext(
            where.agent,
            self.at,
            sources=call.sources,
            person=call.person or self.person,
            listener=report,
            label=Label(call.read, call.audience),
            zone=self.zone,
        )
        toolbox = self.agents[where.agent].tools
        with self.waiting():
            return toolbox.call(
                call.tool, call.arguments, context=context, key=key, why=call.why, allowed=allowed
            )

    def _key(self, where: AskId) -> str:
        return f"{where.agent}/{self.scope or where.step}/{where.path}"


def _denied_result(tool: str, note: str) -> ToolResult:
    return ToolResult(ok=False, error=f"a person did not allow '{tool}'{note}", reason="denied")


def _unknown_outcome(tool: str, note: str) -> ToolResult:
    error = f"'{tool}' was begun before, nobody knows whether it was done, and it is left{note}"
    return ToolResult(ok=False, error=error, reason="gone")
