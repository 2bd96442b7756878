"""Who may call what: patterns, effects, and what strangers' words withdraw."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from denizens.core import SettingError, ToolError, ToolSpec
from denizens.tools import Budget, Policy, Toolbox, ToolContext, matches, tool
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
        ({"thought": Budget(calls=-1)}, "must not be negative"),
        ({"life": Budget(seconds=3)}, "bounded by calls and tokens"),
    ],
)
def test_wrong_policies_are_refused(settings: dict[str, object], words: str) -> None:
    """A slip in a policy must not make it harmless: it is an error that says what is known."""
    with pytest.raises(SettingError, match=words):
        Policy(**settings)  # type: ignore[arg-type]


def test_one_box_serves_many() -> None:
    """The same tools under another policy share nothing of the first one's rules."""
    box = Toolbox(ALL)
    careful = box.under(Policy(deny=("@acts",)))
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
