"""The guard of a thought: the label of what it has read, its budget, and repeated calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal, TypeVar, cast

from ...core import (
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
from ...planners import call_key
from ...tools import Toolbox, matches

T = TypeVar("T")

MAX_REFUSALS = 16
"""Number of refused asks after which a thought is stopped."""

_MAX_ANSWER_SHOWN = 200


@dataclass(frozen=True, slots=True)
class StoppedThought:
    """A thought that its guard has ended, and why."""

    why: str
    reason: Literal["budget"] = "budget"


SPOKEN_LINE = -1
"""Stands for the spoken line in ``ReleasedRecord.place``."""


@dataclass(frozen=True, slots=True)
class ReleasedRecord:
    """A record that rules of the policy released: its place among the records of the step (or
    SPOKEN_LINE), the names of the rules, its label before, and its evidence."""

    place: int
    rules: tuple[str, ...]
    before: Label
    evidence: tuple[RecordId, ...] = ()


class ThoughtGuard:
    """Checks every ask and answer of one thought of ``who`` against the policy of its toolbox,
    and keeps ``label``, the join of the labels of everything that the thought was given.

    The thought starts with the inputs ``given``, each with its label, and with further
    ``labels``. ``used`` gives the lifetime usage, in calls and tokens, without that of the guard
    itself. ``sources_of`` gives the sources of a record besides those written with it.
    ``listeners`` hear or see the effects of the thought (none: nobody); it recalls only what all
    of them may know. Decisions depend on the asks and answers alone, so a replayed thought is
    stopped at the same place.
    """

    def __init__(
        self,
        who: AgentId,
        toolbox: Toolbox,
        *,
        used: Callable[[ThoughtGuard], tuple[int, int]] = lambda guard: (0, 0),
        sources_of: Callable[[Record], Iterable[str]] = lambda record: (),
        listeners: Iterable[AgentId] = (),
        given: Iterable[tuple[ThoughtInput, Label]] = (),
        labels: Iterable[Label] = (),
    ) -> None:
        self.who = who
        self.policy = toolbox.policy
        self.listeners = normalize_listeners(listeners)
        self._given: list[tuple[ThoughtInput, Label]] = []
        self._initial = (given, labels)
        self._label: Label | None = None
        self.calls, self.tokens, self.asks = 0, 0, 0
        self.refusals = 0
        self.released: list[ReleasedRecord] = []
        self.refusal_reason = ""
        self._used = used
        self._sources_of = sources_of
        self._toolbox = toolbox
        # By key of the call: its tool, and a summary of its answer.
        self._calls_made: dict[str, tuple[str, str]] = {}
        self._recalled: dict[RecordId, Record] = {}

    @property
    def label(self) -> Label:
        """The join of the labels of everything that the thought was given so far."""
        # Computed on demand: most steps ask nothing and write nothing.
        if self._label is None:
            given, labels = self._initial
            self._given = list(given)
            self._label = join_labels((*labels, *(label for _, label in self._given)), self.who)
        return self._label

    @property
    def given(self) -> list[tuple[ThoughtInput, Label]]:
        """The inputs that the thought started with besides its state, each with its label."""
        if self._label is None:
            self.add_labels()
        return self._given

    @property
    def sources(self) -> set[str]:
        """The sources of what the thought has read that the policy does not trust."""
        return set(self.policy.untrusted_sources(self.label.sources))

    @property
    def recalled(self) -> Iterable[Record]:
        """The records that the thought has recalled."""
        return self._recalled.values()

    @property
    def person(self) -> AgentId:
        """For whom tool calls are made: the only listener, or everybody if there are more."""
        if len(self.listeners) > 1:
            return EVERYBODY
        return self.listeners[0] if self.listeners else ""

    def label_for(self, basis: Iterable[ThoughtInput]) -> Label:
        """The label of something that rests on a part of the inputs and recalled records. Raises
        SettingError for an empty basis, and for anything that the thought was not given."""
        labels = [self._input_label(given) for given in basis]
        if not labels:
            raise SettingError(
                f"{self.who}: a record is said to rest on nothing; leave it out of rests_on, or "
                "name what it rests on"
            )
        return join_labels(labels, self.who)

    def _input_label(self, basis: ThoughtInput) -> Label:
        if isinstance(basis, Record):
            if self._recalled.get(basis.id) == basis:
                return Label(tuple(sorted(self._record_sources(basis))), basis.audience)
        else:
            for given, label in self.given:
                if given == basis:
                    return label
        raise SettingError(
            f"{self.who}: a record is said to rest on what the thought was not given: "
            f"{basis!r:.120}"
        )

    # -- before the asks are passed on ------------------------------------------------

    def before_ask(self, ask: Ask) -> tuple[Ask, Answer | None]:
        """The ask as it is passed on, and the answer to it if it is refused."""
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
        """For whom a call is made: a thought with listeners makes calls for nobody else."""
        if not self.listeners:
            return person
        return self.person if person in ("", self.person) else EVERYBODY

    def _refused(self, answer: Failed | ToolResult) -> Answer:
        self.refusals += 1
        self.refusal_reason = answer.detail if isinstance(answer, Failed) else answer.error
        return answer

    def _is_idempotent(self, tool: str) -> bool:
        """Whether a second call with the same arguments is refused as repeated."""
        spec = self._spec(tool)
        return spec is not None and spec.effect != "acts" and not matches(spec, self.policy.again)

    def _budget_error(self, ask: Ask) -> str:
        """The budget that the ask exceeds, as a message; empty if there is none."""
        thought, life = self.policy.thought, self.policy.life
        if thought.asks is not None and self.asks > thought.asks:
            return f"this thought has asked {thought.asks} times, as often as it may"
        if isinstance(ask, Call):
            for cap, used, what in (
                (thought.calls, self.calls, "this thought"),
                (life.calls, self._used(self)[0] + self.calls, "this life"),
            ):
                if cap is not None and used >= cap:
                    return f"{what} has made {cap} calls, as many as it may"
        # Embed and Recall cost no prompt, and what was thought must still be recorded.
        elif not isinstance(ask, Embed | Recall):
            for cap, used, what in (
                (thought.tokens, self.tokens, "this thought"),
                (life.tokens, self._used(self)[1] + self.tokens, "this life"),
            ):
                if cap is not None and used >= cap:
                    return f"{what} has cost {used} tokens, and may cost {cap}"
        return ""

    # -- when the answers are there ---------------------------------------------------

    def after_answer(self, ask: Ask, answer: Answer) -> None:
        """Count the usage of an answer that was passed through, and add its labels."""
        self.tokens += tokens_used(answer)
        if isinstance(answer, Recalled):
            records = [record for hit in answer.hits for record in (hit.record, *hit.around)]
            self._recalled.update((record.id, record) for record in records)
            sources = {source for record in records for source in self._record_sources(record)}
            audiences = (Label((), record.audience) for record in records)
            self.add_labels(Label(tuple(sources), answer.audience), *audiences)
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
            # The world has changed: other calls may give another answer now.
            self._calls_made = {
                other: call for other, call in self._calls_made.items() if self._is_pure(call[0])
            }
        if key not in self._calls_made:
            return
        if spec.effect == "reads" and result.receipt and not result.ok:
            # A failed read may succeed when it is repeated.
            del self._calls_made[key]
            return
        self._calls_made[key] = (ask.tool, answer_summary(result))

    def _is_pure(self, tool: str) -> bool:
        spec = self._spec(tool)
        return spec is not None and spec.effect == "pure"

    def _spec(self, tool: str) -> ToolSpec | None:
        return self._toolbox.spec(tool) if tool in self._toolbox else None

    def add_labels(self, *labels: Label) -> None:
        """Join labels of further things that the thought was given."""
        self._label = join_labels((self.label, *labels), self.who)

    def _record_sources(self, record: Record) -> set[str]:
        """The sources of a record and of everything that it rests on."""
        return {*self._sources_of(record), *record_sources(record, self.who)}


def tokens_used(answer: Answer) -> int:
    """The number of prompt and output tokens of an answer."""
    return int(getattr(answer, "tokens_in", 0)) + int(getattr(answer, "tokens_out", 0))


def run_guarded(
    thought: Thought[T], guard: ThoughtGuard, log: list[AnsweredAsk]
) -> Thought[T | StoppedThought]:
    """Run a thought under a guard; each ask and its answer is appended to ``log``.

    The thought is stopped after ``MAX_REFUSALS`` refused asks (over budget, or repeated calls)."""
    try:
        asks = next(thought)
        while True:
            checked = [guard.before_ask(ask) for ask in asks]
            if not asks:
                guard.asks += 1
            passed = tuple(ask for ask, answer in checked if answer is None)
            new_answers = iter((yield passed) if passed else ())
            answers = []
            for ask, answer in checked:
                if answer is None:
                    answer = next(new_answers)
                    guard.after_answer(ask, answer)
                log.append(AnsweredAsk(ask, answer))
                answers.append(answer)
            limit = guard.policy.thought.asks
            too_many = limit is not None and guard.asks > limit + MAX_REFUSALS
            if guard.refusals > MAX_REFUSALS or too_many:
                reason = guard.refusal_reason or "it asks for nothing and does not end"
                return StoppedThought(reason)
            asks = thought.send(tuple(answers))
    except StopIteration as end:
        return cast(T, end.value)
    finally:
        thought.close()


def answer_summary(result: ToolResult) -> str:
    """The answer to a call as a text, for the refusal of the same call."""
    text = canonical(result.value) if result.ok else result.error
    if len(text) > _MAX_ANSWER_SHOWN:
        text = f"{text[:_MAX_ANSWER_SHOWN]}…"
    return f"the answer was: {text}"


def repeated_call(tool: str, summary: str) -> ToolResult:
    """The refusal of a repeated call; ``summary`` says what was answered."""
    error = f"'{tool}' was called with these arguments before; {summary}"
    return ToolResult(ok=False, error=error, reason="repeated")


def normalize_listeners(people: Iterable[AgentId]) -> tuple[AgentId, ...]:
    """Listeners without duplicates, sorted by name; EVERYBODY alone if it is among them.

    >>> normalize_listeners(["Eve", "Ada", "Eve"]), normalize_listeners(["Ada", EVERYBODY])
    (('Ada', 'Eve'), ('*',))
    """
    names = set(people)
    return (EVERYBODY,) if EVERYBODY in names else tuple(sorted(names))


def restrict_cue(cue: Cue, listeners: tuple[AgentId, ...]) -> Cue:
    """The cue, restricted to records that all the listeners may hear."""
    first, *others = normalize_listeners((*cue.hearers, *listeners))
    return replace(cue, person=first, listeners=tuple(others))
