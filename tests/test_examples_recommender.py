"""The recommender of examples/: it learns likings from talk, the changed taste wins, each reason
has its date and words, and nobody gets another's."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from denizens.core import Choice, Choose, Generate, Model, ModelAsk, Rate
from denizens.testing import ScriptedModel
from denizens.tests.support.example_programs import load_example

app: Any = load_example("recommender")
START = datetime(2026, 5, 4, 18)


def answers(ask: ModelAsk) -> Any:
    """A model that wants the recommendation for every question, and the tastes for "what"."""
    if isinstance(ask, Choose):
        names = [option.name for option in ask.options]
        tool = "tastes" if ask.about.startswith("Which") else "recommend"
        wanted = tool if "?" in ask.about and tool in names else names[0]
        return Choice(
            index=names.index(wanted), probabilities=tuple(float(name == wanted) for name in names)
        )
    if isinstance(ask, Rate):
        return 3
    assert isinstance(ask, Generate)
    return "{}" if ask.schema else "I have a dog."


def evening(guide: Any, day: int, text: str, person: str = "Ada") -> str:
    said: str = app.talk(guide, text, person, START + timedelta(days=day))
    return said


@pytest.fixture
def guide() -> Any:
    return app.make_guide(ScriptedModel(answers), ":memory:")


def test_the_changed_taste_wins_and_says_since_when(guide: Any) -> None:
    """After "I have gone off jazz" no jazz is recommended; what is liked now is, with the day and
    the words; taken up again, jazz wins as the latest."""
    evening(guide, 0, "I love jazz.")
    assert evening(guide, 1, "What is on?") == (
        'The Copper Quartet (concert), because you have liked jazz since 4 May ("I love jazz").'
    )
    evening(guide, 9, "I have gone off jazz. I am really into blues now.")
    assert evening(guide, 10, "What is on?") == (
        "The Delta Hour (concert), because you have liked blues since 13 May "
        '("I am really into blues now").'
    )
    assert evening(guide, 11, "Which do I like?") == (
        'You have liked blues since 13 May ("I am really into blues now"); '
        'you have not liked jazz since 13 May ("I have gone off jazz").'
    )
    evening(guide, 12, "I like jazz again.")
    assert "liked jazz since 16 May" in evening(guide, 13, "What is on?")


def test_told_and_asked_in_one_breath(guide: Any) -> None:
    """What a message tells counts for the question in it, whichever comes first."""
    evening(guide, 0, "I love jazz.")
    assert "jazz" not in evening(guide, 1, "I have gone off jazz. What is on?")
    assert "chess" in evening(guide, 2, "What is on? I like chess.")


def test_what_was_never_liked_is_left_out(guide: Any) -> None:
    """A dislike alone keeps an item away, also one that something liked speaks for."""
    evening(guide, 0, "I like ghosts.")
    assert "A House in Winter" in evening(guide, 1, "What is on?")
    evening(guide, 2, "I hate horror.")
    assert "ghosts" not in evening(guide, 3, "What is on?")


def test_persons_are_kept_apart(guide: Any) -> None:
    """What Ada likes is no reason for Ben, and her words are not shown to him."""
    evening(guide, 0, "I love jazz.", "Ada")
    for text in ("What is on?", "Which do I like?"):
        assert "jazz" not in evening(guide, 1, text, "Ben")
    evening(guide, 2, "I hate jazz.", "Ben")
    assert "liked jazz since 4 May" in evening(guide, 3, "What is on?", "Ada")


def test_it_is_remembered_after_a_restart(tmp_path: Any) -> None:
    """Likings stand in the memory's file."""
    guide = app.make_guide(ScriptedModel(answers), tmp_path / "iris.db")
    evening(guide, 0, "I love jazz.")
    guide.memory.store.close()
    guide = app.make_guide(ScriptedModel(answers), tmp_path / "iris.db")
    assert "liked jazz since 4 May" in evening(guide, 1, "What is on?")
    guide.memory.store.close()


@pytest.mark.parametrize(
    ("said", "liked", "gone"),
    [
        ("I adore folk.", ["folk"], []),
        ("I'm a big fan of theatre.", ["theatre"], []),
        ("I do like chess.", ["chess"], []),
        ("I am keen on owls these days.", ["owls"], []),
        ("I went off folk.", [], ["folk"]),
        ("I've lost my taste for horror.", [], ["horror"]),
        ("I'm not keen on metal.", [], ["metal"]),
        ("I don't care for chess.", [], ["chess"]),
        ("I used to like jazz.", [], ["jazz"]),
        ("If I liked jazz I would come.", [], []),
        ("My sister is into pottery.", [], []),
    ],
)
def test_words_for_liking(guide: Any, said: str, liked: list[str], gone: list[str]) -> None:
    """The ways to say it, and what says nothing of the speaker."""
    evening(guide, 0, said)
    facts, now = app.Facts(guide.memory), START + timedelta(days=1)
    assert [fact.object for fact in app.likes(facts, "Ada", now)] == liked
    assert [one.object for one in app.dislikes(facts, "Ada", now)] == gone


@pytest.mark.real
def test_two_weeks_of_talk(smollm2: Model) -> None:
    """On the embedded models: the tools are chosen by the questions, the changed taste wins, and
    the answer says since when."""
    guide = app.make_guide(smollm2, ":memory:")
    said = [evening(guide, day, line) for day, line in app.DEMO]
    assert "because you have liked jazz since 4 May" in said[2]
    assert "The Delta Hour" in said[4]
    assert "because you have liked blues since 13 May" in said[4]
    for told in said[5:]:
        assert "liked blues since 13 May" in told
        assert "not liked jazz since 13 May" in told
