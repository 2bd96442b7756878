"""Who may call what: patterns, effects, and what strangers' words withdraw."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from denizens.core import SettingError, ToolError, ToolSpec
from denizens.tools import Policy, Toolbox, ToolContext, UsageLimits, matches, matches_widely, tool
from denizens.tools.policy import ANONYMOUS
from hypothesis import given
from hypothesis import strategies as st

BO = ToolContext("Bo", datetime(2023, 2, 13, 9, 30))


@tool(name="web.fetch", effect="reads", outside=True)
def fetch() -> str:
    """Fetch a page."""
    return "page"


@tool(name="shop.buy", effect="acts")
def buy() -> str:
    """Buy a loaf."""
    return "bought"


@tool(name="shop.look", effect="reads")
def look() -> str:
    """Look at the shelf."""
    return "loaves"


@tool
def add() -> int:
    """Add nothing."""
    return 0


ALL = (fetch, buy, look, add)


def outcome(
    policy: Policy, name: str, *, sources: tuple[str, ...] = (), leave: bool = False
) -> str:
    """What comes of a call: its value, or the reason why there is none."""
    box = Toolbox(ALL, policy=policy)
    context = ToolContext("Bo", BO.now, sources=sources)
    result = box.call(name, {}, context=context, key="k", allowed=leave)
    assert result.ok == bool(result.receipt)
    return str(result.value) if result.ok else result.reason


@pytest.mark.parametrize(
    ("policy", "verdicts"),
    [
        (Policy(), "allow allow allow allow"),
        (Policy(deny=("shop.*",)), "allow deny deny allow"),
        (Policy(allow=("add", "shop.look")), "deny deny allow allow"),
        (Policy(ask=("@acts",)), "allow ask allow allow"),
        (Policy(ask=("shop.*",), deny=("@acts",)), "allow deny ask allow"),
        (Policy(deny=("@outside",), ask=("@pure",)), "deny allow allow ask"),
        (Policy(allow=(), ask=("*",)), "ask ask ask ask"),
    ],
)
def test_patterns_decide(policy: Policy, verdicts: str) -> None:
    """Names and effects are matched; deny goes before ask, ask before allow, and what nothing
    matches is denied."""
    assert [policy.verdict(one.spec) for one in ALL] == verdicts.split()


def test_what_is_denied_is_not_shown_and_not_called() -> None:
    """A mind is not offered what it may not use, and calling it all the same runs nothing."""
    policy = Policy(deny=("shop.*",))
    assert [spec.name for spec in Toolbox(ALL, policy=policy).specs()] == ["web.fetch", "add"]
    assert outcome(policy, "shop.buy") == "denied"
    assert outcome(policy, "shop.buy", leave=True) == "denied"


def test_leave_is_needed_and_enough() -> None:
    """What a person must allow runs with leave, and not without."""
    policy = Policy(ask=("shop.buy",))
    assert outcome(policy, "shop.buy") == "denied"
    assert outcome(policy, "shop.buy", leave=True) == "bought"
    assert outcome(policy, "shop.look") == "loaves"


def test_strangers_words_withdraw_the_right_to_act() -> None:
    """After a stranger's words only what acts is refused; a trusted one's withdraw nothing."""
    policy = Policy(trusted=("Ada", "document:*"))
    for sources in ((), ("Ada",), ("Ada", "document:rules.md")):
        assert outcome(policy, "shop.buy", sources=sources) == "bought"
    for sources in (("Eve",), ("Ada", "Eve"), ("tool:web.fetch",)):
        assert outcome(policy, "shop.buy", sources=sources) == "denied"
        assert outcome(policy, "shop.look", sources=sources) == "loaves"
        assert outcome(policy, "add", sources=sources) == "0"
    ruling = Toolbox(ALL, policy=policy).ruling("shop.buy", ("Eve", "Ada"))
    assert "the words of Eve were read" in ruling.why


def test_a_person_may_be_asked_about_strangers_instead() -> None:
    """With ``strangers="ask"`` a person decides, with "allow" nobody; ``own`` tools keep the
    right, and nobody's leave overrules a denial."""
    asking = Policy(strangers="ask")
    assert outcome(asking, "shop.buy", sources=("Eve",)) == "denied"
    assert outcome(asking, "shop.buy", sources=("Eve",), leave=True) == "bought"
    assert outcome(Policy(strangers="allow"), "shop.buy", sources=("Eve",)) == "bought"
    assert outcome(Policy(own=("shop.*",)), "shop.buy", sources=("Eve",)) == "bought"
    assert outcome(Policy(), "shop.buy", sources=("Eve",), leave=True) == "denied"


names = st.sampled_from([one.name for one in ALL])
patterns = st.lists(st.sampled_from(["*", "shop.*", "add", "@acts", "@reads", "@outside", "x"]))


@given(patterns, patterns, patterns, st.lists(st.sampled_from(["Ada", "Eve"])), st.booleans())
def test_no_policy_lets_strangers_act(
    allow: list[str], ask: list[str], deny: list[str], sources: list[str], leave: bool
) -> None:
    """Whatever the patterns, what acts after strange words does not run; what is denied never
    does; and what asks runs only with leave."""
    policy = Policy(allow=tuple(allow), ask=tuple(ask), deny=tuple(deny), trusted=("Ada",))
    for one in ALL:
        ran = outcome(policy, one.name, sources=tuple(sources), leave=leave) != "denied"
        verdict = policy.verdict(one.spec)
        strange = one.spec.effect == "acts" and "Eve" in sources
        assert ran == (not strange and (verdict == "allow" or (verdict == "ask" and leave)))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"deny": ("@act",)}, "'@act' is none of @pure, @reads, @acts, @outside"),
        ({"thought": UsageLimits(calls=-1)}, "must not be negative"),
        ({"life": UsageLimits(seconds=3)}, "bounded by calls and tokens"),
    ],
)
def test_wrong_policies_are_refused(settings: dict[str, object], words: str) -> None:
    """A slip in a policy must not make it harmless: it is an error that says what is known."""
    with pytest.raises(SettingError, match=words):
        Policy(**settings)  # type: ignore[arg-type]


def test_one_box_serves_many() -> None:
    """The same tools under another policy share nothing of the first one's rules."""
    box = Toolbox(ALL)
    careful = box.with_policy(Policy(deny=("@acts",)))
    assert "shop.buy" in [spec.name for spec in box.specs()]
    assert "shop.buy" not in [spec.name for spec in careful.specs()]
    assert careful.names() == box.names()


def test_namespaces() -> None:
    """Tools can be put into a namespace, and a namespace taken out of a box."""
    box = Toolbox({"": [add], "deep.space": [add, "clock"]})
    assert box.names() == ("add", "deep.space.add", "deep.space.clock")
    assert box.spec("deep.space.add").name == "deep.space.add"
    assert box.call("deep.space.add", {}, context=BO, key="k").value == 0
    assert box.call("deep.space.clock", {}, context=BO, key="k").ok
    assert box.namespace("deep").names() == box.namespace("deep.space").names()
    assert Toolbox(ALL).namespace("shop").names() == ("shop.buy", "shop.look")
    with pytest.raises(ToolError, match=r"no namespace 'sho' \(did you mean 'shop'\?\)"):
        Toolbox(ALL).namespace("sho")


def test_effects_are_matched_for_specs_only() -> None:
    """A name alone does not tell what a tool does, so an effect's pattern cannot match it."""
    assert matches(buy.spec, ["@acts"])
    assert not matches("shop.buy", ["@acts"])
    assert matches("shop.buy", ["SHOP.*", "shop.b?y"])
    assert not matches(ToolSpec("Shop.buy", "Buy.", {}), ["shop.*"])


def test_the_pages_examples_run() -> None:
    """The Python on the page about tools is right: its tool can be called as it says."""
    page = (Path(__file__).parent.parent / "docs" / "tools.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": "page"}
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    for block in blocks:
        exec(compile(block, "docs/tools.md", "exec"), names)
    box = Toolbox([names["book"]], policy=names["policy"])
    result = box.call("book", {"train": "IC 5"}, context=BO, key="k", allowed=True)
    assert result.value == "Bo: 1 second on IC 5 [k]"
    weight = box.spec("book").parameters["properties"]["weight"]
    assert weight["description"] == "of the luggage, in kg"
    assert len(blocks) == 2


def test_the_page_names_every_key_of_a_policy() -> None:
    """The table of docs/tools.md holds exactly the fields of a Policy."""
    page = (Path(__file__).parent.parent / "docs" / "tools.md").read_text(encoding="utf-8")
    table = page.partition("| key | default | meaning |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert rows == [one.name for one in fields(Policy)]


FOREIGN = ToolSpec("evil.bank_transfer_note", "Send money.", {}, "acts", outside=True)


@pytest.mark.parametrize(
    ("pattern", "narrow", "wide"),
    [
        ("web.*", "web.a web.a.b", "web.a web.a.b"),
        ("*", "web web.a web.a.b evil.a_note a_note", "web web.a web.a.b evil.a_note a_note"),
        ("*_note", "a_note", "evil.a_note a_note"),
        ("*.a", "web.a", "web.a"),
        ("*.*", "web.a web.a.b evil.a_note", "web.a web.a.b evil.a_note"),
        ("w*", "web", "web web.a web.a.b"),
        ("web.*.b", "web.a.b", "web.a.b"),
        ("web?a", "", "web.a"),
        ("web[.]a", "", "web.a"),
    ],
)
def test_what_grants_is_matched_part_by_part(pattern: str, narrow: str, wide: str) -> None:
    """A star of a pattern that grants stays within one part of a name, but for a last part of
    its own; a pattern that restricts means all it can."""
    names = ("web", "web.a", "web.a.b", "evil.a_note", "a_note")
    assert [n for n in names if matches(n, (pattern,))] == narrow.split()
    assert [n for n in names if matches_widely(n, (pattern,))] == wide.split()
    specs = [ToolSpec(name, "Does it.", {}) for name in names]
    if pattern != "*":
        assert [s.name for s in specs if Policy(allow=(pattern,)).verdict(s) == "allow"] == (
            narrow.split()
        )
    assert [s.name for s in specs if Policy(deny=(pattern,)).verdict(s) == "deny"] == wide.split()


@given(st.text("ab.*", min_size=1, max_size=6), st.text("ab.", min_size=1, max_size=6))
def test_nothing_is_granted_that_would_not_be_forbidden(pattern: str, name: str) -> None:
    """Whatever a pattern grants, it would forbid too."""
    assert matches_widely(name, (pattern,)) or not matches(name, (pattern,))


def test_a_foreign_tool_is_nobodys_own_by_a_pattern() -> None:
    """Only by its whole name is a tool that another program runs one of the agent's own."""
    for own, verdict in (
        (("*_note",), "deny"),
        (("*",), "deny"),
        (("evil.*",), "deny"),
        (("@acts",), "deny"),
        (("evil.bank_transfer_note",), "allow"),
    ):
        assert Policy(own=own).ruling(FOREIGN, ("Eve",)).verdict == verdict
    assert Policy(own=("*_note",)).ruling(ToolSpec("a_note", "Note.", {}, "acts"), ("Eve",)).verdict


@pytest.mark.parametrize(
    ("trusted", "sources", "strange"),
    [
        (("*son",), ("Jason", "document:lesson", "tool:jason"), ("document:lesson", "tool:jason")),
        (("*",), ("Eve", "document:a", "person:tool:x", "tool:a.b"), ()),
        (
            ("document:*",),
            ("person:document:a", "document:a/b.md", "Eve"),
            ("Eve", "person:document:a"),
        ),
        (("tool:web.*",), ("tool:web.a", "tool:webs.a", "tool:web"), ("tool:web", "tool:webs.a")),
        (("Zoë  Lind",), ("Zoe\u0308 Lind", "zoë lind"), ("zoë lind",)),
        (("Ada",), ("Ada ", " "), (ANONYMOUS,)),
    ],
)
def test_trust_stays_in_its_namespace(
    trusted: tuple[str, ...], sources: tuple[str, ...], strange: tuple[str, ...]
) -> None:
    """A pattern without a namespace means people, in whatever Unicode form but in their case;
    only a lone star means all."""
    assert Policy(trusted=trusted).untrusted_sources(sources) == strange


def test_a_namespace_is_no_pattern() -> None:
    """Trust in whatever has a colon in its name would be trust in people and documents alike."""
    for wrong in ("*:lesson", "[td]*:x", ":x"):
        with pytest.raises(SettingError, match="names no kind of source"):
            Policy(trusted=(wrong,))


def test_a_pattern_that_means_no_tool_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """A misspelt pattern forbids nothing: the first box that holds it says so, with the nearest
    name; one that means a tool, or an effect, is not mentioned."""
    policy = Policy(deny=("shop.bye", "shop.*", "@outside"), own=("*_notes",), ask=("web.fetch",))
    box = Toolbox(ALL, policy=policy)
    told = [record.message for record in caplog.records]
    assert told == [
        "policy: 'deny' holds 'shop.bye', which means none of the tools (did you mean 'shop.buy'?)",
        "policy: 'own' holds '*_notes', which means none of the tools",
    ]
    box.with_policy(policy)
    box.namespace("web")
    Toolbox((), policy=policy)
    assert len(caplog.records) == 2
