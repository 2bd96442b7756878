"""Policies: which tool calls are allowed, by name, effect and sources read; usage limits."""

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
"""The source of words without a name; no pattern trusts it."""

EFFECT_PATTERNS = ("@pure", "@reads", "@acts", "@outside")
"""Patterns that match tools by effect."""

_WILDCARDS = frozenset("*?[")


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageLimits:
    """Maximum usage; 0: nothing, None: unlimited. ``calls`` are tool calls, ``asks`` all asks to
    models, memory and tools, ``tokens`` prompt plus completion tokens, ``seconds`` wall time."""

    calls: int | None = None
    asks: int | None = None
    tokens: int | None = None
    seconds: float | None = None

    def check(self) -> None:
        """Raises SettingError for a value that is no number, negative or infinite."""
        for name in ("calls", "asks", "tokens", "seconds"):
            value = getattr(self, name)
            types = (int, float) if name == "seconds" else (int,)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, types):
                raise SettingError(f"policy: a budget's '{name}' is {value!r}; give a number")
            if not 0 <= value < inf:
                raise SettingError(
                    f"policy: a budget must not be negative nor infinite; '{name}' is {value}; "
                    "leave it out for any amount"
                )


@dataclass(frozen=True, slots=True)
class Ruling:
    """A policy's decision on a call, and the reason."""

    verdict: Verdict
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A declassification rule: widens the audience, or removes sources, of what an agent writes.

    If everybody in the audience is listed in ``of`` (EVERYBODY: anybody), the people in ``to``
    are added to it (EVERYBODY: it becomes public). Sources that match ``clears`` (patterns as in
    ``Policy.trusted``) are removed. A rule without ``of`` only removes sources. ``kinds`` are the
    kinds of records it applies to (empty: everything written).

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
        """The label after this rule, unchanged if the rule does not apply."""
        if self.kinds and kind not in self.kinds:
            return label
        people = set(map(normalize_name, label.audience))
        others = people - {normalize_name(owner)} or people
        matches_audience = EVERYBODY in self.of or others.issubset(self.of)
        if self.of and (not people or not matches_audience):
            return label
        audience = label.audience
        if EVERYBODY in self.to:
            audience = ()
        elif self.to:
            audience = tuple(sorted({*audience, *self.to}))
        sources = tuple(name for name in label.sources if not is_trusted(name, self.clears))
        return Label(sources, audience)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Which tool calls an agent may make. Decided in code, never by a model.

    ``allow``, ``ask`` (a person approves each call) and ``deny`` are patterns of names (``web.*``)
    or of effects (``@acts``, ``@reads``, ``@pure``, ``@outside``). ``deny`` overrides ``ask``,
    which overrides ``allow``; a tool that matches none is denied. Granting patterns match part by
    part (``matches``), restricting ones widely (``matches_widely``).

    ``strangers`` is the verdict on a call that acts after the thought has read untrusted sources:
    people and agents outside ``trusted``, documents, tools that return outside words. ``trusted``
    are patterns of people's names, ``document:NAME`` and ``tool:NAME``; ``*`` matches everything.
    ``own`` are tools that act only on the agent's own data: ``strangers`` does not apply to them.
    Its patterns do not match external tools that act, which must be listed by their full names.

    ``again`` are tools that may be called twice with the same arguments in one thought.
    ``thought`` limits each thought, ``life`` all thoughts of an agent together (without seconds).
    ``releases`` are declassification rules; every use is logged in the tool-call log.

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
                raise SettingError(f"policy: '{name}' is {budget!r}; give UsageLimits")
            budget.check()
        if self.life.seconds is not None or self.life.asks is not None:
            raise SettingError("policy: a life is bounded by calls and tokens; see 'thought'")

    def verdict(self, tool: ToolSpec | str) -> Verdict:
        """The verdict on a tool by its patterns alone."""
        if matches_widely(tool, self.deny):
            return "deny"
        if matches_widely(tool, self.ask):
            return "ask"
        return "allow" if matches(tool, self.allow) else "deny"

    def ruling(self, tool: ToolSpec, sources: tuple[str, ...] = ()) -> Ruling:
        """The decision on a call of ``tool`` in a thought that has read ``sources``."""
        verdict = self.verdict(tool)
        if verdict == "deny":
            return Ruling("deny", f"'{tool.name}' is not allowed here")
        is_restricted = tool.effect == "acts" and not self.is_own_tool(tool)
        untrusted = self.untrusted_sources(sources) if is_restricted else ()
        if untrusted and self.strangers != "allow":
            names = ", ".join(map(_display_source, untrusted[:5]))
            why = (
                f"'{tool.name}' acts, and the words of {names} were read, whom nobody vouches for; "
                "who does names them in the policy's 'trusted'"
            )
            return Ruling(self.strangers, why)
        if verdict == "ask":
            return Ruling("ask", f"'{tool.name}' needs a person's approval")
        return Ruling("allow")

    def is_own_tool(self, tool: ToolSpec) -> bool:
        """Whether ``own`` lists a tool. An external tool that acts must be listed by its full
        name: other programs could choose names that match a pattern."""
        return _is_own(tool, self.own)

    def untrusted_sources(self, sources: Iterable[str]) -> tuple[str, ...]:
        """The sources that no pattern of ``trusted`` matches, sorted; a blank source becomes
        ANONYMOUS."""
        named = {source if source.strip() else ANONYMOUS for source in sources}
        return tuple(sorted(s for s in named if s == ANONYMOUS or not is_trusted(s, self.trusted)))

    def apply_releases(
        self, label: Label, *, kind: str = "", owner: AgentId = ""
    ) -> tuple[Label, tuple[str, ...]]:
        """The label of what ``owner`` writes (as a record of a ``kind``) after the applicable
        releases, and their names. Each rule applies to the original label, so their order does not
        matter."""
        applied = {rule.name: rule.apply(label, kind=kind, owner=owner) for rule in self.releases}
        used = tuple(name for name, released in applied.items() if released != label)
        if not used:
            return label, ()
        labels = [applied[name] for name in used]
        sources = set.intersection(*(set(released.sources) for released in labels))
        is_public = any(not released.audience for released in labels)
        people = {name for released in labels for name in released.audience}
        return Label(tuple(sorted(sources)), () if is_public else tuple(sorted(people))), used

    def unmatched_patterns(self, tools: Iterable[ToolSpec]) -> Iterator[tuple[str, str]]:
        """Key and pattern for those of ``deny``, ``ask`` and ``own`` that match none of these
        tools: perhaps misspelt."""
        known = tuple(tools)
        for key, patterns, test in (
            ("deny", self.deny, matches_widely),
            ("ask", self.ask, matches_widely),
            ("own", self.own, _is_own),
        ):
            for pattern in patterns:
                is_effect = pattern in EFFECT_PATTERNS
                if not is_effect and not any(test(tool, (pattern,)) for tool in known):
                    yield key, pattern


def _display_source(source: str) -> str:
    return f"somebody unknown ('{UNKNOWN_SOURCE}')" if source == UNKNOWN_SOURCE else source


def _is_own(tool: ToolSpec, own: tuple[str, ...]) -> bool:
    is_external = tool.effect == "acts" and tool.outside
    return tool.name in own if is_external else matches(tool, own)


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
    """The policy; raises SettingError if it is no Policy."""
    if not isinstance(given, Policy):
        raise SettingError(f"{whose}: policy is {given!r}; give a Policy, or None")
    return given


def validate_patterns(given: object, what: str) -> tuple[str, ...]:
    """Patterns as a tuple. Raises SettingError for a bare text, which would be read letter by
    letter, for an empty pattern or one with blanks around it, and for a non-text."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise SettingError(f"{what} is {given!r}; give a list of patterns, such as ['web.*']")
    patterns = tuple(given)
    for pattern in patterns:
        if not isinstance(pattern, str) or not pattern.strip():
            raise SettingError(
                f"{what} holds {pattern!r}, which is no pattern of names; leave it out"
            )
        if pattern != pattern.strip():
            raise SettingError(f"{what} holds {pattern!r}; leave out the blanks around it")
    return patterns


def validate_source_patterns(patterns: Iterable[str], what: str) -> None:
    """Raises SettingError for a pattern with a wildcard in its namespace, which would match people
    and documents alike."""
    for pattern in patterns:
        space, colon, _ = pattern.partition(":")
        if colon and (not space or not _WILDCARDS.isdisjoint(space)):
            raise SettingError(
                f"{what} holds '{pattern}', which names no kind of source; write 'document:NAME' "
                "or 'tool:NAME', a person's name alone, or '*' for all"
            )


def matches(tool: ToolSpec | str, patterns: Iterable[str]) -> bool:
    """Whether a tool (or name) matches one of the patterns that grant something: part by part
    between dots. Only a last part ``*`` matches several parts, and ``*`` alone every name.

    >>> [matches(name, ["web.*"]) for name in ("web", "web.fetch", "web.a.b", "webs.fetch")]
    [False, True, True, False]
    >>> matches("evil.write_note", ["*_note"]), matches("write_note", ["*_note"])
    (False, True)
    """
    name, marks = _name_and_effects(tool)
    return any(one in marks or _matches_parts(name, normalize_name(one)) for one in patterns)


def matches_widely(tool: ToolSpec | str, patterns: Iterable[str]) -> bool:
    """Whether a tool (or name) matches one of the patterns that restrict something: ``*`` matches
    any characters, also dots.

    >>> matches_widely("evil.write_note", ["*_note"])
    True
    """
    name, marks = _name_and_effects(tool)
    return any(one in marks or fnmatchcase(name, normalize_name(one)) for one in patterns)


def is_trusted(source: str, patterns: Iterable[str]) -> bool:
    """Whether a source matches one of the patterns, in which ``*`` matches any characters and ``?``
    one. A pattern without a namespace matches people only, except ``*``, which matches everything.
    Names of tools are matched part by part.

    >>> is_trusted("Jason", ["*son"]), is_trusted("document:lesson", ["*son"])
    (True, False)
    >>> is_trusted("Ada [b]", ["Ada [b]"]), is_trusted("Ada b", ["Ada [b]"])
    (True, False)
    >>> is_trusted("document:lesson", ["document:less*"]), is_trusted("tool:web.get", ["tool:*"])
    (True, True)
    """
    space, name = _split(normalize_name(source))
    for pattern in patterns:
        if pattern == "*":
            return True
        pattern_space, pattern_name = _split(normalize_name(pattern))
        # Brackets in names of people and files are literal.
        test = _matches_parts if space == "tool" else fnmatchcase
        if space == pattern_space and test(name, pattern_name.replace("[", "[[]")):
            return True
    return False


def _name_and_effects(tool: ToolSpec | str) -> tuple[str, tuple[str, ...]]:
    if not isinstance(tool, ToolSpec):
        return normalize_name(str(tool)), ()
    marks = (f"@{tool.effect}", *(("@outside",) if tool.outside else ()))
    return normalize_name(tool.name), marks


def _split(source: str) -> tuple[str, str]:
    """The namespace of a source (empty: a person) and its name."""
    space, colon, name = source.partition(":")
    return (space, name) if colon else ("", source)


def _matches_parts(name: str, pattern: str) -> bool:
    parts, wanted = name.split("."), pattern.split(".")
    if wanted[-1] == "*" and len(parts) > len(wanted):
        parts = parts[: len(wanted)]
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))
