"""Doors: what is absent, blank or of the wrong type never widens a right."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from denizens import Agent, Memory, Persona, Toolbox
from denizens.agents import run_tool
from denizens.cli import main
from denizens.core import (
    Approval,
    ArgumentError,
    Choose,
    Cue,
    MemoryFault,
    Model,
    ModelAsk,
    Rate,
    SettingError,
    ToolError,
    Utterance,
    validate_person_name,
)
from denizens.memory import Documents, Facts, export_lines
from denizens.models import ImprovisedModel
from denizens.planners import Dialogue, Intent
from denizens.readers import html_blocks
from denizens.server import serve_http, serve_stdio
from denizens.server.mcp_server import check_tokens
from denizens.store import Store
from denizens.testing import ScriptedModel
from denizens.tools import Policy, ToolContext, UsageLimits, file_tools, tool, tools_from_openapi

NOON = datetime(2026, 5, 2, 12)
SITE = "https://api.example.org"
ASKING = Policy(ask=("@acts",), trusted=("*",))


def shop(*names: str) -> dict[str, Any]:
    """An OpenAPI document with one acting operation for each name."""
    paths = {f"/p{n}": {"post": {"operationId": name}} for n, name in enumerate(names)}
    return {"openapi": "3.0.3", "servers": [{"url": SITE}], "paths": paths}


def taken(document: dict[str, Any], only: Any) -> list[str]:
    """The names of the tools that ``only`` takes out of a document."""
    found = tools_from_openapi(document, send=lambda request: None, allow=[SITE], only=only)
    return [one.name for one in found]


def test_only_the_named_operations() -> None:
    """What stands after the named operations is not taken, an empty list takes nothing, and
    None alone takes all."""
    document = shop("read", "drop", "wipe")
    assert taken(document, ["read"]) == ["read"]
    assert taken(document, []) == []
    assert taken(document, None) == ["read", "drop", "wipe"]


def test_a_large_document_gives_what_is_named() -> None:
    """The bound on operations counts those that are taken; a foreign server of another
    operation is no hindrance."""
    document = shop(*(f"get{n}" for n in range(1001)))
    document["paths"]["/p0"]["post"]["servers"] = [{"url": "https://elsewhere.example"}]
    assert taken(document, ["get1000"]) == ["get1000"]
    with pytest.raises(ToolError, match="'only'"):
        taken(shop(*(f"get{n}" for n in range(1001))), None)


@pytest.mark.parametrize("only", ["read", [""], [None], ["nothing"], ["twice"]])
def test_what_only_cannot_mean(only: Any) -> None:
    """A bare text, an empty name, an unknown one and one that two operations have."""
    with pytest.raises((ToolError, ArgumentError)):
        taken(shop("read", "twice", "twice"), only)


def payer(
    paid: list[int],
    store: Any = ":memory:",
    name: str = "Bo",
    prompts: list[str] | None = None,
    policy: Policy = ASKING,
) -> Agent:
    """An agent that is asked for money and pays, when it may."""

    @tool(effect="acts")
    def pay() -> str:
        """Pay the rent."""
        paid.append(1)
        return "paid"

    def answer(ask: ModelAsk) -> Any:
        if isinstance(ask, Choose):
            return "pay"
        if prompts is not None:
            prompts.append(str(ask))
        return 3 if isinstance(ask, Rate) else "Fine."

    return Agent(
        Persona(name=name),
        model=ScriptedModel(answer),
        memory=Memory(store, name),
        tools=Toolbox([pay]),
        policy=policy,
        dialogue=Dialogue(intents=(Intent(name="pay", about="Pay.", tool="pay"),)),
    )


@pytest.mark.parametrize("given", ["no", "n", "", 0, 1, [], object()])
def test_only_true_is_leave(given: Any) -> None:
    """A callback that gives back a text or a number gives no leave; the error says so."""
    paid: list[int] = []
    bo = payer(paid)
    with pytest.raises(SettingError, match="True or False"):
        bo.chat("Pay.", "Ada", at=NOON, approve=lambda request: given)
    with pytest.raises(SettingError, match="True or False"):
        Approval(given)
    assert not paid
    bo.chat("Pay.", "Ada", at=NOON, approve=lambda request: True)
    assert paid == [1]


def test_a_waiting_call_is_its_own_agents(tmp_path: Path) -> None:
    """Neither a made-up key nor another agent's talk is answered, and the reply still waits."""
    paid: list[int] = []
    with Store(tmp_path / "both.db") as store:
        ann, bo = payer(paid, store, "Ann"), payer(paid, store, "Bo")
        (request,) = ann.chat("My PIN is 4711, pay.", "Ada", at=NOON).waits
        scope = request.key.split("/")[1]
        for agent, key in ((bo, f"Bo/{scope}/x"), (bo, request.key), (ann, f"Ann/{scope}/x")):
            with pytest.raises(SettingError, match="no reply waits"):
                agent.answer(key, True)
        assert not len(bo.memory)
        assert not paid
        ann.answer(request.key, True)
    assert paid == [1]


@pytest.mark.parametrize(
    "person", ["", "  ", "\u200b", None, 7, "Bo", " bo ", "Ｂｏ", "B\u200bo", "?"]
)
def test_who_has_no_name_of_their_own_is_not_talked_with(person: Any) -> None:
    """Blank, invisible, no text, or the agent's own name in any form: refused before anything
    is thought, written or called."""
    paid: list[int] = []
    prompts: list[str] = []
    bo = payer(paid, prompts=prompts)
    with pytest.raises(SettingError):
        bo.chat("Pay.", person, at=NOON, approve=lambda request: True)
    with pytest.raises(SettingError):
        next(bo.reply(Utterance(person, "Pay.", NOON)))
    assert not prompts
    assert not paid
    assert not len(bo.memory)
    if person is not None:  # the owner's own word
        with pytest.raises(SettingError):
            run_tool(bo, "pay", {}, at=NOON, person=person, approve=lambda request: True)


def test_one_spelling_of_a_name() -> None:
    """Blanks and composition are settled at the door; scripts with joiners keep them."""
    assert validate_person_name("Bo", " Zoe\u0308   Lind") == "Zoë Lind"
    assert validate_person_name("Bo", "علی\u200cرضا") == "علی\u200cرضا"


@pytest.mark.parametrize("field", ["allow", "ask", "deny", "trusted", "own", "again"])
@pytest.mark.parametrize("given", ["pay", [""], [" "], None, [None]])
def test_patterns_are_lists_of_names(field: str, given: Any) -> None:
    """A bare text would be read letter by letter: deny='pay' would deny nothing."""
    with pytest.raises(SettingError, match=field):
        Policy(**{field: given})


def test_nobodys_words_are_strange() -> None:
    """A source without a name is trusted by no pattern; a verdict is one of three."""
    assert Policy(trusted=("*",)).untrusted_sources(["", " ", "Ada"]) == (
        "somebody without a name",
    )
    for given in ("", "alow", None):
        with pytest.raises(SettingError, match="strangers"):
            Policy(strangers=given)  # type: ignore[arg-type]
    for wrong in ({"calls": "3"}, {"calls": True}, {"seconds": float("nan")}):
        with pytest.raises(SettingError, match="budget"):
            Policy(thought=UsageLimits(**wrong))


def test_zero_is_none_at_all() -> None:
    """A budget of 0 makes no call; what is left out is any amount."""
    for budget in (
        UsageLimits(calls=0),
        UsageLimits(asks=0),
        UsageLimits(tokens=0),
        UsageLimits(seconds=0),
    ):
        paid: list[int] = []
        agent = payer(paid, policy=Policy(trusted=("Ada",), thought=budget))
        agent.chat("Pay the rent.", "Ada", at=NOON)
        assert not paid
    for life, count in ((UsageLimits(calls=0), 0), (UsageLimits(tokens=0), 0), (UsageLimits(), 1)):
        paid = []
        agent = payer(paid, policy=Policy(trusted=("Ada",), life=life))
        agent.chat("Pay the rent.", "Ada", at=NOON)
        assert len(paid) == count


@pytest.mark.parametrize("person", [None, 0, ["Ada"]])
def test_what_is_no_person_sees_nothing(person: Any, tmp_path: Path) -> None:
    """Only the empty text is the owner: None of a lookup that found nobody is refused by all
    that shows a memory to a person."""
    memory = Memory(":memory:", "Bo")
    memory.remember("The PIN is 4711.", at=NOON, who="Ada", audience="Ada")
    claims = Facts(memory)
    claims.assert_fact("Ada", "pin", "4711", at=NOON, audience="Ada")
    for look in (
        lambda: memory.records(person=person),
        lambda: memory.recall(Cue(text="PIN", at=NOON, person=person)),
        lambda: claims.find(person=person),
        lambda: claims.lookup("Ada", "pin", person=person),
        lambda: claims.statements(person),
        lambda: claims.view(person),
        lambda: export_lines(memory, tmp_path / "lines", person=person),
    ):
        with pytest.raises((MemoryFault, ArgumentError), match=r"no text|must be str"):
            look()
    assert not list(tmp_path.iterdir())


def test_a_blank_option_is_not_left_out(tmp_path: Path) -> None:
    """A variable that is not set gives no more than a name would: no whole memory, no client
    that says itself who it is, no folder of the process."""
    file = tmp_path / "bo.db"
    Memory(file, "Bo").close()
    lines = tmp_path / "lines"
    for words in (["export", file, lines], ["claims", file]):
        with pytest.raises(SystemExit) as end:
            main(["memory", *map(str, words), "--person", ""])
        assert end.value.code == 2
    assert not lines.exists()
    for serve in (serve_stdio, serve_http):
        with pytest.raises(SettingError, match="--person is blank"):
            serve(nullcontext, person=" ")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="names no folder"):
        file_tools("")


def test_rights_of_the_wrong_type() -> None:
    """What is no policy, budget, leave or mark is refused in our words."""
    paid: list[int] = []
    for wrong in ("deny", {"deny": ["pay"]}, Policy):
        with pytest.raises(SettingError, match=r"must be Policy|give a Policy"):
            payer(paid, policy=wrong)  # type: ignore[arg-type]
    for name in ("thought", "life"):
        with pytest.raises(SettingError, match=r"give UsageLimits|must be UsageLimits"):
            Policy(**{name: None})  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="blanks"):
        Policy(deny=("pay ",))
    agent = payer(paid, policy=Policy(ask=("@acts",), trusted=("Ada",)))
    with pytest.raises(SettingError, match=r"give a function|must be Callable"):
        agent.chat("Pay the rent.", "Ada", at=NOON, approve="yes")  # type: ignore[arg-type]
    context = ToolContext(who="Bo", now=NOON)
    with pytest.raises(ToolError, match="allowed is True or False"):
        agent.tools.call("pay", {}, context=context, key="k", allowed="no")  # type: ignore[arg-type]
    with pytest.raises(ToolError, match="outside is True or False"):
        tool(outside="no", name="one")(lambda: 1)  # type: ignore[call-overload]
    assert not paid


@pytest.mark.parametrize("names", [(), ("",), ("Ada", "ＡＤＡ"), (" ",)])
def test_tokens_name_people(names: Sequence[str]) -> None:
    """No tokens at all, a blank name, and two forms of one name open no server."""
    with pytest.raises(SettingError):
        check_tokens({name: f"{n}" * 20 for n, name in enumerate(names)}, "tokens")


@pytest.mark.parametrize(
    ("page", "shown"),
    [
        ("<p hidden>no<p>yes", "yes"),
        ("<div aria-hidden='true'>no<b>no</b></div>yes", "yes"),
        ("<div style='DISPLAY : none !important'>no<div>no</div>no</div>yes", "yes"),
        ("<p style='dis&#112;lay:none'>no</p>yes", "yes"),
        ("<i style='visibility:hidden'>no<b style='visibility:visible'>ye</b></i>s", "yes"),
        ("<b style='font-size:0'>no<i style='font-size:9pt'>ye</i>no</b>s", "yes"),
        ("<p style='color:#fefefe'>no</p>yes", "yes"),
        ("<div bgcolor='red'><p style='color:red'>no</p>yes</div>", "yes"),
        ("<div style='background:#000'><p style='color:white'>yes</p></div>", "yes"),
        ("<link rel=stylesheet><p style='color:white'>yes</p>", "yes"),
        ("<p style='color:rgba(0,0,0,0)'>no</p>yes", "yes"),
        ("<p style='position:absolute;left:-9999px'>no</p>yes", "yes"),
        ("<p style='height:0;overflow:hidden'>no</p>yes", "yes"),
        ("<p style='opacity:0'>no</p><!-- no --><template>no</template>yes", "yes"),
        ("<noscript>no</noscript><dialog>no</dialog><dialog open>yes</dialog>", "yes"),
        ("<ul><li hidden>no<li>yes</ul>", "yes"),
        ("<table><tr hidden><td>no<tr><td>yes</table>", "yes"),
        ("<div><span hidden>no</div>yes<input hidden><svg/>", "yes"),
        ("<style>.a, p#b {display:none}</style><i class='c a'>no</i><p id=b>no</p>yes", "yes"),
        ("<style>aside{visibility:hidden}[data-x]{opacity:0}</style><aside>no</aside>yes", "yes"),
        ("<style>.a{display:none}.a{display:block}</style><i class=a>yes</i>", "yes"),
        ("<style>@media print{.a{display:none}}</style><i class=a>yes</i>", "yes"),
        ("<p hidden=false>no</p><div popover>no</div><p style='d\\69splay:none'>no</p>yes", "yes"),
        ("<p style='font:0/0 a'>no</p><p style='position:fixed;top:-200vh'>no</p>yes", "yes"),
        ("yes\U000e006e\U000e006f", "yes"),
    ],
)
def test_what_a_page_hides_is_not_read(page: str, shown: str) -> None:
    """Only what people see of a page is remembered of it, and all of that."""
    assert " ".join(block.text for block in html_blocks(page)) == shown


@pytest.mark.parametrize(
    "shape", ["<b>", "<li>", "<p hidden>", "<ul><b>", "</b>", "<b style='", "<b a=", "<table><td>"]
)
def test_hostile_nesting_is_read_in_one_go(shape: str) -> None:
    """300,000 characters of tags cost seconds at most: each tag costs the same."""
    began = datetime.now()
    html_blocks(shape * (300_000 // len(shape)))
    assert datetime.now() - began < timedelta(seconds=5)


def test_documents_are_read_after_a_start_that_failed(tmp_path: Path) -> None:
    """A start that broke off before its documents reads them at the next; one that was
    removed since does not come back."""
    file = tmp_path / "handbook.md"

    def start() -> tuple[str, ...]:
        with Memory(tmp_path / "bo.db", "Bo") as memory:
            model: Model = ImprovisedModel()
            persona = Persona(name="Bo", facts=("Bo bakes.",))
            Agent(persona, model=model, memory=memory, documents=[file]).bootstrap(at=NOON)
            return Documents(memory).names()

    with pytest.raises(Exception, match="handbook"):
        start()
    file.write_text("Holidays begin on 3 July.\n")
    assert start() == ("handbook.md",)
    with Memory(tmp_path / "bo.db", "Bo") as memory:
        Documents(memory).remove("handbook.md")
    assert start() == ()
