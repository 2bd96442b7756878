"""The critic of next lines: what it reads from a prompt, its files, and its answers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from denizens.core import (
    NEXT_LINE_ROLE,
    NONE_OF_THESE,
    Choice,
    Choose,
    ModelCorrupt,
    ModelError,
    Option,
    answer_all,
)
from denizens.models import LocalModel, load_local
from denizens.models.decisions import (
    CRITIC_SETTINGS,
    CRITIC_WEIGHTS,
    LINE_FEATURES,
    MATCH_INPUTS,
    CriticNetwork,
    LineCritic,
    LineMatcher,
    heard_talk,
    read_critic,
    word_features,
)
from denizens.planners.speech import Speaker, SpokenLine, speech_messages
from denizens.testing import write_tiny_embedder, write_tiny_model
from hypothesis import given
from hypothesis import strategies as st

DRAFTS = ("It is called Rex.", "I like tea.", "Bye, see you later!")


def some_critic(dimension: int, seed: int = 1) -> LineCritic:
    rng = np.random.default_rng(seed)
    count, units, rank = len(LINE_FEATURES), 4, 3
    network = CriticNetwork(
        mean=rng.normal(size=count),
        scale=rng.uniform(0.5, 2, size=count),
        hidden=rng.normal(size=(units, count)),
        bias=rng.normal(size=units),
        output=rng.normal(size=units),
        linear=rng.normal(size=count),
        offset=0.5,
    )
    inputs = {name: rng.normal(size=(rank, dimension)) for name in MATCH_INPUTS}
    return LineCritic(LineMatcher(rng.normal(size=(rank, dimension)), inputs), network)


def asked(*drafts: str, none: bool = True) -> Choose:
    lines = [SpokenLine("Hello!", True), SpokenLine("What is your dog's name?", False)]
    messages = speech_messages(
        Speaker(name="Bo Lind", facts=("I have a dog.",)), lines, intent="My dog is called Rex."
    )
    options = [Option(draft) for draft in drafts] + ([NONE_OF_THESE] if none else [])
    return Choose(
        messages=messages, options=tuple(options), about=lines[-1].text, role=NEXT_LINE_ROLE
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    folder = tmp_path_factory.mktemp("models")
    tiny = write_tiny_model(folder / "tiny")
    texts = write_tiny_embedder(folder / "texts")
    loaded = load_local(str(tiny), device="cpu", dtype="float32", embedder=str(texts))
    loaded.decider.set_critic("", some_critic(loaded.embedder.dimension))
    return loaded


def logits_of(model: LocalModel, ask: Choose) -> dict[str, float]:
    """The logit of each draft against none of these."""
    (answer,) = answer_all(model.client(), [ask])
    assert isinstance(answer, Choice)
    shares = dict(zip((option.name for option in ask.options), answer.probabilities))
    none = shares.pop(NONE_OF_THESE.name)
    return {name: float(np.log(share / none)) for name, share in shares.items()}


def test_a_prompt_of_speech_is_read_as_it_was_written() -> None:
    """Facts, lines and notes of a prompt of speech are found again, and no note counts as a
    line."""
    talk = heard_talk(asked("x").messages, "")
    assert talk.facts == ("I am Bo Lind.", "I have a dog.")
    assert (talk.last, talk.own, talk.partner) == ("What is your dog's name?", ("Hello!",), ())
    assert talk.notes == ("My dog is called Rex.",)


def test_who_begins_has_heard_nothing() -> None:
    """Where the speaker opens the talk or goes on, the bracketed turn is no line."""
    opening = heard_talk(speech_messages(Speaker(partner="Ada Ek"), []), "my dog")
    assert (opening.last, opening.own, opening.partner) == ("", (), ())
    after = heard_talk(speech_messages(Speaker(), [SpokenLine("Hm.", True)]), "")
    assert (after.last, after.own) == ("", ("Hm.",))


def test_words_tell_repetition_and_farewells() -> None:
    """A line said before is repeated whole, and a farewell is one."""
    talk = heard_talk(asked("x").messages, "")
    assert word_features(talk, "What is your dog's name?")["echo"] == 1.0
    assert word_features(talk, "Rex, my dog is called Rex.")["tells_note"] == 1.0
    assert word_features(talk, "Bye!")["farewell"] == 1.0
    assert word_features(talk, "It flew to Lisbon.")["new_words"] == 1.0


def test_each_draft_is_judged_apart_from_the_others(model: LocalModel) -> None:
    """The logit of a draft depends neither on the other drafts nor on their order."""
    together = logits_of(model, asked(*DRAFTS))
    turned = logits_of(model, asked(*reversed(DRAFTS)))
    for draft in DRAFTS:
        alone = logits_of(model, asked(draft))
        assert together[draft] == pytest.approx(alone[draft], abs=1e-4)
        assert together[draft] == pytest.approx(turned[draft], abs=1e-4)


def test_the_answer_is_the_draft_with_the_highest_logit(model: LocalModel) -> None:
    """With and without none of these; that has the logit 0."""
    logits = logits_of(model, asked(*DRAFTS))
    best = max(DRAFTS, key=lambda draft: logits[draft])
    for none in (True, False):
        ask = asked(*DRAFTS, none=none)
        (answer,) = answer_all(model.client(), [ask])
        assert isinstance(answer, Choice)
        expected = NONE_OF_THESE.name if none and logits[best] < 0 else best
        assert ask.options[answer.index].name == expected
        assert sum(answer.probabilities) == pytest.approx(1)


def test_another_voice_is_answered_without_critic(model: LocalModel) -> None:
    """A voice without critic is answered like any Choose."""
    assert model.decider.critic("other") is None
    ask = Choose(
        messages=(), options=(Option("a"), Option("b")), about="c", role=NEXT_LINE_ROLE, voice="x"
    )
    assert not model.decider._judges_lines(ask)


def test_a_critic_is_read_as_it_was_written(tmp_path: Path) -> None:
    """The files give the same logits up to the precision that is stored."""
    critic = some_critic(8)
    critic.write(tmp_path)
    row = dict.fromkeys(LINE_FEATURES, 0.3)
    read = read_critic(tmp_path)
    assert read.logits([row]) == pytest.approx(critic.logits([row]), rel=1e-4)
    assert read.features == LINE_FEATURES


@pytest.mark.parametrize("harm", ["missing", "changed", "feature", "format", "json", "shape"])
def test_a_damaged_critic_is_refused(tmp_path: Path, harm: str) -> None:
    """A file that is missing, changed or of another critic raises an error that names it."""
    some_critic(8).write(tmp_path)
    path = tmp_path / CRITIC_SETTINGS
    settings = json.loads(path.read_text(encoding="utf-8"))
    if harm == "missing":
        (tmp_path / CRITIC_WEIGHTS).unlink()
    elif harm == "changed":
        data = bytearray((tmp_path / CRITIC_WEIGHTS).read_bytes())
        data[-1] ^= 1
        (tmp_path / CRITIC_WEIGHTS).write_bytes(bytes(data))
    elif harm == "json":
        path.write_text("{", encoding="utf-8")
    else:
        if harm == "feature":
            settings["features"][0] = "charm"
        elif harm == "shape":
            settings["features"].pop()
        else:
            settings["format"] = 99
        path.write_text(json.dumps(settings), encoding="utf-8")
    with pytest.raises(ModelCorrupt, match=CRITIC_SETTINGS.replace(".", "[.]")):
        read_critic(tmp_path)


def test_a_critic_of_other_embeddings_is_refused(model: LocalModel) -> None:
    """The critic must read vectors of the embedder's length."""
    with pytest.raises(ModelError, match="embeddings"):
        model.decider.set_critic("x", some_critic(model.embedder.dimension + 1))


@given(st.text(max_size=200), st.text(max_size=80))
def test_any_text_has_finite_features(heard: str, draft: str) -> None:
    """Whatever is said, the features of words are numbers between -10 and 10."""
    talk = heard_talk(speech_messages(Speaker(facts=("I bake.",)), [SpokenLine(heard, False)]), "")
    assert all(-10 < value < 10 for value in word_features(talk, draft).values())
