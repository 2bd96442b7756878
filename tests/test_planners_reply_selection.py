"""What a chat says: drafts cleaned, none twice, none recited, and what a tool gave."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from denizens.core import Completion, Failed, Generate, Hit, Recalled, Record, Seed, Utterance
from denizens.planners import Dialogue, DialogueInput, DialogueReply, StepBuilder, ToolCallRecord
from denizens.planners.dialogue.reply_selection import (
    ReplyContext,
    best_reply,
    clean_reply,
    reports_results,
    result_texts,
)
from denizens.tests.support.planner_driver import AT, ScriptedAnswers, situation, spec

FRAME = ReplyContext(
    name="Bo Lind",
    person="Ada Ek",
    line="When are you open?",
    prompt_sentences=("You talk with Ada Ek.",),
)


def gave(*texts: str) -> tuple[ToolCallRecord, ...]:
    """Calls of a tool that gave these texts."""
    return tuple(
        ToolCallRecord(tool="hours", arguments={}, text=text, receipt="r") for text in texts
    )


def framed(told: Sequence[str] = (), calls: Sequence[ToolCallRecord] = ()) -> ReplyContext:
    return ReplyContext(
        name="Bo Lind", person="Ada", line="Open?", own_lines=tuple(told), calls=tuple(calls)
    )


def best(told: ScriptedAnswers, frame: ReplyContext, borne: float = 0.4) -> str | Failed:
    """The reply of two drafts, or of two more."""
    asks = (Generate(messages=()), Generate(messages=(), temperature=0.8))
    draft = StepBuilder(situation())
    seed = Seed.of(1)
    return told.think(best_reply(draft, asks, frame, count=2, seed=seed, borne=borne))


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("Bo: Good morning!", "Good morning!"),
        ('"I bake rye. Ada: And plums?', "I bake rye."),
        ("*smiles* I bake rye (and oats).", "I bake rye (and oats)."),
        ("Bo Lind bakes rye. Bo Lind bakes rye.", "I bake rye."),
        (
            "Welcome to my bakery! I bake. Hello, welcome to my bakery.",
            "Welcome to my bakery! I bake.",
        ),
        ("Hello, Bo! I bake rye.", "I bake rye."),
        ("My name is Bo Lind. I bake.", "My name is Bo Lind. I bake."),
        ("One. Two and. Three is. Four, five.", "One. Two and. Three is."),
        ("面包很香。你好吗？", "面包很香。你好吗？"),
        ("You talk with Ada Ek. I bake.", "I bake."),
        ("[Bo Lind]: I bake rye.", "I bake rye."),
        ("Here is my answer as Bo Lind:\n\nI bake rye.", "I bake rye."),
        ("I bake rye.<|im_end|>\n<|im_start|>user", "I bake rye."),
        ("*nods* *smiles* I bake rye. *waves*", "I bake rye."),
        ("I bake rye. [End of the talk]", "I bake rye."),
        ("`I bake rye.`", "I bake rye."),
        ("Lind: I bake rye.", "I bake rye."),
        ("When are you open? At nine.", "At nine."),
        ("I bake:\n- rye\n- oats\n\nAda: Fine.", "I bake: rye, oats"),
        ("1. Rye bread\n2. Oat bread", "Rye bread, Oat bread"),
        ("Wir backen. Bo Lind freut sich.", "Wir backen. Bo Lind freut sich."),
        (
            "Ich bin der Bäcker und Bo Lind freut sich.",
            "Ich bin der Bäcker und Bo Lind freut sich.",
        ),
        ("When are you open?", ""),
        ("and so on until", ""),
        ("I bake rye,", ""),
        ("", ""),
    ],
)
def test_a_reply_is_cleaned(text: str, reply: str) -> None:
    """No speaker's name, no stray marks, no sentence twice, no words of the prompt, no echo of
    the question, at most three sentences; brackets and all scripts are welcome."""
    assert clean_reply(text, FRAME) == reply


def test_what_was_cut_ends_with_a_sentence() -> None:
    """Where the answer was cut at its longest, the sentence that is not finished goes."""
    assert clean_reply("I bake rye. Then I was", FRAME, cut=True) == "I bake rye."
    assert clean_reply("I bake rye. Then I was", FRAME) == "I bake rye. Then I was"
    assert clean_reply("I bake rye and then", FRAME, cut=True) == "I bake rye and then"


def test_the_likeliest_new_draft_is_said() -> None:
    """Of drafts side by side the one that fits the line; what was said before is not offered."""
    told = ScriptedAnswers(
        texts={"speech": ["From six.", "From noon on."]}, next_line=["From noon on."]
    )
    assert best(told, framed()) == "From noon on."
    told = ScriptedAnswers(texts={"speech": ["We open at six, Ada.", "Come at noon."]})
    assert best(told, framed(["We open at six."])) == "Come at noon."


def test_where_all_was_said_before_more_is_written() -> None:
    """Two more drafts, and where these repeat as well, what repeats least."""
    rye, six = "I bake rye bread.", "We open at six."
    told = ScriptedAnswers(texts={"speech": [rye, rye, six, rye]})
    assert best(told, framed([rye])) == six
    told = ScriptedAnswers(texts={"speech": [rye, rye, rye, f"{rye} And cakes for you there."]})
    assert best(told, framed([rye, "I bake cakes for you there."])) == rye
    assert told.done()


def test_no_words_are_no_answer() -> None:
    """What gives no words is typed as a failure, and so is an engine's fault."""
    silent = best(ScriptedAnswers(texts={"speech": [""] * 4}), framed())
    assert isinstance(silent, Failed)
    assert silent.reason == "empty"
    fault = Failed(reason="engine", detail="out of memory")
    assert best(ScriptedAnswers(texts={"speech": [fault, fault]}), framed()) == fault


@pytest.mark.parametrize(
    ("text", "result", "whole"),
    [
        ("We are open 6:30 to 14:00.", "6:30 to 14:00", True),
        ("We are open at noon.", "6:30 to 14:00", False),
        ("We are open 6:30 to 14:00, and till 18:00 on Friday.", "6:30 to 14:00", False),
        ("We are not closed on Sunday.", "closed", False),
        ("It is 10000.", "10000", True),
        ("It is 100001.", "10000", False),
        ("It is 1.10000 or 10000.5", "10000", False),
        ("我们六点半开门。", "六点半", True),
    ],
)
def test_a_result_is_said_or_it_is_not(text: str, result: str, whole: bool) -> None:
    """The result stands in the reply word for word, and no other number or denial beside it."""
    assert (
        reports_results(text, framed(calls=gave(result)), 0.0 if not result.isascii() else 0.2)
        == whole
    )


def test_a_reply_without_the_result_is_the_result() -> None:
    """An answer that leaves out or contradicts what the tool gave is replaced by it, one that
    says it is kept; without a model the result is said all the same."""
    calls = gave("closed")
    frame = framed(calls=calls)
    assert (
        best(ScriptedAnswers(texts={"speech": ["We open at six.", "I bake."]}), frame) == "closed"
    )
    assert best(ScriptedAnswers(texts={"speech": ["I bake.", "Open? We are closed."]}), frame) == (
        "Open? We are closed."
    )
    assert (
        best(ScriptedAnswers(texts={"speech": ["I bake.", "Hm hm."]}), frame, borne=0.0)
        == "I bake."
    )
    fault = Failed(reason="engine", detail="out of memory")
    assert best(ScriptedAnswers(texts={"speech": [fault, fault]}), frame) == "closed"


def test_results_are_told_in_words() -> None:
    """JSON is told as its values under their names; what gave nothing, or failed, tells nothing."""
    calls = (*gave('{"wind_speed": 4, "rain": false}', '["a", "b"]', "null", "{}"),)
    assert result_texts(calls) == ["wind speed: 4, rain: no", "a; b"]
    assert (
        result_texts([ToolCallRecord(tool="hours", arguments={}, ok=False, text="no such day")])
        == []
    )


def said(dialogue: Dialogue, told: ScriptedAnswers, text: str, *before: Utterance) -> DialogueReply:
    draft = StepBuilder(situation(tools=(spec("hours", "day"),) if told.choices["tool"] else ()))
    return told.think(
        dialogue.turn(draft, DialogueInput(line=Utterance("Ada", text, AT), before=before))
    )


def test_the_talk_stands_in_the_prompt_as_turns() -> None:
    """Lines before are turns of a chat, what several others say under their names; a memory of
    what stands there is not shown beside it, and a long line is cut."""
    told = ScriptedAnswers(texts={"speech": ["Good."] * 8})
    before = (
        Utterance("Bo Li", "Hm?", AT),
        Utterance("Ada", "Rye. " * 500, AT),
        Utterance("Cy", "Oats!", AT),
    )
    said(Dialogue(), told, "Well?", *before)
    (ask, *_) = (one.ask for one in told.log if isinstance(one.ask, Generate))
    roles = [message.role for message in ask.messages]
    assert roles == ["system", "user", "assistant", "user"]
    assert [part.text for part in ask.messages[1].parts] == ["[I meet Ada.]"]
    rye, oats, line = ask.messages[3].parts
    assert rye.text.startswith("Ada: Rye. ")
    assert len(rye.text) < 700
    assert (oats.text, line.text) == ("Cy: Oats!", "Ada: Well?")
    assert (rye.drop > oats.drop > 0, line.drop) == (True, 0)


def test_nobody_else_speaks_in_a_reply() -> None:
    """The name of somebody whom a memory names goes from the beginning of a reply."""
    known = Record(id=1, kind="thought", text="Otto Brem brings plums.", created=AT)
    hit = Hit(record=known, score=1.0, recency=1.0, importance=1.0, relevance=1.0)
    told = ScriptedAnswers(
        texts={"speech": ["Otto: I bring plums."] * 4}, recalled=Recalled(hits=(hit,))
    )
    assert said(Dialogue(), told, "Well?").text == "I bring plums."
    told = ScriptedAnswers(
        texts={"speech": ["Well: I bring plums."] * 4}, recalled=Recalled(hits=(hit,))
    )
    assert said(Dialogue(), told, "Well?").text == "Well: I bring plums."


def test_a_single_draft_is_streamed_and_the_result_is_added() -> None:
    """With one draft nothing is taken back: what leaves the result out is followed by it."""
    told = ScriptedAnswers(
        moves=["hours"],
        arguments=[{"day": "Sunday"}] * 3,
        texts={"value": ["Sunday"], "speech": ["I bake."]},
        tools={"hours": lambda given: "closed"},
        value=["Sunday"] * 3,
    )
    assert said(Dialogue(drafts=1), told, "Open on Sunday?").text == "I bake. (closed)"
    (ask,) = [o.ask for o in told.log if isinstance(o.ask, Generate) and o.ask.role == "speech"]
    assert ask.stream


def test_a_completion_that_was_cut_is_known_by_its_end() -> None:
    """The drafts of a reply know by the completion whether they were cut."""
    draft, frame = StepBuilder(situation()), framed()
    thought = best_reply(draft, [Generate(messages=())], frame, count=1, seed=Seed.of(1), borne=0.4)
    (ask,) = next(thought)
    assert isinstance(ask, Generate)
    with pytest.raises(StopIteration) as end:
        thought.send((Completion(text="I bake rye. Then I", stopped="limit"),))
    assert end.value.value == "I bake rye."
