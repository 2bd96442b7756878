"""What stays of a conversation: memos that its lines support, promises, and a day that fits."""

from __future__ import annotations

from datetime import timedelta

import pytest
from denizens.core import (
    DEFAULT_VOICE,
    Action,
    AgentState,
    Choose,
    ConversationView,
    Generate,
    ScheduleEntry,
    Utterance,
)
from denizens.planners import Daily, StepBuilder
from denizens.planners.daily.agreements import accepts, agreements
from denizens.planners.daily.conversation_memory import remember_conversation
from denizens.tests.support.encounter_situations import MEET, NINE, Mind, situation, told
from denizens.tests.support.planner_driver import run
from hypothesis import given, settings
from hypothesis import strategies as st

RYE = (
    "I love rye bread and I sell honey in jars.",
    "Could you bring me a jar? I'll bake more rye for you.",
)


def remembering(
    choice: str, *texts: str, talk: ConversationView | None = None, lines: tuple[str, ...] = RYE
) -> tuple[StepBuilder, Mind]:
    ended = talk or told(*lines, floor="", ended=True)
    slot = ScheduleEntry(start=NINE, minutes=60, doing="baking")
    later = ScheduleEntry(start=NINE + timedelta(hours=1), minutes=60, doing="selling")
    state = AgentState(records=4, talk_seen=len(ended.lines), doing=slot, schedule=(slot, later))
    draft = StepBuilder(situation(MEET, talk=ended, state=state))
    mind = Mind({"revise": choice}, *(texts or ("Ada Byron loves rye bread.",)))
    run(remember_conversation(draft, ended, Daily()), mind)
    return draft, mind


def memos(draft: StepBuilder) -> list[str]:
    records = draft.build(Action("wait")).records
    return [record.text for record in records if record.kind == "thought"]


def test_after_a_talk_stay_a_memo_and_a_plan() -> None:
    """Thoughts, one plan, and a peace of 133 minutes. The memo is asked of the speaking voice in
    the form that it is trained on; what its drafts leave out comes from the lines."""
    draft, mind = remembering("keep")
    memo, second, plan = draft.build(Action("wait")).records
    assert (memo.kind, memo.text) == ("thought", "Bo learned that Ada Byron loves rye bread.")
    assert (second.kind, second.text) == (
        "thought",
        "Bo learned that Ada Byron sells honey in jars.",
    )
    assert (plan.kind, plan.text) == (
        "plan",
        "After talking with Ada Byron, Bo thinks of baking more rye for Ada Byron.",
    )
    assert draft.state.cooldowns == {"Ada Byron": NINE + timedelta(minutes=133)}
    assert draft.state.talk_seen == 0
    assert draft.state.doing is None
    assert [slot.doing for slot in draft.state.schedule] == ["baking", "selling"]
    drafts = [ask for ask in mind.asks if isinstance(ask, Generate)]
    assert len({ask.seed for ask in drafts}) == len(drafts) == 3
    assert all(ask.voice == DEFAULT_VOICE for ask in drafts)
    last = drafts[0].messages[-1]
    assert (last.role, last.text) == ("user", "[We part. What have I learned about Ada Byron?]")
    by_role = {ask.role: ask for ask in mind.asks if isinstance(ask, Choose)}
    assert [option.name for option in by_role["plan_note"].options] == [
        "baking more rye for Ada Byron",
        "nothing",
    ]
    assert [option.description for option in by_role["revise"].options] == [
        "baking",
        "baking more rye for Ada Byron",
    ]


def test_sentences_of_all_drafts_are_weighed() -> None:
    """What more drafts say comes first, what no line says is dropped and counted."""
    texts = (
        "Ada Byron sells honey. Ada Byron has a dog.",
        "Ada Byron loves rye bread. Ada Byron sells honey.",
        "Bo Li loves rye bread. Ada Byron sells honey.",
    )
    draft, _ = remembering("keep", *texts)
    assert memos(draft) == [
        "Bo learned that Ada Byron sells honey.",
        "Bo learned that Ada Byron loves rye bread.",
    ]
    assert "who 1, word 1" in draft.build(Action("wait")).why


@pytest.mark.parametrize(
    ("line", "memo"),
    [
        (
            "I quarrelled with Greta Holm about the price of honey.",
            "Bo learned that Ada Byron quarrelled with Greta Holm about the price of honey.",
        ),
        (
            "Well, Greta Holm lost the key of the mill.",
            "Bo learned that Ada Byron said that Greta Holm lost the key of the mill.",
        ),
        (
            "The lantern supper begins at 7pm at the landing.",
            "Bo learned that Ada Byron said that the lantern supper begins at 7pm at the landing.",
        ),
        ("Thank you, that sounds lovely!", ""),
        ("Do you sell honey at the market on Saturday?", ""),
        ("I am glad.", ""),
    ],
)
def test_without_a_good_draft_the_line_itself_stays(line: str, memo: str) -> None:
    """If every draft is refused, the most telling line is kept in the third person; small talk
    leaves nothing."""
    draft, _ = remembering("keep", "Cy Dunn found a whale.", lines=(line, "I see."))
    assert memos(draft) == ([memo] if memo else [])


def test_a_memo_reads_as_a_clause() -> None:
    """An article that opened the sentence is lower-case after "learned that"."""
    line = "The library offers me a new job."
    draft, _ = remembering(
        "keep", "The library offers Ada Byron a new job.", lines=(line, "I see.")
    )
    assert memos(draft) == ["Bo learned that the library offers Ada Byron a new job."]


def test_nothing_learned_is_no_memo() -> None:
    """The voice may say that nothing was learned."""
    draft, _ = remembering(
        "keep", "I have learned nothing new about Ada Byron.", lines=("Hello!", "Good morning.")
    )
    assert memos(draft) == []


WORDS = st.sampled_from(
    ["Ada Byron", "Bo Li", "Greta", "Cy Dunn", "likes", "rye", "has", "a", "dog"]
)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(WORDS, min_size=2, max_size=7), min_size=3, max_size=3))
def test_a_memo_never_names_somebody_whom_no_line_names(drafts: list[list[str]]) -> None:
    """Whatever the model writes: no name, and no thing, that was not in the talk."""
    lines = ("I have a dog. Greta likes rye.", "I see.")
    draft, _ = remembering("keep", *(" ".join(words) + "." for words in drafts), lines=lines)
    for memo in memos(draft):
        assert "Cy" not in memo
        assert "Bo Li" not in memo.removeprefix("Bo learned that")
        assert "Greta has a dog" not in memo


@pytest.mark.parametrize(
    "lines",
    [
        ("The rye is good.", "Thank you!"),
        ("Could you bring me rye?", "Sorry, I can't."),
        ("I'll bake more rye.", "That is kind."),
        ("Will you come to the dance?", "What dance?"),
    ],
)
def test_without_a_promise_there_is_no_plan(lines: tuple[str, ...]) -> None:
    """Nothing agreed, a request refused, somebody else's promise: no note, and nothing asked."""
    draft, mind = remembering("change", lines=lines)
    assert "plan" not in [one.kind for one in draft.build(Action("wait")).records]
    assert mind.roles() == []
    assert [slot.doing for slot in draft.state.schedule] == ["baking", "selling"]


def test_a_talk_may_change_the_day() -> None:
    """Where it bears on the plan, half an hour of something new is put first."""
    draft, _ = remembering("change", lines=("I love rye.", "I'll bake more rye."))
    plan = [(slot.doing, slot.minutes) for slot in draft.state.schedule]
    assert plan == [("baking more rye", 30), ("baking", 30), ("selling", 60)]


def test_what_is_agreed_for_a_time_is_put_there() -> None:
    """A meeting at ten stands at ten, without asking; one tomorrow is noted only."""
    draft, mind = remembering("change", lines=("Let's meet at the well at 10am.", "Good idea!"))
    assert [(slot.start.hour, slot.doing) for slot in draft.state.schedule] == [
        (9, "baking"),
        (10, "meeting Ada Byron at the well at 10am"),
        (10, "selling"),
    ]
    assert "revise" not in mind.roles()
    draft, mind = remembering("change", lines=("Let's meet at the well tomorrow.", "Good idea!"))
    assert [slot.doing for slot in draft.state.schedule] == ["baking", "selling"]
    assert "revise" not in mind.roles()
    assert [one.kind for one in draft.build(Action("wait")).records][-1] == "plan"


def test_a_likelier_nothing_is_no_plan() -> None:
    """A phrase that sounds like a promise is dropped where the model thinks that nothing was
    agreed."""
    ended = told(*RYE, floor="", ended=True)
    draft = StepBuilder(situation(MEET, talk=ended, state=AgentState(records=4, talk_seen=2)))
    mind = Mind({"plan_note": "nothing"}, "Ada Byron loves rye bread.")
    run(remember_conversation(draft, ended, Daily()), mind)
    assert [one.kind for one in draft.build(Action("wait")).records] == ["thought"] * 2


def test_of_a_talk_without_words_nothing_stays() -> None:
    """Nobody spoke: peace for a while, but nothing to note and nothing to ask."""
    draft, mind = remembering("keep", talk=told(floor="", ended=True))
    assert (mind.asks, draft.build(Action("wait")).records) == ([], ())
    assert "Ada Byron" in draft.state.cooldowns


def test_empty_drafts_leave_nothing() -> None:
    """A model that says nothing makes no memory and changes no plan."""
    draft, mind = remembering("keep", " ", "", lines=("Hello!", "Good morning."))
    assert (draft.build(Action("wait")).records, mind.roles()) == ((), [])


@pytest.mark.parametrize(
    ("lines", "activities"),
    [
        (
            ("Will you come to the supper?", "Yes, I'd love to!"),
            ["going to the supper"],
        ),
        (
            ("Please join us for dinner at noon.", "With pleasure."),
            ["joining Ada Byron for dinner at noon"],
        ),
        (("Can you lend me your boat?", "Of course."), ["lending Ada Byron Bo's boat"]),
        (
            ("Hello.", "I'll come over to your place at 8pm."),
            ["coming over to Ada Byron's place at 8pm"],
        ),
        (("We should hang out sometime.", "Sure!"), []),
        (("Hello.", "I'm going to the park with my friends."), []),
        (("Hello.", "I won't bring the bread."), []),
        (("Hello.", "I will see you later."), []),
        (("Can you bring it?", "Yes."), []),
        (("I want to show the bell to the whole town.", "That sounds like a great idea!"), []),
        (("I want to invite you to the dance.", "No problem!"), ["going to the dance"]),
        (("I want to invite you to the dance.", "No, thank you."), []),
    ],
)
def test_promises_are_read_from_lines(lines: tuple[str, ...], activities: list[str]) -> None:
    """Invitations, requests and promises become activities with names; vague ones do not."""
    talk = told(*lines)
    found = agreements(talk.lines, "Bo Li", ["Ada Byron"])
    assert [agreement.activity for agreement in found] == activities


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=60), min_size=2, max_size=4))
def test_agreements_read_any_lines(texts: list[str]) -> None:
    """No text breaks the reading, and the one who refuses has agreed to nothing."""
    lines = [Utterance(("Ada Byron", "Bo Li")[n % 2], text, NINE) for n, text in enumerate(texts)]
    assert isinstance(agreements(lines, "Bo Li", ["Ada Byron"]), list)
    assert not accepts("No, thank you.")
