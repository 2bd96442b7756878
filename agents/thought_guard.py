"""Around every thought: whose words it has read, what it has used, and when it must end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal, TypeVar, cast

from ..core import (
    EVERYBODY,
    AgentId,
    Answer,
    AnsweredAsk,
    Ask,
    Call,
    Cue,
    Embed,
    Failed,
    Label,
    Recall,
    Recalled,
    Record,
    RecordId,
    SettingError,
    Thought,
    ThoughtInput,
    ToolResult,
    ToolSpec,
    canonical,
    join_labels,
    record_sources,
)
from ..planners import call_key
from ..tools import Toolbox, matches

T = TypeVar("T")

MAX_REFUSALS = 16
"""After so many refusals (over the budget, or the same call again) a thought is ended."""

_MAX_ANSWER_SHOWN = 200


@dataclass(frozen=True, slots=True)
class StoppedThought:
    """A thought that was ended from outside, and why."""

    why: str
    reason: Literal["budget"] = "budget"


SPOKEN_LINE = -1
"""In the place of a record's place: the line that a thought said."""


@dataclass(frozen=True, slots=True)
class ReleasedRecord:
    """A record that a thought wrote under rules for releases (or SAID: its line): its place
    among those of the step, the names of the rules, the label it would have had, and what it
    rested on."""

    place: int
    rules: tuple[str, ...]
    before: Label
    evidence: tuple[RecordId, ...] = ()


class ThoughtGuard:
    """Watches one thought of ``who``, whose tools' policy holds, and keeps its ``label``: the
    join of the labels of all that it was given.

    It begins with what is ``given``, each with its label, and with further ``labels``;
    ``calls`` and ``tokens`` are what its life has used; ``whose`` says on whose
    words a record of the memory rests besides those of who said it. ``listeners`` are who hears
    or sees what comes of the thought (none: nobody): what not all of them may hear is not given
    to it. What it decides depends on the asks and answers alone, so a thought run again from its
    record is stopped at the same place.
    """

    def __init__(
        self,
        who: AgentId,
        box: Toolbox,
        *,
        calls: int = 0,
        tokens: int = 0,
        whose: Callable[[Record], Iterable[str]] = lambda record: (),
        listeners: Iterable[AgentId] = (),
        given: Iterable[tuple[ThoughtInput, Label]] = (),
        labels: Iterable[Label] = (),
    ) -> None:
        self.who = who
        self.policy = box.policy
        self.listeners = normalize_listeners(listeners)
        self._given: list[tuple[ThoughtInput, Label]] = []
        self._initial = (given, labels)
        self._label: Label | None = None
        self.calls, self.tokens, self.asks = 0, 0, 0
        self.refusals = 0
        self.released: list[ReleasedRecord] = []
        self.refusal_reason = ""
        self._used_before = (calls, tokens)
        self._whose = whose
        self._box = box
        # By a call's key: its tool, and what is told to whoever makes it again.
        self._calls_made: dict[str, tuple[str, str]] = {}
        self._recalled: dict[RecordId, Record] = {}

    @property
    def label(self) -> Label:
        """The join of the labels of all that the thought was given so far."""
        # Most steps of a life ask nothing and write nothing: their label is never worked out.
        if self._label is None:
            given, labels = self._initial
            self._given = list(given)
            self._label = join_labels((*labels, *(label for _, label in self._given)), self.who)
        return self._label

    @property
    def given(self) -> list[tuple[ThoughtInput, Label]]:
        """What the thought began with besides its state, each part with its label."""
        if self._label is None:
            self.add_labels()
        return self._given

    @property
    def sources(self) -> set[str]:
        """Whose words the thought has read that nobody vouches for."""
        return set(self.policy.untrusted_sources(self.label.sources))

    @property
    def recalled(self) -> Iterable[Record]:
        """The records that the thought was given by its memory."""
        return self._recalled.values()

    @property
    def person(self) -> AgentId:
        """For whom calls are made: the only listener, everybody where there are more."""
        if len(self.listeners) > 1:
            return EVERYBODY
        return self.listeners[0] if self.listeners else ""

    def label_for(self, basis: Iterable[ThoughtInput]) -> Label:
        """The label of what rests on a part of what the thought was given. Raises SettingError
        for what it was not given, and for nothing at all: nothing rests on nothing."""
        labels = [self._input_label(one) for one in basis]
        if not labels:
            raise SettingError(
                f"{self.who}: a record is said to rest on nothing; leave it out of rests_on, or "
                "name what it rests on"
            )
        return join_labels(labels, self.who)

    def _input_label(self, one: ThoughtInput) -> Label:
        if isinstance(one, Record):
            if self._recalled.get(one.id) == one:
                return Label(tuple(sorted(self._record_sources(one))), one.audience)
        else:
            for given, label in self.given:
                if given == one:
                    return label
        raise SettingError(
            f"{self.who}: a record is said to rest on what the thought was not given: {one!r:.120}"
        )

    # -- before the asks are passed on ------------------------------------------------

    def before_ask(self, ask: Ask) -> tuple[Ask, Answer | None]:
        """The ask as it is passed on, and its answer where it must not be."""
        self.asks += 1
        over = self._budget_error(ask)
        if not isinstance(ask, Call):
            if isinstance(ask, Recall) and self.listeners:
                ask = Recall(cue=restrict_cue(ask.cue, self.listeners))
            return ask, self._refused(Failed(reason="budget", detail=over)) if over else None
        read = {*self.label.sources, *ask.sources}
        stamped = replace(
            ask,
            person=self._person_for(ask.person),
            sources=self.policy.untrusted_sources(read),
            read=tuple(sorted(read)),
            audience=self.label.audience,
        )
        if over:
            return stamped, self._refused(ToolResult(ok=False, error=over, reason="budget"))
        key = call_key(ask.tool, ask.arguments)
        if key in self._calls_made:
            return stamped, self._refused(repeated_call(*self._calls_made[key]))
        self.calls += 1
        if self._is_idempotent(ask.tool):
            self._calls_made[key] = (ask.tool, "its answer is on the way")
        return stamped, None

    def _person_for(self, person: AgentId) -> AgentId:
        """For whom a call is: a thought with listeners calls for nobody else."""
        if not self.listeners:
            return person
        return self.person if person in ("", self.person) else EVERYBODY

    def _refused(self, answer: Failed | ToolResult) -> Answer:
        self.refusals += 1
        self.refusal_reason = answer.detail if isinstance(answer, Failed) else answer.error
        return answer

    def _is_idempotent(self, tool: str) -> bool:
        """Whether a call of it need not be made twice."""
        spec = self._spec(tool)
        return spec is not None and spec.effect != "acts" and not matches(spec, self.policy.again)

    def _budget_error(self, ask: Ask) -> str:
        """What the ask would be over, in words, or empty."""
        thought, life = self.policy.thought, self.policy.life
        if thought.asks is not None and self.asks > thought.asks:
            return f"this thought has asked {thought.asks} times, as often as it may"
        if isinstance(ask, Call):
            for cap, used, what in (
                (thought.calls, self.calls, "this thought"),
                (life.calls, self._used_before[0] + self.calls, "this life"),
            ):
                if cap is not None and used >= cap:
                    return f"{what} has made {cap} calls, as many as it may"
        # What was thought must still be remembered: embedding and recall read no prompts.
        elif not isinstance(ask, Embed | Recall):
            for cap, used, what in (
                (thought.tokens, self.tokens, "this thought"),
                (life.tokens, self._used_before[1] + self.tokens, "this life"),
            ):
                if cap is not None and used >= cap:
                    return f"{what} has cost {used} tokens, and may cost {cap}"
        return ""

    # -- when the answers are there ---------------------------------------------------

    def after_answer(self, ask: Ask, answer: Answer) -> None:
        """Take in an answer that somebody else gave."""
        self.tokens += tokens_used(answer)
        if isinstance(answer, Recalled):
            records = [one for hit in answer.hits for one in (hit.record, *hit.around)]
            self._recalled.update((record.id, record) for record in records)
            words = {source for record in records for source in self._record_sources(record)}
            audiences = (Label((), record.audience) for record in records)
            self.add_labels(Label(tuple(words), answer.audience), *audiences)
        elif isinstance(answer, Failed | ToolResult) and answer.reason == "budget":
            self._refused(answer)
        elif isinstance(answer, ToolResult) and isinstance(ask, Call):
            self._after_call(ask, answer)

    def _after_call(self, ask: Call, result: ToolResult) -> None:
        spec, key = self._spec(ask.tool), call_key(ask.tool, ask.arguments)
        if spec is None:
            return
        if result.receipt:
            outside = (f"tool:{ask.tool}",) if spec.outside else ()
            self.add_labels(Label((*result.sources, *outside), result.audience))
        if result.receipt and spec.effect == "acts":
            # What was read before may be otherwise now.
            self._calls_made = {
                one: made for one, made in self._calls_made.items() if self._is_pure(made[0])
            }
        if key not in self._calls_made:
            return
        if spec.effect == "reads" and result.receipt and not result.ok:
            # Bad luck may have passed.
            del self._calls_made[key]
            return
        self._calls_made[key] = (ask.tool, answer_summary(result))

    def _is_pure(self, tool: str) -> bool:
        spec = self._spec(tool)
        return spec is not None and spec.effect == "pure"

    def _spec(self, tool: str) -> ToolSpec | None:
        return self._box.spec(tool) if tool in self._box else None

    def add_labels(self, *labels: Label) -> None:
        """Take in what the thought was given besides, by the labels of that."""
        self._label = join_labels((self.label, *labels), self.who)

    def _record_sources(self, record: Record) -> set[str]:
        """Whose words are in a record and in all that it rests on."""
        return {*self._whose(record), *record_sources(record, self.who)}


def tokens_used(answer: Answer) -> int:
    """The tokens read and written for an answer."""
    return int(getattr(answer, "tokens_in", 0)) + int(getattr(answer, "tokens_out", 0))


def run_guarded(
    thought: Thought[T], guard: ThoughtGuard, log: list[AnsweredAsk]
) -> Thought[T | StoppedThought]:
    """Run a thought under a guard; each ask and answer is appended to ``log``.

    A thought that goes on asking though it is over its budget, or the same again and again,
    is closed after ``MAX_REFUSALS`` refusals."""
    try:
        asks = next(thought)
        while True:
            looked = [guard.before_ask(ask) for ask in asks]
            if not asks:
                guard.asks += 1
            passed = tuple(ask for ask, answer in looked if answer is None)
            fresh = iter((yield passed) if passed else ())
            answers = []
            for ask, answer in looked:
                if answer is None:
                    answer = next(fresh)
                    guard.after_answer(ask, answer)
                log.append(AnsweredAsk(ask, answer))
                answers.append(answer)
            most = guard.policy.thought.asks
            if guard.refusals > MAX_REFUSALS or (
                most is not None and guard.asks > most + MAX_REFUSALS
            ):
                return StoppedThought(
                    guard.refusal_reason or "it asks for nothing and does not end"
                )
            asks = thought.send(tuple(answers))
    except StopIteration as end:
        return cast(T, end.value)
    finally:
        thought.close()


def answer_summary(result: ToolResult) -> str:
    """What was answered, in words for whoever calls so again."""
    shown = canonical(result.value) if result.ok else result.error
    if len(shown) > _MAX_ANSWER_SHOWN:
        shown = f"{shown[:_MAX_ANSWER_SHOWN]}…"
    return f"the answer was: {shown}"


def repeated_call(tool: str, told: str) -> ToolResult:
    """The answer to a call that was made before, with what is ``told`` of that."""
    error = f"'{tool}' was called with these arguments before; {told}"
    return ToolResult(ok=False, error=error, reason="repeated")


def normalize_listeners(people: Iterable[AgentId]) -> tuple[AgentId, ...]:
    """Listeners once each, in order of name; among everybody nobody counts by themselves.

    >>> normalize_listeners(["Eve", "Ada", "Eve"]), normalize_listeners(["Ada", EVERYBODY])
    (('Ada', 'Eve'), ('*',))
    """
    known = set(people)
    return (EVERYBODY,) if EVERYBODY in known else tuple(sorted(known))


def restrict_cue(cue: Cue, listeners: tuple[AgentId, ...]) -> Cue:
    """A cue that asks for nothing but what all the listeners may hear."""
    first, *others = normalize_listeners((*cue.hearers, *listeners))
    return replace(cue, person=first, listeners=tuple(others))
