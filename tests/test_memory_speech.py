"""What people say, as claims: subjects, denials, conditions, reports, times."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from denizens.core import Record
from denizens.core.text import EntityNames, name_key
from denizens.memory import Facts, Memory
from denizens.memory.facts import ExtractedFact
from denizens.memory.facts.extracted_facts import is_grounded
from denizens.memory.facts.rule_extraction import HEARSAY_CONFIDENCE, extract_facts

NOW = datetime(2023, 6, 14, 12)  # a Wednesday


def told(words: str, at: datetime = NOW) -> Record:
    """Ada's line to Bo."""
    text = f'Ada said to Bo: "{words}"'
    return Record(id=1, kind="utterance", who="Ada", text=text, created=at)


def read(words: str) -> list[str]:
    """What the rules read out of Ada's line; "-" before what holds no longer."""
    return [
        f"{'-' if d.denies else ''}{d.subject} {d.relation} {d.object}"
        for d in extract_facts(told(words))
    ]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("Now I live in Rome.", ["Ada lives in Rome"]),
        ("Well I work at Shell.", ["Ada works at Shell"]),
        ("Sure, I work for Shell these days.", ["Ada works at Shell"]),
        ("On Monday Eve moved to Oslo.", ["Eve lives in Oslo"]),
        ("Bo, I live in Rome.", ["Ada lives in Rome"]),
        ("You live in Bath, I live in Rome.", ["Bo lives in Bath", "Ada lives in Rome"]),
        ("I'm living in Rome.", ["Ada lives in Rome"]),
        ("Unlike Eve, I've moved from Leeds to Porto.", ["Ada lives in Porto"]),
        ("The mayor of Rome lives in Bath.", []),
        ("My brother lives in Rome.", []),
        ("Will lives in Rome.", ["Will lives in Rome"]),
        ("May Smith lives in Rome.", ["May Smith lives in Rome"]),
        ("I like tea, coffee and rye.", ["Ada likes tea", "Ada likes coffee", "Ada likes rye"]),
        ("I like tea and swim a lot.", ["Ada likes tea"]),
        ("I know Eve and Cy.", ["Ada knows Eve", "Ada knows Cy"]),
        ("I like it when it rains.", []),
    ],
)
def test_who_is_spoken_of(words: str, found: list[str]) -> None:
    """Adverbs, names before a comma and prepositions make no subject; I is who speaks, you is
    who listens; of a list every item counts."""
    assert read(words) == found


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ('Eve told me "I live in Hull".', ["Eve lives in Hull"]),
        ('"I live in Hull," said Eve.', ["Eve lives in Hull"]),
        ("Eve told me “You live in Hull”.", ["Ada lives in Hull"]),
        ('He said "I live in Hull" and I live in Rome.', ["Ada lives in Rome"]),
        ('I like "Dune".', ["Ada likes Dune"]),
        ("Eve said that she lives in Hull.", []),
        ("Eve claims I live in Hull.", []),
        ("Eve said I live in Hull.", []),
        ("I told Eve I live in Rome.", ["Ada lives in Rome"]),
        ("Eve asked whether I live in Rome.", []),
        ("Eve said: I live in Hull, but she lies.", []),
        ("My mother always says: I live in a dream.", []),
        ("I live in Hull, says Eve.", []),
        ("I said: I live in Hull.", ["Ada lives in Hull"]),
        ("I think Eve lives in Rome.", []),
    ],
)
def test_quotations_and_reports(words: str, found: list[str]) -> None:
    """Words in quotation marks are those of who said them, of nobody where nobody is named;
    what others say or think of the speaker is not the speaker's word."""
    assert read(words) == found


def test_what_is_passed_on_counts_less() -> None:
    """A report on a third person is kept, with less confidence to the end of its sentence."""
    found = extract_facts(
        told("Eve told me Cy works at Shell and Dee lives in Bath. I live in Rome.")
    )
    assert [(d.subject, d.confidence) for d in found] == [
        ("Cy", HEARSAY_CONFIDENCE),
        ("Dee", HEARSAY_CONFIDENCE),
        ("Ada", 0.9),
    ]


@pytest.mark.parametrize(
    "words",
    [
        "When I live in Rome, I will call you.",
        "If it rains and I live in Rome, we swim.",
        "I live in Rome if you must know.",
        "Unless I live in Rome, I work at Shell.",
        "Do I live in Rome?",
        "I wish I live in Rome.",
        "I dreamt I live in Rome.",
        "Imagine I live in Rome.",
        "I'd live in Rome.",
        "I'll live in Rome.",
        "I am going to live in Rome.",
    ],
)
def test_supposed_is_not_said(words: str) -> None:
    """Conditions, questions, wishes and plans state nothing."""
    assert read(words) == []


def test_a_main_clause_after_a_time_is_a_fact() -> None:
    """What follows "when I was 20," did happen."""
    assert read("When I was 20, I moved to Bath.") == ["Ada lives in Bath"]


@pytest.mark.parametrize(
    ("first", "second", "relation", "held"),
    [
        ("I like coffee.", "I do not like coffee anymore, I like tea now.", "likes", ["tea"]),
        ("I like coffee.", "I stopped liking coffee.", "likes", []),
        ("I like Thai food.", "I hate Thai food.", "likes", []),
        ("I like Thai food.", "I can't stand Thai food.", "likes", []),
        ("I like tea and jam.", "I no longer like tea.", "likes", []),
        (
            "I live in Leeds.",
            "I don't live in Leeds any more, I live in Porto.",
            "lives in",
            ["Porto"],
        ),
        (
            "I live in Leeds.",
            "I used to live in Leeds but now I live in Porto.",
            "lives in",
            ["Porto"],
        ),
        ("I live in Leeds.", "I'm no longer living in Leeds.", "lives in", []),
        ("I live in Leeds.", "I left Leeds.", "lives in", []),
        ("I live in Leeds.", "I just left Leeds for good.", "lives in", []),
        ("I work at Shell.", "I left Shell.", "works at", []),
        ("I am married to Cem.", "Cem and I got divorced.", "partner", []),
        ("I am dating Cem.", "I am single now.", "partner", []),
        ("I like tea.", "I don't think I like tea any longer.", "likes", []),
        ("I like jam.", "I like neither tea nor rye.", "likes", ["jam"]),
        ("I live in Rome.", "I live in Rome, not Leeds.", "lives in", ["Rome"]),
        ("I work at Shell.", "I do not work for Shell any longer.", "works at", []),
        ("I drive a Volvo.", "I don't drive a Volvo, I drive a Fiat.", "drives", ["a Fiat"]),
        ("I play the oboe.", "I used to play the oboe.", "plays", []),
    ],
)
def test_what_holds_no_longer(first: str, second: str, relation: str, held: list[str]) -> None:
    """A denial in any words ends what it names, and what stands beside it holds."""
    memory = Memory(":memory:", "Bo")
    for day, words in enumerate((first, second)):
        record = told(words)
        memory.remember(record.text, at=NOW + timedelta(days=day), who="Ada", kind="utterance")
    claims = Facts(memory)
    claims.learn(memory.records())
    assert [each.object for each in claims.find("Ada", relation)] == held


@pytest.mark.parametrize(
    ("words", "since"),
    [
        ("Yesterday I moved to Porto.", "2023-06-13"),
        ("I moved to Porto on Monday.", "2023-06-12"),
        ("I moved to Porto two weeks ago.", "2023-05-29"),
        ("I moved to Porto in May 2023, at last.", "2023-05-01"),
        ("In 2021 I moved to Porto.", "2021-01-01"),
        ("I live in Porto until June.", "None"),
    ],
)
def test_times_are_no_part_of_what_is_said(words: str, since: str) -> None:
    """A time in any place says since when, and is neither subject nor object."""
    (draft,) = extract_facts(told(words))
    assert (draft.subject, draft.object) == ("Ada", "Porto")
    assert str(draft.since)[:10] == since


def test_names_and_grounds_in_every_form() -> None:
    """Names meet in every Unicode form; a word of a script without blanks is found within a
    run of characters."""
    assert name_key("Zoe\u0308 Lind") == name_key("Zo\u00eb Lind’s")
    names = EntityNames(["小明", "Zo\u00eb Lind"])
    assert names.mentioned("昨天小明见了Zoe\u0308 Lind") == ["zo\u00eb lind", "小明"]
    record = Record(id=1, kind="thought", text="小明住在罗马。", created=NOW)
    assert is_grounded(
        ExtractedFact(subject="小明", relation="lives in", object="罗马", source=1), record
    )
    assert not is_grounded(
        ExtractedFact(subject="小明", relation="lives in", object="巴黎", source=1), record
    )
