"""Whether a model's answer is one to what was asked.

What answers the asks of living agents: their models, memories and tools.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ..core import (
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
    Delta,
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
from ..memory import recall_many
from .tool_executor import ToolExecutor

if TYPE_CHECKING:
    from .agent import Agent

log = logging.getLogger(__name__)

_ANSWER_TYPES: dict[str, type] = {
    "generate": Completion,
    "choose": Choice,
    "rate": Rating,
    "embed": Vectors,
    "recall": Vectors,
}


def validate_answer(ask: Ask, answer: Answer) -> Answer:
    """The answer, or why nobody can use it: a model of one's own may answer with the wrong type,
    an option that was not offered, or numbers that are none. Then it is ``Failed("contract")``,
    which is counted and told as any failure."""
    if isinstance(answer, Failed):
        return answer
    fault = _contract_violation(ask, answer)
    if not fault:
        return answer
    return Failed(reason="contract", detail=f"the model's answer to a {ask.kind}: {fault}")


def _contract_violation(ask: Ask, answer: Answer) -> str:
    expected = _ANSWER_TYPES.get(ask.kind)
    if expected is not None and not isinstance(answer, expected):
        return f"a {type(answer).__name__} instead of a {expected.__name__}"
    if isinstance(ask, Choose) and isinstance(answer, Choice):
        return _choice_violation(len(ask.options), answer)
    if isinstance(ask, Rate) and isinstance(answer, Rating):
        within = ask.low <= answer.value <= ask.high
        return "" if within else f"{answer.value!r} is not between {ask.low} and {ask.high}"
    if isinstance(answer, Vectors):
        return _vectors_violation(len(ask.texts) if isinstance(ask, Embed) else 1, answer)
    if isinstance(answer, Completion) and not isinstance(answer.text, str):
        return f"its text is a {type(answer.text).__name__}"
    return ""


def _choice_violation(offered: int, answer: Choice) -> str:
    if not 0 <= answer.index < offered:
        return f"option {answer.index} of {offered}"
    if len(answer.probabilities) != offered or not all(map(math.isfinite, answer.probabilities)):
        return f"its probabilities are not {offered} finite numbers"
    return ""


def _vectors_violation(wanted: int, answer: Vectors) -> str:
    import numpy as np

    if answer.rows != wanted or not answer.columns:
        return f"{answer.rows} x {answer.columns} numbers for {wanted} texts"
    try:
        numbers = answer.array()
    except ValueError as error:
        return f"its data cannot be read ({error})"
    return "" if np.isfinite(numbers).all() else "some of its numbers are not finite"


def warn_of_failed_recall(who: AgentId, asks: Iterable[AnsweredAsk]) -> None:
    """Say once a reply that its memory could not be searched: its words look like any other's."""
    for asked in asks:
        if isinstance(asked.ask, Recall | Embed) and isinstance(asked.answer, Failed):
            why = f"{asked.answer.reason}: {asked.answer.detail}"
            what = "search the memory" if isinstance(asked.ask, Recall) else "embed a record"
            log.warning("%s: could not %s for this reply (%s); check the embedder", who, what, why)
            return


class AskRouter:
    """Answers asks for any number of agents at once.

    One client per distinct model, so that all agents' asks meet in one batch. A Recall is
    embedded by the agent's own model first; all recalls of a round are scored together.
    ``measure_text_facts`` gets what is streamed, and an empty text for each piece of a draft among
    others.
    ``priority``: of all asks, the lowest goes first; somebody waits for a chat. ``caller``
    calls the tools (None: one that keeps no book). Seconds are measured here, from a thought's
    first ask: when those that its policy gives it are over, its asks are answered so.
    """

    def __init__(
        self,
        agents: Mapping[AgentId, Agent],
        *,
        at: Time,
        on_text: Callable[[str], None] | None = None,
        priority: int = 0,
        caller: ToolExecutor | None = None,
    ) -> None:
        self._agents = agents
        self._executor = caller or ToolExecutor(agents, at)
        self._started: dict[AgentId, float] = {}
        self._expired: list[tuple[AskId, Answer]] = []
        self._on_text = on_text
        self._priority = priority
        self._clients: dict[int, Client] = {}
        self._waiting: dict[tuple[int, int], tuple[AskId, Ask]] = {}
        self._calls: list[tuple[AskId, Call]] = []
        # Streamed asks of a thought's round: several are drafts, of which one will be said.
        self._drafts: dict[tuple[AgentId, str], int] = {}

    def submit(self, where: AskId, ask: Ask) -> None:
        """Send an ask to whatever answers it."""
        if late := self._deadline_answer(where.agent, ask):
            self._expired.append((where, late))
            return
        if isinstance(ask, Call):
            self._calls.append((where, ask))
            return
        model = self._agents[where.agent].model
        key = id(model)
        if key not in self._clients:
            self._clients[key] = model.client()
        sent = Embed(texts=(ask.cue.text,)) if isinstance(ask, Recall) else ask
        ticket = self._clients[key].submit(sent, owner=where.agent, priority=self._priority)
        self._waiting[key, ticket] = (where, ask)
        if isinstance(ask, Generate) and ask.stream:
            self._drafts[_round_key(where)] = self._drafts.get(_round_key(where), 0) + 1

    def wait(self) -> Sequence[tuple[AskId, Answer]]:
        """All answers that are there; blocks for at least one. Raises Waiting when all that
        is left are calls for which a person must give leave."""
        done, self._expired = self._expired, []
        calls, self._calls = self._calls, []
        for where, call in calls:
            result = self._executor.execute(where, call)
            if result is not None:
                done.append((where, result))
        recalls: list[tuple[AskId, Recall, Vectors]] = []
        while not done and not recalls and self._waiting:
            for key in sorted({key for key, _ in self._waiting}):
                for item in self._clients[key].wait():
                    if isinstance(item, Delta):
                        if self._on_text:
                            where, _ = self._waiting[key, item.ticket]
                            self._on_text("" if self._drafts[_round_key(where)] > 1 else item.text)
                        continue
                    where, ask = self._waiting.pop((key, item.ticket))
                    answer = validate_answer(ask, item.answer)
                    if isinstance(ask, Recall) and isinstance(answer, Vectors):
                        recalls.append((where, ask, answer))
                    else:
                        done.append((where, answer))
        if not done and not recalls and self._executor.pending:
            raise self._executor.approval_required()
        return done + self._recall(recalls)

    def _deadline_answer(self, who: AgentId, ask: Ask) -> Answer | None:
        """The answer to an ask of a thought whose time is over. Remembering is still allowed."""
        now = time.monotonic()
        cap = self._agents[who].tools.policy.thought.seconds
        if cap is None or now - self._started.setdefault(who, now) < cap:
            return None
        detail = f"this thought has taken the {cap:g} s that it may take"
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

        # Models may embed in different lengths; what is alike is scored together.
        groups: dict[int, list[tuple[AskId, Recall, Vectors]]] = {}
        for one in recalls:
            groups.setdefault(one[2].columns, []).append(one)
        answers: list[tuple[AskId, Answer]] = []
        for group in groups.values():
            vectors = np.concatenate([vector.array() for _, _, vector in group])
            asked = [(self._agents[where.agent].memory, ask.cue) for where, ask, _ in group]
            found = recall_many(asked, vectors)
            for (where, _, _), (memory, cue), row, hits in zip(group, asked, vectors, found):
                held = (
                    memory.answer_probability(cue, row)
                    if memory.rules_for(cue).estimates_answerability
                    else None
                )
                told = memory.searched_audience(cue)
                answers.append((where, Recalled(hits=hits, held=held, audience=told)))
        return answers


def _round_key(where: AskId) -> tuple[AgentId, str]:
    return where.agent, where.path.partition(".")[0]
