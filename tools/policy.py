"""Who may call what: rules by name and effect, rights by what was read, and budgets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import inf
from typing import Literal, TypeAlias, get_args

from ..core import (
    EVERYBODY,
    RECORD_KINDS,
    UNKNOWN_SOURCE,
    AgentId,
    Label,
    RecordKind,
    SettingError,
    ToolSpec,
    did_you_mean,
    normalize_name,
)

Verdict: TypeAlias = Literal["allow", "ask", "deny"]

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
ANONYMOUS = "somebody without a name"
"""The source of words that nobody's name stands over; no pattern trusts it."""

EFFECT_PATTERNS = ("@pure", "@reads", "@acts", "@outside")
"""Patterns that name tools by what they do."""

_WILD = frozenset("*?[")


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageLimits:
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
class Release:
    """A rule, known by its ``name``, by which what an agent writes is for more people, or counts
    as resting on less, than what it was made of.

    What is for nobody but some ``of`` these people is also for those it is released ``to``
    (EVERYBODY in either: whoever it is); the sources that ``clears`` matches, patterns as in
    ``Policy.trusted``, are taken off. Without ``of`` a rule only clears, whomever a thing is
    for. ``kinds`` are the kinds of records that it holds for (none: all that is written).

    >>> rule = Release(name="birthday", of=("Ada",), to=("*",))
    >>> rule.apply(Label(("Ada",), ("Ada",)), owner="Bo")
    Label(sources=('Ada',), audience=())
    >>> rule.apply(Label((), ("Ada", "Cy")), owner="Bo").audience
    ('Ada', 'Cy')
    """

    name: str
    of: tuple[AgentId, ...] = ()
    to: tuple[AgentId, ...] = ()
    clears: tuple[str, ...] = ()
    kinds: tuple[RecordKind, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise SettingError("policy: a release has no name; give one, by which it is recorded")
        whose = f"policy: release '{self.name}'"
        for name in ("of", "to", "clears"):
            object.__setattr__(
                self, name, validate_patterns(getattr(self, name), f"{whose}: '{name}'")
            )
        for name in ("of", "to"):
            object.__setattr__(self, name, tuple(map(normalize_name, getattr(self, name))))
        validate_source_patterns(self.clears, f"{whose}: 'clears'")
        if bool(self.of) != bool(self.to):
            raise SettingError(f"{whose}: say of whom ('of') and to whom ('to') it is, or neither")
        if not self.to and not self.clears:
            raise SettingError(f"{whose}: releases nothing; give 'of' and 'to', or 'clears'")
        object.__setattr__(self, "kinds", tuple(self.kinds))
        if wrong := [one for one in self.kinds if one not in RECORD_KINDS]:
            raise SettingError(
                f"{whose}: '{wrong[0]}' is no kind of "
                f"record{did_you_mean(str(wrong[0]), RECORD_KINDS)}; "
                f"kinds: {', '.join(RECORD_KINDS)}"
            )

    def apply(self, label: Label, *, kind: str = "", owner: AgentId = "") -> Label:
        """The label of what is written with this one, released by this rule where it holds."""
        if self.kinds and kind not in self.kinds:
            return label
        people = set(map(normalize_name, label.audience))
        circle = people - {normalize_name(owner)} or people
        held = EVERYBODY in self.of or circle.issubset(self.of)
        if self.of and (not people or not held):
            return label
        audience = label.audience
        if EVERYBODY in self.to:
            audience = ()
        elif self.to:
            audience = tuple(sorted({*audience, *self.to}))
        sources = tuple(one for one in label.sources if not is_trusted(one, self.clears))
        return Label(sources, audience)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What an agent may do with its tools; decided outside any model.

    ``allow``, ``ask`` (a person, each time) and ``deny`` are patterns of names (``web.*``)
    or of effects (``@acts``, ``@reads``, ``@pure``, ``@outside``). ``deny`` goes before
    ``ask``, and what none of them matches is denied. What grants is read narrowly, part of a
    name by part (see ``matches``), what restricts widely (see ``matches_widely``).

    ``strangers`` is what becomes of a call that acts when the thought has read words that
    nobody vouches for: of people and agents outside ``trusted``, of documents, of tools that
    bring words from outside. ``trusted`` are patterns of names of people, ``document:NAME`` and
    ``tool:NAME``; ``*`` is everybody and everything. Tools of ``own`` act on nothing but the
    agent's own things, and keep that right; one that another program runs is among them only
    by its whole name.

    ``again``: tools that may be called with the same arguments twice in a thought. ``thought``
    bounds every single thought, ``life`` all thoughts of an agent together (seconds are only
    measured within a thought). ``releases`` are the rules by which something that was for
    some, or was strangers' words, is so no longer; each use goes to the book of calls.

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
    thought: UsageLimits = UsageLimits(calls=64, asks=1000)
    life: UsageLimits = UsageLimits()
    releases: tuple[Release, ...] = ()

    def __post_init__(self) -> None:
        for name in ("allow", "ask", "deny", "trusted", "own", "again"):
            object.__setattr__(
                self, name, validate_patterns(getattr(self, name), f"policy: '{name}'")
            )
        validate_source_patterns(self.trusted, "policy: 'trusted'")
        object.__setattr__(self, "releases", _checked_releases(self.releases))
        if self.strangers not in VERDICTS:
            raise SettingError(
                f"policy: 'strangers' is {self.strangers!r}; say {', '.join(VERDICTS)}"
            )
        for pattern in (*self.allow, *self.ask, *self.deny, *self.own, *self.again):
            if pattern.startswith("@") and pattern not in EFFECT_PATTERNS:
                raise SettingError(f"policy: '{pattern}' is none of {', '.join(EFFECT_PATTERNS)}")
        for name in ("thought", "life"):
            budget = getattr(self, name)
            if not isinstance(budget, UsageLimits):
                raise SettingError(f"policy: '{name}' is {budget!r}; give a Budget")
            budget.check()
        if self.life.seconds is not None or self.life.asks is not None:
            raise SettingError("policy: a life is bounded by calls and tokens; see 'thought'")

    def verdict(self, tool: ToolSpec | str) -> Verdict:
        """What the patterns say of a tool, whatever was read."""
        if matches_widely(tool, self.deny):
            return "deny"
        if matches_widely(tool, self.ask):
            return "ask"
        return "allow" if matches(tool, self.allow) else "deny"

    def ruling(self, tool: ToolSpec, sources: tuple[str, ...] = ()) -> Ruling:
        """What becomes of a call of ``tool`` in a thought that has read ``sources``."""
        verdict = self.verdict(tool)
        if verdict == "deny":
            return Ruling("deny", f"'{tool.name}' is not allowed here")
        strange = tool.effect == "acts" and not self.is_own_tool(tool)
        foreign = self.untrusted_sources(sources) if strange else ()
        if foreign and self.strangers != "allow":
            whose = ", ".join(map(_told, foreign[:5]))
            why = (
                f"'{tool.name}' acts, and the words of {whose} were read, whom nobody vouches for; "
                "who does names them in the policy's 'trusted'"
            )
            return Ruling(self.strangers, why)
        if verdict == "ask":
            return Ruling("ask", f"'{tool.name}' needs a person's leave")
        return Ruling("allow")

    def is_own_tool(self, tool: ToolSpec) -> bool:
        """Whether a tool is one of ``own``. The names of a tool that another program runs are
        that program's to choose: so no pattern means it, only its name."""
        return _owned(tool, self.own)

    def untrusted_sources(self, sources: Iterable[str]) -> tuple[str, ...]:
        """Those of ``sources`` that are not trusted, in order; a source without a name is
        nobody's, whom no pattern trusts."""
        named = {source if source.strip() else ANONYMOUS for source in sources}
        return tuple(sorted(s for s in named if s == ANONYMOUS or not is_trusted(s, self.trusted)))

    def apply_releases(
        self, label: Label, *, kind: str = "", owner: AgentId = ""
    ) -> tuple[Label, tuple[str, ...]]:
        """The label of what ``owner`` writes (as a record of a ``kind``), by the rules for
        releases that hold for it, and the names of those rules. The rules look at the label as
        it is, so their order does not matter."""
        applied = {rule.name: rule.apply(label, kind=kind, owner=owner) for rule in self.releases}
        used = tuple(name for name, one in applied.items() if one != label)
        if not used:
            return label, ()
        found = [applied[name] for name in used]
        kept = set.intersection(*(set(one.sources) for one in found))
        everybody = any(not one.audience for one in found)
        people = () if everybody else sorted({name for one in found for name in one.audience})
        return Label(tuple(sorted(kept)), tuple(people)), used

    def unmatched_patterns(self, tools: Iterable[ToolSpec]) -> Iterator[tuple[str, str]]:
        """The patterns of ``deny``, ``ask`` and ``own`` that mean none of these tools, each
        with the name of its key: perhaps they are misspelt, and protect or permit nothing."""
        known = tuple(tools)
        for key, given, means in (
            ("deny", self.deny, matches_widely),
            ("ask", self.ask, matches_widely),
            ("own", self.own, _owned),
        ):
            for pattern in given:
                if pattern not in EFFECT_PATTERNS and not any(
                    means(tool, (pattern,)) for tool in known
                ):
                    yield key, pattern


def _told(source: str) -> str:
    """A source as whoever reads a refusal understands it."""
    return f"somebody unknown ('{UNKNOWN_SOURCE}')" if source == UNKNOWN_SOURCE else source


def _owned(tool: ToolSpec, own: tuple[str, ...]) -> bool:
    foreign = tool.effect == "acts" and tool.outside
    return tool.name in own if foreign else matches(tool, own)


def _checked_releases(given: object) -> tuple[Release, ...]:
    if isinstance(given, Release) or not isinstance(given, Iterable):
        raise SettingError(f"policy: 'releases' is {given!r:.80}; give a list of Release")
    rules = tuple(given)
    for number, rule in enumerate(rules):
        if not isinstance(rule, Release):
            raise SettingError(f"policy: 'releases' holds {rule!r:.80}; give a Release")
        if any(rule.name == other.name for other in rules[:number]):
            raise SettingError(f"policy: two releases are called '{rule.name}'; rename one")
    return rules


def validate_policy(given: object, whose: str) -> Policy:
    """A policy as it was given. Raises SettingError for what is none."""
    if not isinstance(given, Policy):
        raise SettingError(f"{whose}: policy is {given!r}; give a Policy, or None")
    return given


def validate_patterns(given: object, what: str) -> tuple[str, ...]:
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


def validate_source_patterns(patterns: Iterable[str], what: str) -> None:
    """Raises SettingError for a pattern whose namespace is a pattern too: it would mean people
    and documents alike."""
    for one in patterns:
        space, colon, _ = one.partition(":")
        if colon and (not space or not _WILD.isdisjoint(space)):
            raise SettingError(
                f"{what} holds '{one}', which names no kind of source; write 'document:NAME' or "
                "'tool:NAME', a person's name alone, or '*' for all"
            )


def matches(tool: ToolSpec | str, patterns: Iterable[str]) -> bool:
    """Whether a tool (a name) fits one of the patterns of what grants something: part by part
    at the dots. Only a last part ``*`` stands for more than one, and ``*`` alone for every
    name.

    >>> [matches(name, ["web.*"]) for name in ("web", "web.fetch", "web.a.b", "webs.fetch")]
    [False, True, True, False]
    >>> matches("evil.write_note", ["*_note"]), matches("write_note", ["*_note"])
    (False, True)
    """
    name, marks = _known_by(tool)
    return any(one in marks or _fits(name, normalize_name(one)) for one in patterns)


def matches_widely(tool: ToolSpec | str, patterns: Iterable[str]) -> bool:
    """Whether a tool (a name) fits one of the patterns of what restricts something: ``*`` stands
    for any letters, dots too.

    >>> matches_widely("evil.write_note", ["*_note"])
    True
    """
    name, marks = _known_by(tool)
    return any(one in marks or fnmatchcase(name, normalize_name(one)) for one in patterns)


def is_trusted(source: str, patterns: Iterable[str]) -> bool:
    """Whether a source of words fits one of the patterns, in which ``*`` stands for any letters
    and ``?`` for one. One without a namespace means people alone, except ``*``, which means all;
    the names of tools are matched part by part.

    >>> is_trusted("Jason", ["*son"]), is_trusted("document:lesson", ["*son"])
    (True, False)
    >>> is_trusted("Ada [b]", ["Ada [b]"]), is_trusted("Ada b", ["Ada [b]"])
    (True, False)
    >>> is_trusted("document:lesson", ["document:less*"]), is_trusted("tool:web.get", ["tool:*"])
    (True, True)
    """
    space, name = _split(normalize_name(source))
    for one in patterns:
        if one == "*":
            return True
        wanted, pattern = _split(normalize_name(one))
        # Names of people and files may hold brackets, which stand for themselves.
        fits = _fits if space == "tool" else fnmatchcase
        if space == wanted and fits(name, pattern.replace("[", "[[]")):
            return True
    return False


def _known_by(tool: ToolSpec | str) -> tuple[str, tuple[str, ...]]:
    """The name of a tool, and the marks of what it does."""
    if not isinstance(tool, ToolSpec):
        return normalize_name(str(tool)), ()
    marks = (f"@{tool.effect}", *(("@outside",) if tool.outside else ()))
    return normalize_name(tool.name), marks


def _split(source: str) -> tuple[str, str]:
    """The namespace of a source (empty: a person's) and the name in it."""
    space, colon, name = source.partition(":")
    return (space, name) if colon else ("", source)


def _fits(name: str, pattern: str) -> bool:
    """Whether a name fits a pattern part by part at the dots."""
    parts, wanted = name.split("."), pattern.split(".")
    if wanted[-1] == "*" and len(parts) > len(wanted):
        parts = parts[: len(wanted)]
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))
