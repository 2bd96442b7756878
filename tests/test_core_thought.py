"""Thoughts and their driver: side by side, isolated, independent of the order of answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import pytest
from denizens.core import (
    Answer,
    AnsweredAsk,
    Ask,
    AskId,
    Call,
    Choice,
    Choose,
    Completion,
    Cue,
    Embed,
    Failed,
    Generate,
    Message,
    Option,
    Rate,
    Rating,
    Recall,
    Recalled,
    Seed,
    Thought,
    Time,
    ToolResult,
    Vectors,
    all_of,
    call,
    choose,
    drive,
    embed,
    generate,
    rate,
    recall,
    together,
    traced,
)
from hypothesis import given, settings
from hypothesis import strategies as st

NINE = Time(2023, 2, 13, 9)
# A thought for the property below: rounds of a width each, or thoughts side by side.
PLANS = st.recursive(
    st.lists(st.integers(0, 3), max_size=4),
    lambda inner: st.tuples(st.just("together"), st.lists(inner, max_size=3)),
    max_leaves=5,
)


def asking(text: str) -> Generate:
    return Generate(messages=(Message.of("user", text),))


def echo(ask: Ask) -> Answer:
    """An answer that depends on the ask alone."""
    assert isinstance(ask, Generate)
    return Completion(text=f"<{ask.messages[0].text}>")


class Shuffled:
    """Answers what is asked by some of its answers at a time, in a random order."""

    def __init__(self, random: Random, answer: Callable[[Ask], Answer] = echo) -> None:
        self.random = random
        self.answer = answer
        self.open: list[tuple[AskId, Ask]] = []
        self.seen: list[tuple[AskId, Ask]] = []

    def submit(self, where: AskId, ask: Ask) -> None:
        self.open.append((where, ask))
        self.seen.append((where, ask))

    def wait(self) -> Sequence[tuple[AskId, Answer]]:
        self.random.shuffle(self.open)
        size = self.random.randint(1, len(self.open))
        given, self.open = self.open[:size], self.open[size:]
        return [(where, self.answer(ask)) for where, ask in given]


class InTurn:
    """Answers one ask at a time: always the one that ``first`` prefers."""

    def __init__(self, first: Callable[[AskId], object]) -> None:
        self.first = first
        self.open: dict[AskId, Ask] = {}
        self.log: list[AskId] = []

    def submit(self, where: AskId, ask: Ask) -> None:
        self.open[where] = ask

    def wait(self) -> Sequence[tuple[AskId, Answer]]:
        where = min(self.open, key=lambda one: (str(self.first(one)), one))
        self.log.append(where)
        return [(where, echo(self.open.pop(where)))]


def talking(name: str, plan: object) -> Thought[tuple[object, ...]]:
    """A thought as ``plan`` has it; its result tells all that it was answered."""
    if isinstance(plan, tuple):
        inner = [talking(f"{name}/{place}", one) for place, one in enumerate(plan[1])]
        return (yield from all_of(inner))
    assert isinstance(plan, list)
    told: list[str] = []
    for number, width in enumerate(plan):
        asks = tuple(asking(f"{name}.{number}.{place}.{told[-1:]}") for place in range(width))
        answers = yield asks
        told += [one.text for one in answers if isinstance(one, Completion)]
    return tuple(told)


def alone(thought: Thought[object]) -> object:
    """Run one thought by hand, without a driver."""
    try:
        asks = next(thought)
        while True:
            asks = thought.send(tuple(echo(ask) for ask in asks))
    except StopIteration as end:
        return end.value


@settings(max_examples=60, deadline=None)
@given(st.lists(PLANS, max_size=4), st.integers(0, 1000))
def test_results_do_not_depend_on_the_order_of_answers(plans: list[object], number: int) -> None:
    """Whatever is answered first, and however many at a time, each mind ends the same."""
    wanted = {f"a{i}": alone(talking(f"a{i}", plan)) for i, plan in enumerate(plans)}
    for order in range(3):
        faculties = Shuffled(Seed.of(number).child(order).rng())
        thoughts = {f"a{i}": talking(f"a{i}", plan) for i, plan in enumerate(plans)}
        found = drive(thoughts, faculties)
        assert found == wanted
        assert list(found) == list(wanted)
        assert not faculties.open


@settings(max_examples=40, deadline=None)
@given(PLANS, st.integers(0, 1000))
def test_asks_are_told_apart_by_round_and_place(plan: object, number: int) -> None:
    """Paths are unique, count rounds from 1 and places from 0 without a hole, whoever hurries."""
    faculties = Shuffled(Seed.of(number).rng())
    drive({"Bo": talking("Bo", plan)}, faculties, step=7)
    ids = [where for where, _ in faculties.seen]
    assert {(where.step, where.agent) for where in ids} <= {(7, "Bo")}
    assert len(set(ids)) == len(ids)
    rounds: dict[int, list[int]] = {}
    for where in ids:
        turn, place = map(int, where.path.split("."))
        rounds.setdefault(turn, []).append(place)
    assert min(rounds, default=1) >= 1
    assert all(places == list(range(len(places))) for places in rounds.values())


def test_the_path_says_where_an_ask_stands() -> None:
    """Two asks in the first round, none in the second, one in the third."""
    faculties = InTurn(lambda where: where.path)
    drive({"Bo": talking("Bo", [2, 0, 1])}, faculties, step=3)
    assert faculties.log == [AskId(3, "Bo", "1.0"), AskId(3, "Bo", "1.1"), AskId(3, "Bo", "3.0")]


def test_nobody_waits_for_another() -> None:
    """Ada ends five rounds while Bo's first ask is still open."""
    faculties = InTurn(lambda where: where.agent)
    found = drive({"Bo": talking("Bo", [1]), "Ada": talking("Ada", [1] * 5)}, faculties)
    assert [where.agent for where in faculties.log] == ["Ada"] * 5 + ["Bo"]
    assert len(found["Ada"]) == 5


def test_a_thought_waits_for_all_of_its_own_asks() -> None:
    """With one of two answers it does not go on; answers come in the order of the asks."""
    faculties = InTurn(lambda where: where.path != "1.1")
    found = drive({"Bo": talking("Bo", [2])}, faculties)
    assert [where.path for where in faculties.log] == ["1.1", "1.0"]
    assert found["Bo"] == ("<Bo.0.0.[]>", "<Bo.0.1.[]>")


class Broken(Exception):
    """A programming error inside a thought."""


def breaking(closed: list[str]) -> Thought[tuple[object, ...]]:
    yield (asking("x"),)
    closed.append("broke")
    raise Broken


def watching(name: str, closed: list[str]) -> Thought[tuple[object, ...]]:
    try:
        for _ in range(9):
            yield (asking(name),)
        return ()
    finally:
        closed.append(name)


def test_an_exception_closes_the_other_thoughts() -> None:
    """A programming error is raised as it is, after the others were closed."""
    closed: list[str] = []
    thoughts = {
        "Ada": watching("Ada", closed),
        "Bo": breaking(closed),
        "Cy": watching("Cy", closed),
    }
    with pytest.raises(Broken):
        drive(thoughts, InTurn(lambda where: where.path))
    assert closed == ["broke", "Ada", "Cy"]
    assert all(thought.gi_frame is None for thought in thoughts.values())  # type: ignore[attr-defined]


def test_an_exception_of_the_faculties_closes_the_thoughts() -> None:
    """When what answers breaks, no thought is left half open."""

    def fail(ask: Ask) -> Answer:
        raise Broken

    closed: list[str] = []
    with pytest.raises(Broken):
        drive({"Ada": watching("Ada", closed)}, Shuffled(Random(1), fail))
    assert closed == ["Ada"]


def test_nothing_to_drive_gives_nothing() -> None:
    """No thoughts, or thoughts that ask nothing, need no faculties at all."""

    class Silent:
        def submit(self, where: AskId, ask: Ask) -> None:
            raise AssertionError(f"{where} asked")

        def wait(self) -> Sequence[tuple[AskId, Answer]]:
            raise AssertionError("nothing was asked")

    assert drive({}, Silent()) == {}
    assert drive({"Bo": talking("Bo", [0, 0])}, Silent()) == {"Bo": ()}


def test_a_failed_answer_is_an_answer() -> None:
    """Failed reaches the thought as data; the drive goes on."""

    def thought() -> Thought[str]:
        answer = yield from generate(asking("x"))
        return answer.detail if isinstance(answer, Failed) else "made"

    failing = Shuffled(Random(2), lambda ask: Failed(reason="limit", detail="too many"))
    assert drive({"Bo": thought()}, failing) == {"Bo": "too many"}


def test_side_by_side_thoughts_ask_in_one_round() -> None:
    """Sub-thoughts of different lengths share rounds; results keep their order."""
    thought = all_of([talking("a", [1, 1, 1]), talking("b", []), talking("c", [2])])
    first = next(thought)
    assert [_text(ask) for ask in first] == ["a.0.0.[]", "c.0.0.[]", "c.0.1.[]"]
    second = thought.send(tuple(map(echo, first)))
    assert [_text(ask) for ask in second] == ["a.1.0.['<a.0.0.[]>']"]
    third = thought.send(tuple(map(echo, second)))
    with pytest.raises(StopIteration) as end:
        thought.send(tuple(map(echo, third)))
    assert [len(told) for told in end.value.value] == [3, 0, 2]


def _text(ask: Ask) -> str:
    assert isinstance(ask, Generate)
    return ask.messages[0].text


def test_all_of_nothing_asks_nothing() -> None:
    """No thoughts, or only finished ones, end at once."""
    for thoughts in ([], [talking("a", []), talking("b", [])]):
        with pytest.raises(StopIteration) as end:
            next(all_of(thoughts))
        assert end.value.value == ((),) * len(thoughts)


def test_together_joins_thoughts_of_different_types() -> None:
    """Two or three thoughts of any type run in one round and give a tuple."""

    def rating() -> Thought[float]:
        answer = yield from rate(Rate(messages=(), about="rain"))
        return answer.value if isinstance(answer, Rating) else 0.0

    pair = together(rating(), generate(asking("x")))
    assert [ask.kind for ask in next(pair)] == ["rate", "generate"]
    with pytest.raises(StopIteration) as end:
        pair.send((Rating(value=3.5, probabilities=()), Completion(text="y")))
    assert end.value.value == (3.5, Completion(text="y"))
    assert len(next(together(rating(), rating(), generate(asking("x"))))) == 3


ANSWERS: list[tuple[Callable[[], Thought[object]], Answer]] = [
    (lambda: generate(asking("x")), Completion(text="y")),
    (
        lambda: choose(Choose(messages=(), options=(Option("a"),), about="")),
        Choice(index=0, probabilities=(1.0,)),
    ),
    (lambda: rate(Rate(messages=(), about="")), Rating(value=1.0, probabilities=())),
    (lambda: embed(Embed(texts=("a",))), Vectors(data="", rows=0, columns=0)),
    (lambda: recall(Recall(cue=Cue(text="a", at=NINE))), Recalled(hits=())),
    (lambda: call(Call(tool="add", arguments={})), ToolResult(ok=True, value=3)),
]


@pytest.mark.parametrize(("make", "answer"), ANSWERS, ids=lambda one: getattr(one, "kind", ""))
def test_every_helper_asks_once_and_returns_the_answer(
    make: Callable[[], Thought[object]], answer: Answer
) -> None:
    """Each typed helper is one ask, and gives back its answer or the Failed that came."""
    for said in (answer, Failed(reason="engine", detail="no")):
        thought = make()
        assert len(next(thought)) == 1
        with pytest.raises(StopIteration) as end:
            thought.send((said,))
        assert end.value.value is said


@settings(max_examples=40, deadline=None)
@given(PLANS)
def test_a_traced_thought_is_the_thought_and_its_log(plan: object) -> None:
    """Tracing changes no result and keeps every ask beside its answer, in order."""
    log: list[AnsweredAsk] = []
    faculties = Shuffled(Random(3))
    found = drive({"Bo": traced(talking("Bo", plan), log)}, faculties)["Bo"]
    assert found == alone(talking("Bo", plan))
    assert [one.ask for one in log] == [ask for _, ask in faculties.seen]
    assert [one.answer for one in log] == [echo(one.ask) for one in log]
