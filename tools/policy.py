"""Who may call what: rules by name and effect, rights by what was read, and budgets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import inf
from typing import Literal, TypeAlias, get_args

from ..core import SettingError, ToolSpec

Verdict: TypeAlias = Literal["allow", "ask", "deny"]

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
NOBODY = "somebody without a name"
"""The source of words that nobody's name stands over; no pattern trusts it."""

MARKS = ("@pure", "@reads", "@acts", "@outside")
"""Patterns that name tools by what they do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The most that may be used; 0: nothing, None: any amount. ``asks`` counts what is asked of
    models, memory and tools together, ``tokens`` those read and written, ``seconds`` wall time."""

    calls: int | None = None
    asks: int | None = None
    tokens: int | None = None
    seconds: float | None = None

    def check(self) -> None:
        """Raises SettingError for what is no number, negative or endless."""
        for name in ("calls", "asks", "tokens", "seconds"):
            value = getattr(self, name)
            kinds = (int, float) if name == "seconds" else (int,)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, kinds):
                raise SettingError(f"policy: a budget's '{name}' is {value!r}; give a number")
            if not 0 <= value < inf:
                raise SettingError(
                    f"policy: a budget must not be negative nor endless; '{name}' is {value}; "
                    "leave it out for any amount"
                )


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a policy says of a call, and why."""

    verdict: Verdict
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What an agent may do with its tools; decided outside any model.

    ``allow``, ``ask`` (a person, each time) and ``deny`` are patterns of names (``web.*``)
    or of effects (``@acts``, ``@reads``, ``@pure``, ``@outside``). ``deny`` goes before
    ``ask``, and what none of them matches is denied.

    ``strangers`` is what becomes of a call that acts when the thought has read words that
    nobody vouches for: of people and agents outside ``trusted``, of documents, of tools that
    bring words from outside. ``trusted`` are patterns of names, ``document:NAME`` and
    ``tool:NAME``. Tools of ``own`` act on nothing but the agent's own things, and keep that
    right.

    ``again``: tools that may be called with the same arguments twice in a thought. ``thought``
    bounds every single thought, ``life`` all thoughts of an agent together (seconds are only
    measured within a thought).

    >>> policy = Policy(ask=("shop.*",), deny=("shop.refund",))
    >>> [policy.verdict(name) for name in ("clock", "shop.buy", "shop.refund")]
    ['allow', 'ask', 'deny']
    """

    allow: tuple[str, ...] = ("*",)
    ask: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    strangers: Verdict = "deny"
    trusted: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    thought: Budget = Budget(calls=64, asks=1000)
    life: Budget = Budget()

    def __post_init__(self) -> None:
        for name in ("allow", "ask", "deny", "trusted", "own", "again"):
            object.__setattr__(self, name, patterns(getattr(self, name), f"policy: '{name}'"))
        if self.strangers not in VERDICTS:
            raise SettingError(
                f"policy: 'strangers' is {self.strangers!r}; say {', '.join(VERDICTS)}"
            )
        for pattern in (*self.allow, *self.ask, *self.deny, *self.own, *self.again):
            if pattern.startswith("@") and pattern not in MARKS:
                raise SettingError(f"policy: '{pattern}' is none of {', '.join(MARKS)}")
        for name in ("thought", "life"):
            budget = getattr(self, name)
            if not isinstance(budget, Budget):
                raise SettingError(f"policy: '{name}' is {budget!r}; give a Budget")
            budget.check()
        if self.life.seconds is not None or self.life.asks is not None:
            raise SettingError("policy: a life is bounded by calls and tokens; see 'thought'")

    def verdict(self, tool: ToolSpec | str) -> Verdict:
        """What the patterns say of a tool, whatever was read."""
        for verdict, patterns in (("deny", self.deny), ("ask", self.ask), ("allow", self.allow)):
            if matches(tool, patterns):
                return verdict  # type: ignore[return-value]
        return "deny"

    def ruling(self, tool: ToolSpec, sources: tuple[str, ...] = ()) -> Ruling:
        """What becomes of a call of ``tool`` in a thought that has read ``sources``."""
        verdict = self.verdict(tool)
        if verdict == "deny":
            return Ruling("deny", f"'{tool.name}' is not allowed here")
        strange = tool.effect == "acts" and not matches(tool, self.own)
        foreign = self.strange(sources) if strange else ()
        if foreign and self.strangers != "allow":
            whose = ", ".join(foreign[:5])
            why = f"'{tool.name}' acts, and the words of {whose} were read, whom nobody vouches for"
            return Ruling(self.strangers, why)
        if verdict == "ask":
            return Ruling("ask", f"'{tool.name}' needs a person's leave")
        return Ruling("allow")

    def strange(self, sources: Iterable[str]) -> tuple[str, ...]:
        """Those of ``sources`` that are not trusted, in order; a source without a name is
        nobody's, whom no pattern trusts."""
        named = {source if source.strip() else NOBODY for source in sources}
        return tuple(sorted(s for s in named if s == NOBODY or not matches(s, self.trusted)))


def checked_policy(given: object, whose: str) -> Policy:
    """A policy as it was given. Raises SettingError for what is none."""
    if not isinstance(given, Policy):
        raise SettingError(f"{whose}: policy is {given!r}; give a Policy, or None")
    return given


def patterns(given: object, what: str) -> tuple[str, ...]:
    """Patterns as a tuple. Raises SettingError for one bare text, which would be read letter by
    letter, for an empty pattern, and for what is no text."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise SettingError(f"{what} is {given!r}; give a list of patterns, such as ['web.*']")
    found = tuple(given)
    for one in found:
        if not isinstance(one, str) or not one.strip():
            raise SettingError(f"{what} holds {one!r}, which is no pattern of names; leave it out")
        if one != one.strip():
            raise SettingError(f"{what} holds {one!r}; leave out the blanks around it")
    return found


def matches(tool: ToolSpec | str, patterns: Iterable[str]) -> bool:
    """Whether a tool (a name) fits one of the patterns."""
    name, marks = tool, ()
    if isinstance(tool, ToolSpec):
        name = tool.name
        marks = (f"@{tool.effect}", *(("@outside",) if tool.outside else ()))
    return any(fnmatchcase(str(name), one) or one in marks for one in patterns)
