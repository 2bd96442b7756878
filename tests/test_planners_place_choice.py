"""Places chosen by likelihood, the best of several drafts, Scripted, planners by name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from denizens.core import (
    Action,
    Affordance,
    AgentState,
    Answer,
    Ask,
    Choice,
    Choose,
    Completion,
    Decision,
    Failed,
    Generate,
    Json,
    Observation,
    Option,
    Persona,
    Seed,
    SettingError,
    Situation,
    Thought,
)
from denizens.planners import Daily, Routine, Scripted, StepBuilder, planner_by_name
from denizens.planners.daily.place_choice import action_targets, choose_place
from denizens.planners.steps import best_of, pick_option
from hypothesis import given, settings
from hypothesis import strategies as st

NINE = datetime(2023, 2, 13, 9)
PLACES = (
    "v:Mill:bedroom:bed",
    "v:Mill:kitchen:stove",
    "v:Bakery:room:oven",
    "v:Bakery:room:counter",
    "v:Park:garden:bench",
)
NAMES = st.lists(st.sampled_from("abc"), min_size=2, max_size=4)


def draft(*places: str, state: AgentState | None = None, home: str = "") -> StepBuilder:
    return StepBuilder(situation(*places, state=state, home=home))


def situation(*places: str, state: AgentState | None = None, home: str = "") -> Situation:
    return Situation(
        persona=Persona(name="Bo Li", home=home),
        state=state or AgentState(),
        seen=Observation("Bo Li", NINE, "v:Mill:bedroom"),
        fresh=(),
        can=(Affordance("wait"), *(Affordance("act", place) for place in places)),
        tools=(),
        inputs=(),
        now=NINE,
        seed=Seed.of(1),
    )


def choosing(wanted: Callable[[list[str]], int], asks: list[Choose]) -> Callable[[Ask], Answer]:
    """An answer to every Choose: the index that ``wanted`` gives for its names."""

    def answer(ask: Ask) -> Answer:
        assert isinstance(ask, Choose)
        asks.append(ask)
        index = wanted([option.name for option in ask.options])
        return Choice(index=index, probabilities=(1.0,) * len(ask.options))

    return answer


def run(thought: Thought[str], answer: Callable[[Ask], Answer]) -> str:
    answers: tuple[Answer, ...] | None = None
    try:
        while True:
            asks = next(thought) if answers is None else thought.send(answers)
            answers = tuple(answer(ask) for ask in asks)
    except StopIteration as end:
        return str(end.value)


def test_a_room_is_chosen_and_then_an_object_in_it() -> None:
    """Rooms of all sectors are one choice, then comes the object, among what is afforded."""
    asks: list[Choose] = []
    wanted = choosing(lambda names: 2 if "v:Bakery:room" in names else 1, asks)
    assert run(choose_place(draft(*PLACES), "baking"), wanted) == "v:Bakery:room:counter"
    assert [[option.name for option in ask.options] for ask in asks] == [
        ["v:Mill:bedroom", "v:Mill:kitchen", "v:Bakery:room", "v:Park:garden"],
        ["v:Bakery:room:oven", "v:Bakery:room:counter"],
    ]
    assert [ask.role for ask in asks] == ["place", "object"]
    assert asks[1].options[0].description == "oven"


def test_a_room_with_one_object_needs_no_second_choice() -> None:
    """The only thing in the chosen room is taken unasked."""
    asks: list[Choose] = []
    last = choosing(lambda names: len(names) - 1, asks)
    assert run(choose_place(draft(*PLACES), "sitting"), last) == PLACES[4]
    assert [ask.role for ask in asks] == ["place"]


def test_who_chooses_a_place_is_not_in_the_choice() -> None:
    """Neither what it is about nor a room's words bear the person's name."""
    asks: list[Choose] = []
    first = choosing(lambda names: 0, asks)
    run(choose_place(draft(*PLACES, home="v:Mill:bedroom"), "baking"), first)
    assert {ask.about for ask in asks} == {"baking"}
    assert not any("Bo" in option.description for ask in asks for option in ask.options)


@pytest.mark.parametrize(
    ("home", "words"),
    [
        ("", "doing something in the kitchen (Li's house), at the stove, sink"),
        ("v:Li's house:kitchen", "doing something at home in the kitchen, at the stove, sink"),
        ("v:Mill:bedroom", "visiting Li, a friend, in the kitchen of the house"),
    ],
)
def test_a_room_is_told_as_what_one_does_there(home: str, words: str) -> None:
    """One's own home is called home, another's house is a visit, all else goes by its things."""
    asks: list[Choose] = []
    places = ["v:Li's house:kitchen:stove", "v:Li's house:kitchen:sink", "v:Mill:bedroom:bed"]
    if not home:
        places = [place.replace("Li's house", "Bakery") for place in places]
        words = words.replace("Li's house", "Bakery")
    run(choose_place(draft(*places, home=home), "x"), choosing(lambda names: 0, asks))
    assert asks[0].options[0].description == words


def test_a_room_of_another_in_the_same_house_is_a_visit() -> None:
    """Who shares a house is at home in the kitchen, but not in a housemate's room."""
    asks: list[Choose] = []
    rooms = ("v:Dorm:Bo's room:bed", "v:Dorm:Cy's room:bed", "v:Dorm:kitchen:stove")
    one = draft(*rooms, home="v:Dorm:Bo's room")
    run(choose_place(one, "x"), choosing(lambda names: 0, asks))
    assert [option.description for option in asks[0].options] == [
        "doing something at home in the Bo's room, at the bed",
        "visiting Cy in the house",
        "doing something at home in the kitchen, at the stove",
    ]


def test_the_only_place_is_not_asked_about() -> None:
    """One place: no ask. No place: an empty address."""
    asks: list[Choose] = []
    nothing = choosing(lambda names: 0, asks)
    assert run(choose_place(draft(PLACES[4]), "sitting"), nothing) == PLACES[4]
    assert run(choose_place(draft(), "sitting"), nothing) == ""
    assert asks == []


@settings(max_examples=80, deadline=None)
@given(st.lists(NAMES.map(":".join), max_size=8, unique=True), st.integers(0, 99))
def test_only_afforded_addresses_are_chosen(places: list[str], number: int) -> None:
    """Whatever is picked, the place is one that the world offers; no choice has one option."""
    asks: list[Choose] = []
    rng = Seed.of(number).rng()
    found = run(
        choose_place(draft(*places), "x"), choosing(lambda names: rng.randrange(len(names)), asks)
    )
    assert found in (places or [""])
    assert all(len({option.name for option in ask.options}) >= 2 for ask in asks)
    assert len(asks) <= 3


def test_a_failed_choice_takes_the_first_and_says_so() -> None:
    """An engine fault leaves a place that is afforded, and a word in the explanation."""
    one = draft(*PLACES)
    found = run(choose_place(one, "baking"), lambda ask: Failed(reason="engine", detail="no"))
    assert found == PLACES[0]
    assert "(no choice of place: no)" in one.build(Action("wait")).why


def test_what_is_picked_depends_on_what_it_is_about() -> None:
    """Each choice has its own seed, by role and matter, and shows who chooses."""
    asks: list[Choose] = []
    options = [Option("a"), Option("b")]
    for role, about in (("x", "bread"), ("x", "rye"), ("y", "bread"), ("x", "bread")):
        run(pick_option(draft(), options, about=about, role=role), choosing(lambda names: 0, asks))
    assert len({ask.seed for ask in asks}) == 3
    assert asks[0] == asks[3]
    assert asks[0].messages[0].text.startswith("Name: Bo Li")
    assert action_targets(situation(*PLACES).can) == PLACES


def best(texts: list[str], index: int = 0, bad: str = "", stray: str = "") -> tuple[str, list[Ask]]:
    """What best_of makes of these drafts when the option of that index is chosen."""
    asks: list[Ask] = []

    def answer(ask: Ask) -> Answer:
        asks.append(ask)
        if isinstance(ask, Generate):
            return Completion(text=texts[len(asks) - 1])
        assert isinstance(ask, Choose)
        return Choice(index=index, probabilities=(1.0,) * len(ask.options))

    thought = best_of(
        draft(),
        Generate(messages=()),
        len(texts),
        seed=Seed.of(5),
        clean=str.strip,
        about="bread",
        role="line",
        unlike=lambda text: text == bad,
        strays=(stray,) if stray else (),
    )
    return run(thought, answer), asks


def test_the_best_draft_is_chosen_among_the_usable() -> None:
    """Drafts are cleaned, empty, doubled and unwanted ones thrown away, the rest chosen from."""
    found, asks = best([" a ", "b", " ", "a", "no", "c"], 2, bad="no")
    assert found == "c"
    assert isinstance(asks[-1], Choose)
    assert [option.name for option in asks[-1].options] == ["a", "b", "c"]
    seeds = {ask.seed for ask in asks if isinstance(ask, Generate)}
    assert len(seeds) == 6


@pytest.mark.parametrize(("index", "wanted"), [(0, "a"), (1, "b"), (2, "")])
def test_the_best_of_stray_drafts_is_none(index: int, wanted: str) -> None:
    """With a measure of what is beside the matter, a draft must fit better than that."""
    found, asks = best(["a", "b"], index, stray="else")
    assert found == wanted
    assert isinstance(asks[-1], Choose)
    assert [option.name for option in asks[-1].options] == ["a", "b", "else"]
    alone, asks = best(["a"], 1, stray="else")
    assert (alone, len(asks)) == ("", 2)
    none, asks = best([""], stray="else")
    assert (none, len(asks)) == ("", 1)


@pytest.mark.parametrize(
    ("texts", "wanted"), [([], ""), (["", " "], ""), (["a", "a "], "a"), (["no", "a"], "a")]
)
def test_where_nothing_is_to_choose_nothing_is_asked(texts: list[str], wanted: str) -> None:
    """One usable draft is taken, none gives an empty text."""
    found, asks = best(texts, bad="no")
    assert found == wanted
    assert len(asks) == len(texts)


def scripted(planner: Scripted, state: AgentState) -> Decision:
    with pytest.raises(StopIteration) as end:
        next(planner.decide(situation(state=state)))
    assert isinstance(end.value.value, Decision)
    return end.value.value


def test_a_script_is_done_line_by_line_and_then_waits() -> None:
    """Its place is in the agent's state, beside what else stands in the notebook."""
    planner = Scripted([Action("act", PLACES[0]), Action("say", "", {"text": "Hello!"})])
    state = AgentState(drafts={"mine": 1})
    done = []
    for _ in range(4):
        made = scripted(planner, state)
        state = made.state
        done.append(made.action.verb)
    assert done == ["act", "say", "wait", "wait"]
    assert state.drafts == {"mine": 1, "script": 2}
    assert made.why == "script is over"
    assert planner.length == 2


def test_a_script_resumes_where_it_was() -> None:
    """Another planner with the same script goes on from a saved state."""
    script = [Action("act", place) for place in PLACES]
    state = scripted(Scripted(script), AgentState()).state
    assert scripted(Scripted(script), state).action == script[1]


def test_planners_are_found_by_name() -> None:
    """The built-in names and the long form give planners, with their settings."""
    assert planner_by_name("daily", {"max_lines": 4}) == Daily(max_lines=4)
    assert isinstance(planner_by_name("routine"), Routine)
    script = planner_by_name("denizens.planners:Scripted", {"actions": [Action("wait")]})
    assert isinstance(script, Scripted)
    assert script.length == 1


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("dayly", None, r"planner 'dayly': unknown \(did you mean 'daily'\?\); use daily, routine"),
        ("", None, r"planner '': unknown; use daily"),
        (":Daily", None, r"planner ':Daily': write it as"),
        (".planners:Daily", None, r"planner '\.planners:Daily': write it as"),
        ("no.such:Thing", None, r"planner 'no\.such:Thing': cannot import no\.such"),
        ("denizens.planners:Dayly", None, r"denizens\.planners has no 'Dayly'"),
        ("daily", {"max_line": 3}, r"unknown setting 'max_line' \(did you mean 'max_lines'\?\)"),
        ("routine", {"speed": 3}, r"planner 'routine': wrong settings \{'speed': 3\}"),
        ("daily", [1], r"planner 'daily': "),
    ],
)
def test_a_wrong_planner_is_named(name: str, given: Json, words: str) -> None:
    """What is wrong with a name or its settings is told, with what was perhaps meant."""
    with pytest.raises(SettingError, match=words):
        planner_by_name(name, given)
