"""Days: planned without gap or overlap, lived in small steps; activities as bare phrases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from denizens.core import (
    Action,
    AgentState,
    Answer,
    Ask,
    Choice,
    Choose,
    Completion,
    Failed,
    Generate,
    Hit,
    Recall,
    Recalled,
    Record,
    RoutineEntry,
    ScheduleEntry,
    Thought,
)
from denizens.planners import StepBuilder
from denizens.planners.daily.day_plan import (
    ACTIVITY_EMOJI,
    OFF_TOPIC,
    UNPLANNED,
    bed_time,
    clean_activity,
    next_schedule_entry,
    plan_day,
    revise_identity,
    turning_points,
)
from denizens.planners.text import is_english
from denizens.tests.support.day_situations import DAY, bo, contiguous, ends, situation
from hypothesis import assume, given, settings
from hypothesis import strategies as st

MEMORY = Record(id=1, kind="plan", text="Bo Li wants to bake a cake.", created=DAY)
MINUTES = st.integers(0, 24 * 60 - 1)


class Mind:
    """Answers by hand: ``texts`` in turn, the first option or that of ``choices``, one memory."""

    def __init__(self, *texts: str, choices: dict[str, str] | None = None) -> None:
        self.texts = texts or ("baking rye", "kneading dough", "selling bread")
        self.choices = choices or {}
        self.asks: list[Ask] = []
        self.rounds: list[int] = []
        self.made = 0

    def answer(self, ask: Ask) -> Answer:
        self.asks.append(ask)
        if isinstance(ask, Recall):
            hit = Hit(record=MEMORY, score=1.0, recency=1.0, importance=1.0, relevance=1.0)
            return Recalled(hits=(hit,))
        if isinstance(ask, Generate):
            self.made += 1
            return Completion(text=self.texts[self.made % len(self.texts)])
        assert isinstance(ask, Choose), f"nobody should ask {ask}"
        names = [option.name for option in ask.options]
        index = names.index(self.choices.get(ask.role, names[0]))
        return Choice(
            index=index, probabilities=tuple(float(i == index) for i in range(len(names)))
        )

    def texts_asked(self) -> list[Generate]:
        return [ask for ask in self.asks if isinstance(ask, Generate)]


class Broken(Mind):
    """An engine that answers nothing."""

    def answer(self, ask: Ask) -> Answer:
        self.asks.append(ask)
        return Failed(reason="engine", detail="no")


def run(thought: Thought[ScheduleEntry] | Thought[None], mind: Mind) -> object:
    answers: tuple[Answer, ...] | None = None
    try:
        while True:
            asks = next(thought) if answers is None else thought.send(answers)
            mind.rounds.append(len(asks))
            answers = tuple(mind.answer(ask) for ask in asks)
    except StopIteration as end:
        return end.value


# -- planning --------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(MINUTES, MINUTES, MINUTES, st.lists(MINUTES, max_size=6, unique=True))
def test_a_plan_fills_the_day_without_gap_or_overlap(
    wake: int, sleep: int, now: int, habits: list[int]
) -> None:
    """From now until bed time, whatever the hours and the habits, all minutes are planned once;
    who is up after midnight still plans the evening of the day before."""
    routine = [RoutineEntry(at=f"{m // 60:02d}:{m % 60:02d}", doing=f"habit {m}") for m in habits]
    persona = bo(wake, sleep, *routine)
    assume(not persona.sleeps_at(now))
    at = DAY + timedelta(minutes=now)
    draft = StepBuilder(situation(at, persona))
    mind = Mind(*(f"doing {n}" for n in range(7)))
    run(plan_day(draft, 1), mind)
    schedule = draft.state.schedule
    assert schedule[0].start == at
    assert contiguous(schedule)
    today = DAY if now >= wake else DAY - timedelta(days=1)
    bed = today + timedelta(minutes=sleep if sleep > wake else sleep + 1440)
    assert ends(schedule[-1]) == bed == bed_time(persona, today)
    assert persona.sleeps_at(bed.hour * 60 + bed.minute) or wake == sleep
    assert all(slot.doing for slot in schedule)
    assert draft.state.day == f"{today:%Y-%m-%d}"


def test_the_parts_of_a_day_are_written_side_by_side() -> None:
    """One recall, then all drafts of all turning points in one round, then their choices."""
    mind = Mind()
    draft = StepBuilder(situation(DAY.replace(hour=6), bo()))
    run(plan_day(draft, 3), mind)
    points = len(turning_points(situation(DAY.replace(hour=6), bo())))
    assert points >= 5
    assert mind.rounds[:2] == [1, 3 * points]
    assert len({ask.seed for ask in mind.texts_asked()}) == 3 * points
    assert len(mind.rounds) == 3


def test_a_plan_becomes_a_memory() -> None:
    """The broad strokes are told in one memory of kind plan; what was recalled is used."""
    persona = bo(6 * 60, 22 * 60, RoutineEntry(at="08:00", doing="selling bread"))
    draft = StepBuilder(situation(DAY.replace(hour=6), persona))
    run(plan_day(draft, 1), Mind())
    made = draft.build(Action("wait"))
    (record,) = made.records
    assert record.kind == "plan"
    assert record.text.startswith("This is Bo Li's plan for Monday February 13: 6:00 am: ")
    assert all(item in record.text for item in draft.state.plan)
    assert made.used == (1,)
    assert "A new day was planned." in made.why


def test_without_a_model_the_habits_are_the_plan() -> None:
    """When the engine fails at everything, one does as on other days."""
    persona = bo(6 * 60, 12 * 60, RoutineEntry(at="08:00", doing="selling bread"))
    draft = StepBuilder(situation(DAY.replace(hour=7), persona))
    run(plan_day(draft, 2), Broken())
    assert [(f"{one.start:%H:%M}", one.doing) for one in draft.state.schedule][:2] == [
        ("07:00", "getting up and having breakfast"),
        ("08:00", "selling bread"),
    ]
    assert contiguous(draft.state.schedule)


def test_a_draft_beside_the_habit_leaves_the_habit() -> None:
    """What fits a habit worse than something else entirely is not done; in free hours it is."""
    persona = bo(6 * 60, 16 * 60, RoutineEntry(at="08:00", doing="selling bread"))
    draft = StepBuilder(situation(DAY.replace(hour=8), persona))
    mind = Mind("rowing a boat", choices={"plan": OFF_TOPIC})
    run(plan_day(draft, 2), mind)
    assert [slot.doing for slot in draft.state.schedule] == ["selling bread", "rowing a boat"]
    (choice,) = [ask for ask in mind.asks if isinstance(ask, Choose)]
    assert choice.about == "selling bread"


@pytest.mark.parametrize("text", ["going to bed early", "sleeping late", "taking a nap", "to bake"])
def test_sleep_and_what_is_no_activity_are_never_planned(text: str) -> None:
    """Bed time comes from the hours; a draft about it, or without a doing, leaves the habit."""
    persona = bo(6 * 60, 11 * 60, RoutineEntry(at="08:00", doing="selling bread"))
    draft = StepBuilder(situation(DAY.replace(hour=8), persona))
    run(plan_day(draft, 2), Mind(text))
    assert [slot.doing for slot in draft.state.schedule] == ["selling bread"]


def test_the_habits_of_a_late_evening_belong_to_it() -> None:
    """An appointment after midnight comes last in the day, not first."""
    hours = (RoutineEntry(at="01:00", doing="reading"), RoutineEntry(at="12:00", doing="baking"))
    owl = bo(10 * 60, 2 * 60, *hours)
    evening = turning_points(situation(DAY.replace(hour=22), owl))
    # What began ten hours ago is over by now.
    assert evening == [(22 * 60, UNPLANNED), (25 * 60, "reading")]
    night = turning_points(situation(DAY.replace(hour=1, minute=30), owl))
    assert night == [(25 * 60 + 30, "reading")]


@settings(max_examples=60, deadline=None)
@given(MINUTES, st.lists(MINUTES, max_size=6, unique=True))
def test_a_day_has_turns(now: int, habits: list[int]) -> None:
    """Turning points begin now, go forward, and leave no more than four hours without one."""
    routine = [RoutineEntry(at=f"{m // 60:02d}:{m % 60:02d}", doing=f"habit {m}") for m in habits]
    persona = bo(5 * 60, 23 * 60, *routine)
    assume(not persona.sleeps_at(now))
    points = turning_points(situation(DAY + timedelta(minutes=now), persona))
    minutes = [minute for minute, _ in points]
    assert minutes[0] == now
    assert minutes == sorted(set(minutes))
    assert all(later - one < 240 for one, later in zip(minutes, [*minutes[1:], 23 * 60]))
    due = {m: f"habit {m}" for m in habits if now < m < 23 * 60}
    assert {m: habit for m, habit in points if m in due} == due


def test_a_new_day_finds_a_new_mind() -> None:
    """What is on the mind is written anew from memories; silence leaves the old one."""
    draft = StepBuilder(situation(DAY.replace(hour=6), bo()))
    run(revise_identity(draft), Mind("  is looking forward to the cake. "))
    assert draft.state.currently == "Bo Li is looking forward to the cake."
    for mind in (Mind("  "), Broken()):
        draft = StepBuilder(situation(DAY, bo(), AgentState(currently="as before")))
        run(revise_identity(draft), mind)
        assert draft.state.currently == "as before"


# -- living ----------------------------------------------------------------------------------


def block(minutes: int, *, begun: int = 0, fine: bool = False) -> ScheduleEntry:
    """A block in whose ``begun``-th minute it is nine o'clock."""
    start = DAY.replace(hour=9) - timedelta(minutes=begun)
    return ScheduleEntry(start=start, minutes=minutes, doing="baking bread", fine=fine)


def slot_in(
    *schedule: ScheduleEntry, mind: Mind | None = None, fine_minutes: int = 15
) -> ScheduleEntry:
    state = AgentState(schedule=schedule)
    draft = StepBuilder(situation(DAY.replace(hour=9), bo(), state))
    found = run(next_schedule_entry(draft, fine_minutes, 1), mind or Mind("kneading dough"))
    assert isinstance(found, ScheduleEntry)
    return found


def test_a_long_block_is_lived_in_small_steps() -> None:
    """An hour or more is decomposed into steps of fine_minutes, each written by the model."""
    found = slot_in(block(60))
    assert (found.doing, found.minutes, found.fine) == ("kneading dough", 15, True)
    assert found.start == DAY.replace(hour=9)


@pytest.mark.parametrize(
    ("one", "doing", "minutes"),
    [
        (block(45), "baking bread", 45),
        (block(90, fine=True), "baking bread", 90),
        (block(60, begun=50), "kneading dough", 10),
        (block(60, begun=55), "baking bread", 5),
        (block(60, begun=59), "baking bread", 1),
    ],
)
def test_short_blocks_are_lived_as_they_are(one: ScheduleEntry, doing: str, minutes: int) -> None:
    """Under an hour, already fine, or nearly over: no further step; the end is never passed."""
    found = slot_in(one)
    assert (found.doing, found.minutes) == (doing, minutes)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.integers(0, 299), st.integers(1, 60))
def test_a_step_ends_within_its_block(minutes: int, begun: int, fine_minutes: int) -> None:
    """A step is at least a minute long and ends no later than its block."""
    assume(begun < minutes)
    one = block(minutes, begun=begun)
    found = slot_in(one, fine_minutes=fine_minutes)
    assert found.minutes >= 1
    assert ends(found) <= ends(one)


def test_outside_the_schedule_one_rests() -> None:
    """Where nothing is planned there is half an hour of rest."""
    past = ScheduleEntry(start=DAY, minutes=60, doing="sleeping")
    for schedule in ((), (past,)):
        found = slot_in(*schedule)
        assert (found.doing, found.minutes) == ("resting", 30)


def test_an_emoji_is_chosen_by_what_is_done() -> None:
    """One of the known marks, by likelihood; every mark is there once."""
    marks = [mark for mark, _ in ACTIVITY_EMOJI]
    assert len(set(marks)) == len(marks) >= 20
    mind = Mind("kneading dough", choices={"emoji": "🥖"})
    assert slot_in(block(60), mind=mind).emoji == "🥖"
    (ask,) = [one for one in mind.asks if isinstance(one, Choose) and one.role == "emoji"]
    assert ask.about == "kneading dough"
    assert slot_in(block(60), mind=Broken()).emoji == marks[0]


def test_a_step_beside_its_block_is_not_taken() -> None:
    """A step that fits the block worse than something else entirely gives way to the block's
    own words; nobody does the same step twice in a row."""
    stray = Mind("rowing a boat", choices={"step": OFF_TOPIC})
    assert slot_in(block(60), mind=stray).doing == "baking bread"
    assert slot_in(block(60), mind=Mind("rowing a boat")).doing == "rowing a boat"
    state = AgentState(schedule=(block(60),), doing=replace(block(15), doing="kneading dough"))
    draft = StepBuilder(situation(DAY.replace(hour=9), bo(), state))
    found = run(next_schedule_entry(draft, 15, 2), Mind("kneading dough", "shaping loaves"))
    assert isinstance(found, ScheduleEntry)
    assert found.doing == "shaping loaves"


def test_without_a_model_a_block_is_lived_whole_or_in_its_words() -> None:
    """A step the engine could not write is the block's own."""
    found = slot_in(block(60), mind=Broken())
    assert (found.doing, found.minutes) == ("baking bread", 15)


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        (" Bo is baking bread. And then he", "baking bread"),
        ("will be kneading dough\nand", "kneading dough"),
        ("baking rye; then selling", "baking rye"),
        ("in the kitchen, baking rye: two loaves", "in the kitchen, baking rye"),
        ("baking", ""),
        ("going", ""),
        ("a good baker", ""),
        ("to bake more rye", ""),
        ("Bo is a king", ""),
        ("- baking bread -", "baking bread"),
        ("", ""),
        ("...", ""),
        ("horneando el pan en la cocina.", "horneando el pan en la cocina"),
        ("Bo backt das Brot und die Kuchen", "backt das Brot und die Kuchen"),
    ],
)
def test_a_phrase_is_bare(text: str, phrase: str) -> None:
    """No name, no "is", no stop; without a doing word and another there is no phrase."""
    assert clean_activity(text, "Bo") == phrase


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="Bo is.;:-'\nbaking", max_size=120))
def test_any_text_gives_a_short_phrase_or_none(text: str) -> None:
    """A phrase is one line of at most 80 letters that stand in the text."""
    phrase = clean_activity(text, "Bo")
    assert len(phrase) <= 80
    assert phrase in text
    assert not set(phrase) & set("\n.;:")
    assert phrase == phrase.strip()
    told = "ing" in phrase or not is_english(phrase, ("Bo",))
    assert not phrase or (" " in phrase and told)
