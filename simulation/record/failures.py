"""Asks without a usable answer, and actions that the world refused.

A run whose model does not work must not look like a good one: the first failure of each kind is
logged, all are counted, and a run in which most asks fail is stopped.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from unicodedata import category

from ...core import (
    Action,
    AgentId,
    Answer,
    Ask,
    AskId,
    AsksFailed,
    Call,
    Completion,
    Event,
    Failed,
    Json,
    Recall,
    ToolResult,
)
from ...store import Store
from .journal import Journal
from .row_codec import decode_answer, decode_ask

FAILURE_WINDOW = 50  # how many of the latest asks of a role are considered
MIN_ASKS = 10  # with fewer asks of a role a run is not stopped
MAX_REFUSALS_IN_A_ROW = 10  # after this many refused actions in a row a warning is logged

LANGUAGE_KINDS = ("generate", "choose", "rate")  # kinds of ask that the language model answers
EMBEDDER_KINDS = ("embed", "recall")  # kinds of ask that the embedder answers

log = logging.getLogger(__name__)

AnsweredAsk = tuple[AskId, Ask, Answer]


@dataclass(frozen=True, slots=True)
class Failure:
    """An ask without a usable answer: its ``kind`` (generate, choose, rate, embed, recall,
    call), its ``role`` ("recall" for a recall, the tool's name for a tool call), the ``reason`` in
    one word and the ``detail`` in a sentence."""

    kind: str
    role: str
    reason: str
    detail: str

    @property
    def key(self) -> tuple[str, str, str]:
        """Failures with the same key are counted together."""
        return (self.kind, self.role, self.reason)


def failure_of(ask: Ask, answer: Answer) -> Failure | None:
    """The failure of an ask; None when its answer is usable.

    >>> from denizens.core import Generate
    >>> failure_of(Generate(messages=()), Failed(reason="engine", detail="no power")).reason
    'engine'
    >>> failure_of(Generate(messages=()), Completion(text=" ")).reason
    'empty'
    """
    role = _role(ask)
    if isinstance(answer, Failed):
        return Failure(ask.kind, role, answer.reason or "failed", answer.detail)
    if isinstance(answer, ToolResult) and not answer.ok:
        return Failure(ask.kind, role, answer.reason or "failed", answer.error)
    if isinstance(answer, Completion) and answer.data is None and not _has_words(answer.text):
        is_cut = answer.stopped == "limit"
        detail = "no word came before the token limit" if is_cut else "the text has no word"
        return Failure(ask.kind, role, "empty", detail)
    return None


def _has_words(text: str) -> bool:
    """Whether a text has more than blanks and punctuation. A model whose numbers overflow may
    write "!!!!!!". A pictograph counts as a word.

    >>> _has_words("..."), _has_words("Yes."), _has_words("\U0001f44d"), _has_words("好")
    (False, True, True, True)
    """
    return any(category(sign)[0] not in "ZCP" for sign in text)


def _role(ask: Ask) -> str:
    if isinstance(ask, Call):
        return ask.tool
    return "recall" if isinstance(ask, Recall) else ask.role


class FailureMonitor:
    """Counts the failures of a run.

    ``stop_reason`` is a function of the recorded answers alone, so that a run stops at the same
    step whether or not it was resumed in between."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._recent: dict[str, deque[str]] = {}
        self._step: dict[str, list[str]] = {}
        self._refusals_in_a_row: Counter[AgentId] = Counter()
        self._warned: set[tuple[str, str, str]] = set()
        self._last: dict[str, Failure] = {}
        self.asked = 0
        """Asks of LANGUAGE_KINDS answered since this process started or resumed the run."""
        self.failed = 0  # how many of these failed
        self.searched = 0  # asks of EMBEDDER_KINDS since then
        self.searches_failed = 0  # how many of those failed

    def load(self) -> None:
        """Restore the counts from the record of a run that is resumed."""
        for ask, answer in recent_asks(self._journal.store, FAILURE_WINDOW):
            self._note(ask, failure_of(ask, answer))
        self._step.clear()
        first = max(0, self._journal.steps - MAX_REFUSALS_IN_A_ROW)
        for entry in self._journal.entries(first):
            refused = {event["subject"] for event in entry["events"] if event["kind"] == "refused"}
            self._count_rows(entry["actions"], refused)

    def warn_new(self, answered: Iterable[AnsweredAsk]) -> None:
        """Log a warning for each kind of failure that occurs for the first time."""
        for _, ask, answer in answered:
            failure = failure_of(ask, answer)
            if failure is not None and failure.key not in self._warned:
                self._warned.add(failure.key)
                log.warning(
                    "%s (%s) failed: %s: %s (more of this kind are only counted)",
                    *(failure.role, failure.kind, failure.reason, _shorten(failure.detail)),
                )

    def record_step(
        self,
        answered: Sequence[AnsweredAsk],
        actions: Mapping[AgentId, Action],
        events: Sequence[Event],
    ) -> tuple[Failure, ...]:
        """Count a committed step; its failures."""
        self._step = {}
        failures = []
        for _, ask, answer in sorted(answered, key=lambda ask: ask[0]):
            failure = failure_of(ask, answer)
            self._note(ask, failure)
            if failure is not None:
                failures.append(failure)
            if ask.kind in LANGUAGE_KINDS:
                self.asked += 1
                self.failed += failure is not None
            elif ask.kind in EMBEDDER_KINDS:
                self.searched += 1
                self.searches_failed += failure is not None
        refused = {event.subject: event for event in events if event.kind == "refused"}
        self._count_rows(actions, refused)
        for who, event in refused.items():
            if self._refusals_in_a_row[who] == MAX_REFUSALS_IN_A_ROW:
                log.warning(
                    "%s: the world refused %d actions in a row, now: %s; its planner does what "
                    "the world does not offer",
                    *(who, MAX_REFUSALS_IN_A_ROW, _shorten(event.text)),
                )
        return tuple(failures)

    def _note(self, ask: Ask, failure: Failure | None) -> None:
        # A tool call that fails or is denied does not mean that the model is broken.
        if isinstance(ask, Call):
            return
        for role in (_role(ask), "") if ask.kind in LANGUAGE_KINDS else (_role(ask),):
            reason = failure.reason if failure else ""
            self._recent.setdefault(role, deque(maxlen=FAILURE_WINDOW)).append(reason)
            self._step.setdefault(role, []).append(reason)
            if failure is not None:
                self._last[role] = failure

    def _count_rows(self, actions: Iterable[AgentId], refused: Iterable[AgentId]) -> None:
        refusals = set(refused)
        for who in actions:
            self._refusals_in_a_row[who] = (
                self._refusals_in_a_row[who] + 1 if who in refusals else 0
            )

    def stop_reason(self) -> AsksFailed | None:
        """The error with which the run should stop, else None.

        It should stop when more than half of a role's latest asks (at most FAILURE_WINDOW, at least
        MIN_ASKS) failed (all, if by empty texts), and likewise in the last step; or when all of the
        latest asks of the language model failed. Since the last step counts too, a run that was
        resumed with another model can continue."""
        for role in sorted(self._recent, key=lambda role: (role == "", role)):
            recent, step = self._recent[role], self._step.get(role, [])
            has_failed = all(recent) or (role != "" and _mostly_failed(recent))
            still_fails = bool(step) and (all(step) or _mostly_failed(step))
            if len(recent) >= MIN_ASKS and has_failed and still_fails:
                failed = sum(reason != "" for reason in recent)
                return AsksFailed(self._complaint(role, failed, len(recent)))
        return None

    def all_failed(self) -> AsksFailed | None:
        """The error of a run that reached its end although all its asks of the language model
        failed, or all embeddings and recalls; else None."""
        if self.asked and self.failed == self.asked:
            return AsksFailed(self._complaint("", self.failed, self.asked))
        if self.searched and self.searches_failed == self.searched:
            role = "embed" if "embed" in self._last else "recall"
            return AsksFailed(self._complaint(role, self.searches_failed, self.searched))
        return None

    def _complaint(self, role: str, failed: int, asked: int) -> str:
        last = self._last[role]
        of_role = f" of the role '{role}'" if role else ""
        return (
            f"{failed} of the last {asked} asks{of_role} failed ({last.reason}: "
            f"{_shorten(last.detail)}); {_remedy(last.reason)}, then resume the run; to ignore "
            "failures: --keep-going, in Python keep_going=True"
        )


def _mostly_failed(reasons: Collection[str]) -> bool:
    """Whether more than half failed. Empty texts, which may occur by chance, do not count."""
    return 2 * sum(reason not in ("", "empty") for reason in reasons) > len(reasons)


def _shorten(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= 200 else f"{words[:197]}..."


def _remedy(reason: str) -> str:
    remedies = {
        "context_too_long": "use a model with a longer context, or shorter personas and memories",
        "schema": "use a model that keeps to a schema",
        "empty": "use another model, or one whose thinking is switched off",
        "contract": "correct the model's class",
        "refused": "see what the server says, or use another model",
    }
    return remedies.get(reason, "check the model, its server, key and account")


def recent_asks(store: Store, limit: int) -> Iterator[tuple[Ask, Answer]]:
    """The last ``limit`` recorded asks of each role with answers, by id, without tool calls."""
    rows = store.rows(
        "SELECT step, agent, path FROM (SELECT step, agent, path, kind, ROW_NUMBER() OVER ("
        "PARTITION BY CASE kind WHEN 'recall' THEN 'recall' ELSE role END "
        "ORDER BY step DESC, agent DESC, path DESC) AS back FROM asks WHERE kind <> 'call') "
        "WHERE back <= ? ORDER BY step, agent, path",
        (limit,),
    )
    for where in rows:
        row = store.first_row(
            "SELECT ask, answer FROM asks WHERE step = ? AND agent = ? AND path = ?", where
        )
        if row is not None:
            yield decode_ask(store, row[0]), decode_answer(store, row[1])


# Rows that may hold no usable answer; ``failure_of`` decides.
_SUSPECT_ASKS = """SELECT ask, answer FROM asks WHERE instr(answer, '"kind":"failed"') > 0
    OR (kind = 'call' AND instr(answer, '"ok":false') > 0)
    OR (kind = 'generate'
        AND COALESCE(json_extract(answer, '$.text'), '') NOT GLOB '*[a-zA-Z0-9]*')
    ORDER BY step, agent, path"""


def failure_stats(store: Store) -> dict[str, Json]:
    """Counts over a run: ``asks`` of the language model, how many of these ``failed``, the
    ``kinds`` of failure (also of embeddings, recalls and tool calls; the most frequent first), and
    ``refused`` actions by verb."""
    counted: Counter[tuple[str, str, str]] = Counter()
    first: dict[tuple[str, str, str], Failure] = {}
    for ask, answer in store.iter_rows(_SUSPECT_ASKS):
        failure = failure_of(decode_ask(store, ask), decode_answer(store, answer))
        if failure is not None:
            counted[failure.key] += 1
            first.setdefault(failure.key, failure)
    total = store.rows("SELECT COUNT(*) FROM asks WHERE kind IN (?, ?, ?)", LANGUAGE_KINDS)
    kinds: list[Json] = [
        {
            "kind": kind,
            "role": role,
            "reason": reason,
            "count": counted[kind, role, reason],
            "detail": _shorten(first[kind, role, reason].detail),
        }
        for kind, role, reason in sorted(counted, key=lambda key: (-counted[key], key))
    ]
    failed = sum(count for (kind, _, _), count in counted.items() if kind in LANGUAGE_KINDS)
    asks = int(total[0][0])
    return {"asks": asks, "failed": failed, "kinds": kinds, "refused": _refused(store)}


def _refused(store: Store) -> dict[str, Json]:
    journal, verbs = Journal(store), Counter[str]()
    for (step,) in store.rows(
        'SELECT step FROM ticks WHERE instr(entry, \'"kind":"refused"\') > 0 ORDER BY step'
    ):
        for entry in journal.entries(step, step):
            for event in entry["events"]:
                action = entry["actions"].get(event["subject"])
                if event["kind"] == "refused" and action is not None:
                    verbs[str(action[0])] += 1
    return {verb: verbs[verb] for verb in sorted(verbs, key=lambda verb: (-verbs[verb], verb))}


def failure_lines(stats: Json) -> Iterator[str]:
    """The result of ``failure_stats`` as lines of text; none when nothing failed."""
    asks, failed = stats["asks"], stats["failed"]
    if failed:
        yield f"{failed} of {asks} asks failed"
    for kind in stats["kinds"]:
        what = f"{kind['role']} ({kind['kind']}), {kind['reason']}: {kind['detail']}"
        yield f"failed: {kind['count']} x {what}"
    refused = stats["refused"]
    if refused:
        what = ", ".join(f"{verb} {count}" for verb, count in refused.items())
        yield f"refused by the world: {sum(refused.values())} actions ({what})"
