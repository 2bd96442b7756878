"""Routing the asks of agents to their models, memories and tools, and validating the answers."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

from ...core import (
    AgentId,
    Answer,
    AnsweredAsk,
    Ask,
    AskId,
    Call,
    Choice,
    Choose,
    Client,
    Completion,
    Done,
    Embed,
    Failed,
    Generate,
    Rate,
    Rating,
    Recall,
    Recalled,
    Time,
    ToolResult,
    Vectors,
)
from ...memory import recall_many
from .agent_resources import AgentResources
from .tool_executor import ToolExecutor

log = logging.getLogger(__name__)

_CHECK_SECONDS = 0.1

_ANSWER_TYPES: dict[str, type] = {
    "generate": Completion,
    "choose": Choice,
    "rate": Rating,
    "embed": Vectors,
    "recall": Vectors,
}


def validate_answer(ask: Ask, answer: Answer) -> Answer:
    """The model's answer if it is valid, else ``Failed("contract")``.

    A user's own model may return the wrong type, the index of an option that was not offered, or
    numbers that are not finite."""
    if isinstance(answer, Failed):
        return answer
    violation = _contract_violation(ask, answer)
    if not violation:
        return answer
    return Failed(reason="contract", detail=f"the model's answer to a {ask.kind}: {violation}")


def _contract_violation(ask: Ask, answer: Answer) -> str:
    expected = _ANSWER_TYPES.get(ask.kind)
    if expected is not None and not isinstance(answer, expected):
        return f"a {type(answer).__name__} instead of a {expected.__name__}"
    if isinstance(ask, Choose) and isinstance(answer, Choice):
        return _choice_violation(len(ask.options), answer)
    if isinstance(ask, Rate) and isinstance(answer, Rating):
        valid = ask.low <= answer.value <= ask.high
        return "" if valid else f"{answer.value!r} is not between {ask.low} and {ask.high}"
    if isinstance(answer, Vectors):
        return _vectors_violation(len(ask.texts) if isinstance(ask, Embed) else 1, answer)
    if isinstance(answer, Completion) and not isinstance(answer.text, str):
        return f"its text is a {type(answer.text).__name__}"
    return ""


def _choice_violation(options: int, answer: Choice) -> str:
    if not 0 <= answer.index < options:
        return f"option {answer.index} of {options}"
    if len(answer.probabilities) != options or not all(map(math.isfinite, answer.probabilities)):
        return f"its probabilities are not {options} finite numbers"
    return ""


def _vectors_violation(texts: int, answer: Vectors) -> str:
    import numpy as np

    if answer.rows != texts or not answer.columns:
        return f"{answer.rows} x {answer.columns} numbers for {texts} texts"
    try:
        vectors = answer.array()
    except ValueError as error:
        return f"its data cannot be read ({error})"
    return "" if np.isfinite(vectors).all() else "some of its numbers are not finite"


def warn_of_failed_recall(who: AgentId, asks: Iterable[AnsweredAsk]) -> None:
    """Log one warning if the memory could not be searched for a reply, or a record embedded."""
    for answered in asks:
        if isinstance(answered.ask, Recall | Embed) and isinstance(answered.answer, Failed):
            why = f"{answered.answer.reason}: {answered.answer.detail}"
            what = "search the memory" if isinstance(answered.ask, Recall) else "embed a record"
            log.warning("%s: could not %s for this reply (%s); check the embedder", who, what, why)
            return


class AskRouter:
    """The AskHandler of any number of agents.

    One client per distinct model, so that the asks of all agents form one batch. The cue of a
    Recall is embedded by the agent's own model first; all recalls of a round are scored together.

    ``on_text`` receives streamed text, or an empty text for each piece while several drafts are
    generated at once. Asks with a lower ``priority`` run first. ``executor`` makes the tool calls
    (None: one without a call log). The time limit of a thought (``policy.thought.seconds``) is
    measured here, from its first ask; later asks are answered with reason "budget".

    While it waits for models it is inside a context of ``waiting``, which may release a lock.
    ``check`` is called at least every ``_CHECK_SECONDS`` meanwhile; what it raises ends the wait.
    """

    def __init__(
        self,
        agents: Mapping[AgentId, AgentResources],
        *,
        at: Time,
        on_text: Callable[[str], None] | None = None,
        priority: int = 0,
        executor: ToolExecutor | None = None,
        waiting: Callable[[], AbstractContextManager[None]] = nullcontext,
        check: Callable[[], None] | None = None,
    ) -> None:
        self._agents = agents
        self._while_waiting = waiting
        self._check = check
        self._executor = executor or ToolExecutor(agents, at)
        self._started: dict[AgentId, float] = {}
        self._expired: list[tuple[AskId, Answer]] = []
        self._on_text = on_text
        self._priority = priority
        self._clients: dict[int, Client] = {}
        self._waiting: dict[tuple[int, int], tuple[AskId, Ask]] = {}
        self._calls: list[tuple[AskId, Call]] = []
        # Streamed asks by round of a thought: two or more are drafts, of which one is kept.
        self._drafts: dict[tuple[AgentId, str], int] = {}

    def submit(self, where: AskId, ask: Ask) -> None:
        """Send an ask to the model or queue a tool call; never blocks."""
        if expired := self._deadline_answer(where.agent, ask):
            self._expired.append((where, expired))
            return
        if isinstance(ask, Call):
            self._calls.append((where, ask))
            return
        model = self._agents[where.agent].model
        key = id(model)
        if key not in self._clients:
            self._clients[key] = model.client()
        sent = Embed(texts=(ask.cue.text,)) if isinstance(ask, Recall) else ask
        priority = self._priority
        if priority < 0 and isinstance(ask, Embed):
            # New records are embedded when the text is shown, in a batch with those of others.
            priority += 1
        ticket = self._clients[key].submit(sent, owner=where.agent, priority=priority)
        self._waiting[key, ticket] = (where, ask)
        if isinstance(ask, Generate) and ask.stream:
            self._drafts[_round_key(where)] = self._drafts.get(_round_key(where), 0) + 1

    def wait(self) -> Sequence[tuple[AskId, Answer]]:
        """The answers that are ready; blocks for at least one. Raises ApprovalRequired when
        nothing is left but tool calls that need a person's approval."""
        done, self._expired = self._expired, []
        calls, self._calls = self._calls, []
        for where, call in calls:
            result = self._executor.execute(where, call)
            if result is not None:
                done.append((where, result))
        recalls: list[tuple[AskId, Recall, Vectors]] = []
        while not done and not recalls and self._waiting:
            for key in sorted({key for key, _ in self._waiting}):
                for event in self._finished(key):
                    where, ask = self._waiting.pop((key, event.ticket))
                    answer = validate_answer(ask, event.answer)
                    if isinstance(ask, Recall) and isinstance(answer, Vectors):
                        recalls.append((where, ask, answer))
                    else:
                        done.append((where, answer))
        if not done and not recalls and self._executor.pending:
            raise self._executor.approval_required()
        return done + self._recall(recalls)

    def interrupt(self) -> None:
        """Cancel the asks that are not answered yet, from another thread: ``wait`` then returns
        without them, after ``check``."""
        for key, ticket in list(self._waiting):
            self._clients[key].cancel(ticket)

    def close(self) -> None:
        """Cancel the asks that are not answered yet, which frees their rows in the batch."""
        for key, ticket in self._waiting:
            self._clients[key].cancel(ticket)
        self._waiting.clear()

    def _finished(self, key: int) -> list[Done]:
        """The final answers of one model that have arrived, after passing on streamed text."""
        done: list[Done] = []
        with self._while_waiting():
            timeout = _CHECK_SECONDS if self._check else None
            for event in self._clients[key].wait(timeout):
                if isinstance(event, Done):
                    done.append(event)
                elif self._on_text:
                    where, _ = self._waiting[key, event.ticket]
                    drafts = self._drafts[_round_key(where)]
                    self._on_text("" if drafts > 1 else event.text)
            if self._check:
                self._check()
        return done

    def _deadline_answer(self, who: AgentId, ask: Ask) -> Answer | None:
        """The answer to an ask after the time limit of its thought; None before it, and always
        for Embed and Recall, so that the agent still remembers."""
        now = time.monotonic()
        limit = self._agents[who].tools.policy.thought.seconds
        if limit is None or now - self._started.setdefault(who, now) < limit:
            return None
        detail = f"this thought has taken the {limit:g} s that it may take"
        if isinstance(ask, Call):
            return ToolResult(ok=False, error=detail, reason="budget")
        if isinstance(ask, Embed | Recall):
            return None
        return Failed(reason="budget", detail=detail)

    def _recall(
        self, recalls: Sequence[tuple[AskId, Recall, Vectors]]
    ) -> list[tuple[AskId, Answer]]:
        if not recalls:
            return []
        import numpy as np

        # Models may embed in different dimensions; each dimension is one batch.
        groups: dict[int, list[tuple[AskId, Recall, Vectors]]] = {}
        for recall in recalls:
            groups.setdefault(recall[2].columns, []).append(recall)
        answers: list[tuple[AskId, Answer]] = []
        for group in groups.values():
            vectors = np.concatenate([vector.array() for _, _, vector in group])
            requests = [(self._agents[where.agent].memory, ask.cue) for where, ask, _ in group]
            all_hits = recall_many(requests, vectors)
            for (where, _, _), (memory, cue), row, hits in zip(group, requests, vectors, all_hits):
                estimates = memory.rules_for(cue).estimates_answerability
                held = memory.answer_probability(cue, row) if estimates else None
                audience = memory.searched_audience(cue)
                answers.append((where, Recalled(hits=hits, held=held, audience=audience)))
        return answers


def _round_key(where: AskId) -> tuple[AgentId, str]:
    """The agent and the round of its thought that an ask belongs to."""
    return where.agent, where.path.partition(".")[0]
