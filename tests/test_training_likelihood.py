"""Log-probabilities of lines through the engine, and items of next lines."""

from __future__ import annotations

import math

import pytest
from denizens.models import LocalModel, load_local
from denizens.models.engine import TokenPair
from denizens.planners.speech import Speaker, SpokenLine, speech_messages
from denizens.testing import write_tiny_embedder, write_tiny_model
from denizens.training import (
    DialogueLine,
    PersonaDialogue,
    next_line_items,
    score_pairs,
    score_replies,
    spoken_lines,
    spoken_turns,
)

LINES = (
    "Hello, how are you?",
    "I am well, I have a dog.",
    "What is its name?",
    "It is called Rex, and it likes bread.",
)


def dialogue(number: int = 0) -> PersonaDialogue:
    lines = tuple(
        DialogueLine(place % 2, f"{text} {number}" if number else text)
        for place, text in enumerate(LINES)
    )
    return PersonaDialogue(lines=lines, facts=(("I like tea.",), ("I have a dog.",)))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    folder = tmp_path_factory.mktemp("models")
    tiny = write_tiny_model(folder / "tiny")
    texts = write_tiny_embedder(folder / "texts")
    return load_local(str(tiny), device="cpu", dtype="float32", embedder=str(texts))


def test_the_turns_of_a_talk_are_where_the_prompts_of_each_line_end(model: LocalModel) -> None:
    """Every prompt of an own line is a prefix of the one sequence, and its turn follows it."""
    builder = model.prompt_builder
    own = spoken_lines(dialogue(), 1)
    speaker = Speaker(facts=("I have a dog.",))
    spoken = spoken_turns(builder, speech_messages(speaker, own))
    assert spoken is not None
    context, target = spoken.pair[0], spoken.pair[1]
    ids = context + target
    for (start, stop), place in zip(spoken.turns, (1, 3), strict=True):
        prompt = builder.ids(speech_messages(speaker, own[:place]))
        assert ids[: len(context) + start] == prompt
        turn = target[start:stop]
        assert turn == builder.text_ids(LINES[place]) + builder.closing_ids()


def test_scores_do_not_depend_on_the_batch(model: LocalModel) -> None:
    """A reply's log-probabilities do not depend on what is scored beside it."""
    prompts = [speech_messages(Speaker(), spoken_lines(dialogue(), 1, n)) for n in (1, 3)]
    rows = score_replies(model, prompts, [LINES[1], LINES[3]])
    builder = model.prompt_builder
    for messages, reply, row in zip(prompts, (LINES[1], LINES[3]), rows, strict=True):
        context = builder.ids(messages)
        target = builder.text_ids(reply) + builder.closing_ids()
        assert len(row) == len(target)
        assert all(map(math.isfinite, row))
        (alone,) = score_pairs(model, [TokenPair(context, target)])
        assert alone == pytest.approx(row, abs=1e-4)


def test_the_model_decides_as_before_after_scoring(model: LocalModel) -> None:
    """Scoring leaves the model's own decider in place."""
    decider = model.engine.decider
    score_replies(model, [speech_messages(Speaker(), [SpokenLine("Hi.", False)])], ["Hello."])
    assert model.engine.decider is decider


def test_an_item_has_the_true_line_and_lines_of_other_talks_only() -> None:
    """Items are drawn by the seed; the other lines are different ones, of other talks."""
    dialogues = [dialogue(number) for number in range(1, 12)]
    items = next_line_items(dialogues, 5, others=6)
    assert items == next_line_items(dialogues, 5, others=6)
    assert len(items) == 5
    for number, item in enumerate(items, 1):
        assert item.true.endswith(f" {number}")
        assert len(set(item.others)) == 6
        assert not any(line.endswith(f" {number}") for line in item.others)
        assert item.last == item.before[-1].text
        assert not item.before[-1].own


def test_a_talk_without_a_place_for_an_item_is_left_out() -> None:
    """A talk that is too short gives no item, and the next one does."""
    short = PersonaDialogue(lines=(DialogueLine(0, "Hi."), DialogueLine(1, "Bye.")))
    assert next_line_items([short, dialogue(1), dialogue(2)], 3, others=1)[0].true.endswith(" 1")


def test_turns_behind_the_window_are_left_out(model: LocalModel) -> None:
    """What the window cannot hold is not scored; nothing is left of a tiny one."""
    own = spoken_lines(dialogue(), 1)
    whole = spoken_turns(model.prompt_builder, speech_messages(Speaker(), own))
    assert whole is not None
    length = len(whole.pair[0]) + whole.turns[0][1]
    cut = spoken_turns(model.prompt_builder, speech_messages(Speaker(), own), window=length)
    assert cut is not None
    assert cut.turns == whole.turns[:1]
    assert spoken_turns(model.prompt_builder, speech_messages(Speaker(), own), window=3) is None
