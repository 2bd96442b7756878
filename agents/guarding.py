"""Around every thought: whose words it has read, what it has used, and when it must end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeVar, cast

from ..core import (
    AgentId,
    Answer,
    Ask,
    Asked,
    Call,
    Embed,
    Failed,
    Recall,
    Recalled,
    Record,
    RecordId,
    Thought,
    ToolResult,
    ToolSpec,
    canonical,
)
from ..planners import call_key
from ..tools import Toolbox, matches

T = TypeVar("T")

PATIENCE = 16
"""After so many refusals (over the budget, or the same call again) a thought is ended."""

_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Stopped:
    """A thought that was ended from outside, and why."""

    why: str
    reason: Literal["budget"] = "budget"


class Guard:
    """Watches one thought of ``who``, whose tools' policy holds.

    ``sources`` are whose words it begins with, ``calls`` and ``tokens`` what its life has
    used; ``basis`` looks up a record that a thought rests on; ``person`` is for whom calls are
    made; ``kept`` are sources of what its state holds. What it decides depends on the asks
    and answers alone, so a thought run again from its record is stopped at the same place."""

    def __init__(
        self,
        who: AgentId,
        box: Toolbox,
        *,
        sources: Iterable[str] = (),
        calls: int = 0,
        tokens: int = 0,
        basis: Callable[[RecordId], Record | None] = lambda number: None,
        person: AgentId = "",
        kept: Iterable[str] = (),
    ) -> None:
        self.who = who
        self.policy = box.policy
        self.person = person
        self.sources: set[str] = set()
        self.calls, self.tokens, self.asks = 0, 0, 0
        self.refusals = 0
        self.because = ""
        self._before = (calls, tokens)
        self._basis = basis
        self._box = box
        self._traced: set[RecordId] = set()
        # By a call's key: its tool, and what is told to whoever makes it again.
        self._made: dict[str, tuple[str, str]] = {}
        self._read(map(_person, sources))
        self._read(kept)

    # -- before the asks are passed on ------------------------------------------------

    def look(self, ask: Ask) -> tuple[Ask, Answer | None]:
        """The ask as it is passed on, and its answer where it must not be."""
        self.asks += 1
        over = self._over(ask)
        if not isinstance(ask, Call):
            return ask, self._refused(Failed(reason="budget", detail=over)) if over else None
        stamped = replace(
            ask,
            person=ask.person or self.person,
            sources=tuple(sorted(self.sources | set(self.policy.strange(ask.sources)))),
        )
        if over:
            return stamped, self._refused(ToolResult(ok=False, error=over, reason="budget"))
        key = call_key(ask.tool, ask.arguments)
        if key in self._made:
            return stamped, self._refused(repeated(*self._made[key]))
        self.calls += 1
        if self._kept(ask.tool):
            self._made[key] = (ask.tool, "its answer is on the way")
        return stamped, None

    def _refused(self, answer: Failed | ToolResult) -> Answer:
        self.refusals += 1
        self.because = answer.detail if isinstance(answer, Failed) else answer.error
        return answer

    def _kept(self, tool: str) -> bool:
        """Whether a call of it need not be made twice."""
        spec = self._spec(tool)
        return spec is not None and spec.effect != "acts" and not matches(spec, self.policy.again)

    def _over(self, ask: Ask) -> str:
        """What the ask would be over, in words, or empty."""
        thought, life = self.policy.thought, self.policy.life
        if thought.asks is not None and self.asks > thought.asks:
            return f"this thought has asked {thought.asks} times, as often as it may"
        if isinstance(ask, Call):
            for cap, used, what in (
                (thought.calls, self.calls, "this thought"),
                (life.calls, self._before[0] + self.calls, "this life"),
            ):
                if cap is not None and used >= cap:
                    return f"{what} has made {cap} calls, as many as it may"
        # What was thought must still be remembered: embedding and recall read no prompts.
        elif not isinstance(ask, Embed | Recall):
            for cap, used, what in (
                (thought.tokens, self.tokens, "this thought"),
                (life.tokens, self._before[1] + self.tokens, "this life"),
            ):
                if cap is not None and used >= cap:
                    return f"{what} has cost {used} tokens, and may cost {cap}"
        return ""

    # -- when the answers are there ---------------------------------------------------

    def note(self, ask: Ask, answer: Answer) -> None:
        """Take in an answer that somebody else gave."""
        self.tokens += int(getattr(answer, "tokens_in", 0)) + int(getattr(answer, "tokens_out", 0))
        if isinstance(answer, Recalled):
            self._read(source for hit in answer.hits for source in self._whose(hit.record))
            around = (record for hit in answer.hits for record in hit.around)
            self._read(source for record in around for source in self._whose(record))
        elif isinstance(answer, Failed | ToolResult) and answer.reason == "budget":
            self._refused(answer)
        elif isinstance(answer, ToolResult) and isinstance(ask, Call):
            self._called(ask, answer)

    def _called(self, ask: Call, result: ToolResult) -> None:
        spec, key = self._spec(ask.tool), call_key(ask.tool, ask.arguments)
        if spec is None:
            return
        if result.receipt and spec.outside:
            self._read([f"tool:{ask.tool}"])
        if result.receipt and spec.effect == "acts":
            # What was read before may be otherwise now.
            self._made = {one: made for one, made in self._made.items() if self._pure(made[0])}
        if key not in self._made:
            return
        if spec.effect == "reads" and result.receipt and not result.ok:
            # Bad luck may have passed.
            del self._made[key]
            return
        self._made[key] = (ask.tool, answered(result))

    def _pure(self, tool: str) -> bool:
        spec = self._spec(tool)
        return spec is not None and spec.effect == "pure"

    def _spec(self, tool: str) -> ToolSpec | None:
        return self._box.spec(tool) if tool in self._box else None

    def _read(self, sources: Iterable[str]) -> None:
        self.sources.update(self.policy.strange(sources))

    def _whose(self, record: Record) -> Iterator[str]:
        """Whose words are in a record, and in all that it rests on."""
        rest = [record]
        while rest:
            one = rest.pop()
            if one.id in self._traced:
                continue
            self._traced.add(one.id)
            if one.kind == "document":
                yield f"document:{one.episode or one.source or one.id}"
            # What is seen of a thing has its address as its source, with colons.
            elif one.who not in ("", self.who) and not (
                one.kind == "observation" and ":" in one.who
            ):
                yield _person(one.who)
            rest.extend(known for number in one.evidence if (known := self._basis(number)))


def guarded(thought: Thought[T], guard: Guard, log: list[Asked]) -> Thought[T | Stopped]:
    """Run a thought under a guard; each ask and answer is appended to ``log``.

    A thought that goes on asking though it is over its budget, or the same again and again,
    is closed after ``PATIENCE`` refusals."""
    try:
        asks = next(thought)
        while True:
            looked = [guard.look(ask) for ask in asks]
            if not asks:
                guard.asks += 1
            passed = tuple(ask for ask, answer in looked if answer is None)
            fresh = iter((yield passed) if passed else ())
            answers = []
            for ask, answer in looked:
                if answer is None:
                    answer = next(fresh)
                    guard.note(ask, answer)
                log.append(Asked(ask, answer))
                answers.append(answer)
            most = guard.policy.thought.asks
            if guard.refusals > PATIENCE or (most is not None and guard.asks > most + PATIENCE):
                return Stopped(guard.because or "it asks for nothing and does not end")
            asks = thought.send(tuple(answers))
    except StopIteration as end:
        return cast(T, end.value)
    finally:
        thought.close()


def answered(result: ToolResult) -> str:
    """What was answered, in words for whoever calls so again."""
    shown = canonical(result.value) if result.ok else result.error
    return f"the answer was: {shown if len(shown) <= _SHOWN else f'{shown[:_SHOWN]}…'}"


def repeated(tool: str, told: str) -> ToolResult:
    """The answer to a call that was made before, with what is ``told`` of that."""
    error = f"'{tool}' was called with these arguments before; {told}"
    return ToolResult(ok=False, error=error, reason="repeated")


def _person(name: str) -> str:
    """The source that somebody's name stands for; nobody passes for a document or a tool."""
    return f"person:{name}" if ":" in name else name
