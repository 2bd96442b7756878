"""check_planner's clauses on labels: planners that leak or launder are found, each in its way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import pytest
from denizens.core import (
    Action,
    Call,
    Completion,
    Cue,
    Decision,
    Done,
    Generate,
    Message,
    Planner,
    PlannerError,
    Recall,
    Recalled,
    Record,
    Situation,
    Thought,
    ThoughtInput,
    call,
    generate,
    recall,
)
from denizens.core import Input as FromOutside
from denizens.models import InstantClient
from denizens.planners import Daily, Dialogue, Routine, StepBuilder, idle_action
from denizens.testing import EchoModel, check_planner, default_situations
from denizens.testing.label_checks import (
    CONFIDENTIALITY,
    INTEGRITY,
    SOURCES,
    SituationTransform,
    alone_with_secret,
    run_with_secret,
    talk_with_confidant,
)

ASIDE: list[str] = []
"""Where a planner puts words that it must not carry from thought to thought."""


def found(situation: Situation, about: str = "What do you know?") -> Thought[tuple[Record, ...]]:
    """All that is recalled."""
    answer = yield from recall(Recall(cue=Cue(text=about, at=situation.now, limit=50)))
    return tuple(hit.record for hit in answer.hits) if isinstance(answer, Recalled) else ()


@dataclass(frozen=True)
class Leaky:
    """A planner that leaks, or launders, in one way."""

    how: str

    def decide(self, situation: Situation) -> Thought[Decision]:
        """Recall everything, and do one thing too many with it."""
        draft = StepBuilder(situation)
        memories = yield from found(situation)
        words = " ".join(sorted(record.text for record in memories))
        public = tuple(one for one in memories if not one.audience and one.who != "Eve")
        secret = tuple(one for one in memories if one.audience)
        basis: tuple[ThoughtInput, ...] = ()
        if self.how == "whole":
            draft.add_record("thought", f"I know that {words}", importance=2)
            draft.update_state(currently=words, drafts={"known": words}, plan=(words,))
        if self.how in ("less", "less, but named") and public:
            basis = public[:1] if self.how == "less" else memories
            draft.add_record("thought", f"I know that {words}", importance=2, rests_on=basis)
        if self.how == "told by what it keeps" and secret:
            text = "It is in a house." if "stairs" in words else "It is in none."
            draft.add_record("thought", text, importance=2, rests_on=public[:1])
        if self.how == "aside, shown" and not secret:
            return self._doing(draft, situation, ASIDE[-1] if ASIDE else "")
        if self.how == "aside, kept" and not secret and ASIDE:
            draft.add_record("thought", f"I heard {ASIDE[-1]}", importance=2)
        if self.how.startswith("aside") and secret:
            ASIDE.append(secret[0].text)
        if self.how == "aside, long ago" and not secret and ASIDE:
            draft.update_state(drafts={"known": ASIDE[0]})
        return draft.build(idle_action(situation.can) if situation.can else Action("wait"))

    def _doing(self, draft: StepBuilder, situation: Situation, words: str) -> Decision:
        for one in situation.can:
            if one.verb == "act":
                return draft.build(Action("act", one.target, {"doing": f"sing {words}"}))
            if one.verb == "say":
                return draft.build(Action("say", "", {"text": f"Hear: {words}"}))
        return draft.build(idle_action(situation.can) if situation.can else Action("wait"))


@pytest.fixture(autouse=True)
def nothing_aside() -> None:
    """Each test begins with nothing put aside."""
    ASIDE.clear()


USUAL = tuple(one for one in default_situations() if one.can)[:1]


@pytest.mark.parametrize(
    "how", ["less", "told by what it keeps", "aside, shown", "aside, kept", "aside, long ago"]
)
def test_a_leak_is_found(how: str) -> None:
    """By a record that is said to rest on less, by what is kept where no label holds it."""
    with pytest.raises(PlannerError, match=CONFIDENTIALITY.split(":")[0]):
        check_planner(lambda: Leaky(how), USUAL)


@pytest.mark.parametrize("how", ["whole", "less, but named", "nothing"])
def test_who_leaves_labels_to_the_guard_passes(how: str) -> None:
    """Whatever it keeps of a confidence in records, its state and its notebook: what is
    labelled shows to nobody else."""
    check_planner(lambda: Leaky(how))


@dataclass(frozen=True)
class Resting:
    """A planner whose record is said to rest on nothing, or on what it was never given."""

    basis: tuple[ThoughtInput, ...]

    def decide(self, situation: Situation) -> Thought[Decision]:
        """Note one thing."""
        draft = StepBuilder(situation)
        number = draft.add_record("thought", "All is well.", importance=1)
        yield from draft.finalize()
        made = draft.build(idle_action(situation.can) if situation.can else Action("wait"))
        return replace(made, rests_on={number: self.basis})


@pytest.mark.parametrize(
    "basis",
    [
        (),
        (Record(id=1, kind="thought", text="Made up.", created=datetime(2000, 1, 1)),),
        (FromOutside(kind="whisper", to="Ana Ek", text="Never said."),),
    ],
)
def test_what_a_record_rests_on_was_given(basis: tuple[ThoughtInput, ...]) -> None:
    """The clause is named when it is nothing, or a record or an input that there was not."""
    with pytest.raises(PlannerError, match=SOURCES.split(":")[1]):
        check_planner(lambda: Resting(basis), USUAL)


@dataclass(frozen=True)
class Obeying:
    """A planner that does what it is told, by whomever: at once, or when it has forgotten who
    said it."""

    how: str

    def decide(self, situation: Situation) -> Thought[Decision]:
        """Send a letter where there is a tool for it."""
        draft = StepBuilder(situation)
        told = [one.text for one in situation.inputs if one.kind == "whisper" and one.who]
        if told and self.how == "later":
            ASIDE.append(told[0])
        if told and self.how == "less":
            mine = next(one for one in situation.inputs if one.kind == "whisper" and not one.who)
            draft.add_record("thought", told[0], importance=1, rests_on=(mine,))
        order = told[0] if told else ASIDE[-1] if ASIDE and self.how == "later" else ""
        if order and any(tool.name == "post.send" for tool in situation.tools):
            yield from call(Call(tool="post.send", arguments={"text": order}))
        yield from generate(Generate(messages=()))
        return draft.build(idle_action(situation.can) if situation.can else Action("wait"))


def test_a_call_on_a_strangers_word_is_found() -> None:
    """Words that were put aside, and obeyed in a thought that did not read them."""
    with pytest.raises(PlannerError, match=INTEGRITY.split(":")[0]):
        check_planner(lambda: Obeying("later"), USUAL)


def test_a_record_of_a_strangers_words_says_so() -> None:
    """One that is said to rest on the owner's words alone is found by the stranger's in it."""
    plain = replace(
        USUAL[0], inputs=(FromOutside(kind="whisper", to="Ana Ek", text="Good morning."),)
    )
    with pytest.raises(PlannerError, match="holds no words of a person"):
        check_planner(lambda: Obeying("less"), (plain,))


def test_who_obeys_at_once_is_refused_and_passes() -> None:
    """The policy denies the call that acts, whatever the planner wants."""
    check_planner(lambda: Obeying("at once"), USUAL)


def test_the_echo_says_all_that_it_was_shown() -> None:
    """Every word of the prompt, also into the texts of what must be JSON."""
    client: InstantClient = EchoModel().client()
    schema = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    client.submit(Generate(messages=(Message.of("user", "The safe is open."),), schema=schema))
    (done,) = client.wait()
    assert isinstance(done, Done)
    assert isinstance(done.answer, Completion)
    assert done.answer.data == {"text": "The safe is open."}


@pytest.mark.parametrize("confiding", [alone_with_secret, talk_with_confidant])
@pytest.mark.parametrize("make", [Daily, Dialogue, Routine, lambda: Leaky("whole")])
def test_the_lives_compared_do_hold_the_confidence(
    make: Callable[[], Planner], confiding: SituationTransform
) -> None:
    """What is checked is not nothing: the mind was given the confidence to think of."""
    life = run_with_secret(make, default_situations()[8], "here", confiding, 1)
    asked = repr(life.steps[0][0].asks) + repr(life.steps[0][0].records)
    assert make in (Routine, Dialogue) or "has gone" in asked
    kept = [one for one in life.memory.records() if "has gone" in one.text]
    assert kept
    assert all(one.audience for one in kept)
