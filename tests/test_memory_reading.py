"""Facts read out of sentences: by rule, by a model's words, and questions on plain text."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from denizens.benchmarks.memory.synthetic_facts import known_phrasings, unseen_phrasings
from denizens.core import Choice, Choose, Completion, Generate, MemoryFault, Record
from denizens.memory import Facts, Memory, TemporalQA
from denizens.memory.facts import ExtractedFact, extract_facts_with_model, question_subject
from denizens.memory.facts.extracted_facts import is_grounded
from denizens.memory.facts.rule_extraction import extract_facts
from denizens.tests.support.hashed_embedding import embed_letters

if TYPE_CHECKING:
    pass

NOW = datetime(2023, 6, 1, 9)


def line(text: str, *, who: str = "", number: int = 1, **parts: Any) -> Record:
    """A record of a text."""
    made = {"kind": "observation", "created": NOW, **parts}
    return Record(id=number, text=text, who=who, **made)


def read(text: str, who: str = "") -> list[tuple[str, str, str]]:
    """What the rules read: subject, relation, object; "-" before what holds no longer."""
    return [
        (d.subject, ("-" if d.denies else "") + d.relation, d.object)
        for d in extract_facts(line(text, who=who))
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Ada Pell lives in Porto.", [("Ada Pell", "lives in", "Porto")]),
        ("Ada moved to Porto because of the sea.", [("Ada", "lives in", "Porto")]),
        (
            "Ada is 34 years old and lives in Leeds.",
            [("Ada", "age", "34"), ("Ada", "lives in", "Leeds")],
        ),
        ("Ada no longer lives in Leeds.", [("Ada", "-lives in", "Leeds")]),
        ("Ada doesn't work at the Mill any more.", [("Ada", "-works at", "the Mill")]),
        ("Ada quit her job.", [("Ada", "-works at", "")]),
        ("Ada's phone number changed to 555 0143.", [("Ada", "phone number", "555 0143")]),
        ("Ada's favourite colour is now green.", [("Ada", "favourite colour", "green")]),
        ("Ada married Bo Lind.", [("Ada", "partner", "Bo Lind")]),
        ("Ada's dentist changed to Finch.", [("Ada", "dentist", "Finch")]),
        ("Bo is Ada's brother.", [("Bo", "brother of", "Ada")]),
        ("Ada would like to move to Rome.", []),
        ("Does Ada live in Rome?", []),
        ("Ada never lived in Rome.", []),
        ("If Ada lives in Rome, we visit.", []),
        ("He lives in Rome.", []),
    ],
)
def test_rules(text: str, found: list[tuple[str, str, str]]) -> None:
    """What is plainly stated is read; wishes, questions, conditions and pronouns are not."""
    assert read(text) == found


def test_who_speaks_is_meant_by_i() -> None:
    """In a quoted line "I" is the speaker and "you" the one spoken to; by itself, the source."""
    text = 'Ada said to Bo: "I moved to Porto, and you are 41 years old."'
    assert read(text) == [("Ada", "lives in", "Porto"), ("Bo", "age", "41")]
    assert read("I work as a tailor.", who="Cy") == [("Cy", "works as", "a tailor")]
    assert read("I work as a tailor.") == []


def test_when_it_began() -> None:
    """A year, a month or "yesterday" in the sentence is when the fact began."""
    moments = [
        extract_facts(line(f"Ada lives in Rome {when}."))[0].since
        for when in ("since May 2019", "since 2001", "since yesterday", "now")
    ]
    assert moments == [datetime(2019, 5, 1), datetime(2001, 1, 1), NOW - timedelta(days=1), None]


def test_learning_writes_once() -> None:
    """Reading records again adds nothing; a "changed to" ends the older value of any relation."""
    memory = Memory(":memory:", "Bo")
    for n, name in enumerate(["Finch", "Marsh"], 1):
        memory.add(
            [line(f"Ada's dentist changed to {name}.", number=n, created=NOW.replace(day=n))]
        )
    claims = Facts(memory)
    assert claims.learn(memory.records()) == 2
    assert claims.learn(memory.records()) == 0
    assert [claim.object for claim in claims.find("Ada", "dentist")] == ["Marsh"]
    assert claims.find("Ada")[0].sources == (2,)


def test_known_phrasings_are_read_and_unseen_ones_not() -> None:
    """The rules read nearly all phrasings they were written for, and hardly any of the
    paraphrases that are measured: those were not copied."""
    shares = []
    for data, key in ((known_phrasings(), "said"), (unseen_phrasings(), "said")):
        read_right = total = 0
        for relation, forms in data["relations"].items():
            value = known_phrasings()["relations"][relation]["values"][0]
            for shape in forms[key]:
                found = read(shape.format(who="Ada Pell", value=value))
                right = {("Ada Pell", relation, value), ("Ada Pell", relation, value[4:])}
                read_right += bool(right & set(found))
                total += 1
        assert total >= 40
        shares.append(read_right / total)
    assert shares[0] > 0.9
    assert shares[1] < 0.15


def test_no_phrasing_is_in_both() -> None:
    """No unseen paraphrase is among those that rules or thresholds were made with."""
    seen = {
        s
        for r in known_phrasings()["relations"].values()
        for key in ("said", "loose")
        for s in r[key]
    }
    held = {s for r in unseen_phrasings()["relations"].values() for s in r["said"]}
    assert not seen & held
    assert len(held) >= 40


def test_grounded() -> None:
    """An object or subject whose words are not in the record is no fact of it."""
    record = line("I moved to Porto.", who="Ada")

    def made(subject: str, object: str) -> ExtractedFact:
        return ExtractedFact(subject=subject, relation="lives in", object=object, source=1)

    assert is_grounded(made("Ada", "Porto"), record)
    assert not is_grounded(made("Ada", "Lisbon"), record)
    assert not is_grounded(made("Bo", "Porto"), record)
    assert not is_grounded(made("", "Porto"), record)


def test_a_models_facts_are_checked() -> None:
    """All records are asked about at once: first the relation is chosen, then the parts are
    picked among the line's own words; what is unsure, none, or not of the line is dropped."""
    memory = Memory(":memory:", "Bo")
    texts = ["Ada traded it all for Porto.", "Cy whistled.", "Dee came from Rome.", "it rained"]
    memory.add([line(text, number=n) for n, text in enumerate(texts, 1)])
    records = memory.records()
    thought = extract_facts_with_model(records)
    chosen = [ask for ask in next(thought) if isinstance(ask, Choose)]
    assert len(chosen) == 3
    names = [option.name for option in chosen[0].options]
    assert chosen[0].about == "someone traded it all for Porto."

    def picked(name: str, share: float) -> Choice:
        at = names.index(name)
        return Choice(index=at, probabilities=tuple(share * (n == at) for n in range(len(names))))

    batch = thought.send((picked("lives in", 0.9), picked("nothing", 0.9), picked("age", 0.2)))
    (ask,) = batch
    assert isinstance(ask, Generate)
    schema: Any = ask.schema
    assert schema["properties"]["subject"]["enum"] == ["Ada", "Porto"]
    assert "Porto" in schema["properties"]["object"]["enum"]
    with pytest.raises(StopIteration) as end:
        thought.send((Completion(text="", data={"subject": "Ada", "object": "Porto"}),))
    claims = Facts(memory)
    assert claims.learn(records, end.value.value) == 1
    assert [str(claim) for claim in claims.find()] == ["Ada lives in Porto"]
    assert claims.find()[0].confidence == 0.5


@pytest.mark.parametrize(
    "data", [None, {"subject": "Ada", "object": "Ada"}, {"subject": "Ada", "object": "Lisbon"}]
)
def test_what_a_model_makes_up_is_dropped(data: Any) -> None:
    """No data, an object that is the subject, or one that the line does not hold: no fact."""
    thought = extract_facts_with_model([line("Ada traded it all for Porto.")], ["lives in"])
    (asked,) = next(thought)
    assert isinstance(asked, Choose)
    assert [option.name for option in asked.options] == ["lives in", "nothing"]
    thought.send((Choice(index=0, probabilities=(1.0, 0.0)),))
    with pytest.raises(StopIteration) as end:
        thought.send((Completion(text="", data=data),))
    assert end.value.value == ()


def changing(*told: tuple[str, int, tuple[str, ...]]) -> TemporalQA:
    """A memory of lines: text, day, audience."""
    memory = Memory(":memory:", "Bo", embed=embed_letters)
    for n, (text, day, people) in enumerate(told, 1):
        memory.add([line(text, number=n, created=NOW + timedelta(days=day), audience=people)])
    return TemporalQA(memory)


def test_the_value_at_the_asked_time() -> None:
    """Of the lines that state the asked fact the latest before the asked time is the answer;
    other people's and other facts are not."""
    ask = changing(
        ("Ada lives in Leeds.", 0, ()),
        ("Cy lives in Rome.", 1, ()),
        ("Ada moved to Porto.", 5, ()),
        ("Ada's phone number is 555 0143.", 6, ()),
    ).ask
    now = ask("Where does Ada live?")
    then = ask("Where did Ada live on 3 June 2023?")
    assert now is not None
    assert then is not None
    assert (now.value, then.value) == ("Porto", "Leeds")
    assert [record.id for record in now.others] == [1]
    assert ask("Where does Zoe live?") is None
    assert ask("Where did Ada live in May 2023?") is None


def test_nothing_like_it_is_no_answer() -> None:
    """Where no line of the person is like the question, none is given."""
    ask = changing(("Ada lives in Leeds.", 0, ())).ask
    assert ask("Who mended Ada's violin yesterday evening?") is None


def test_private_lines_answer_only_theirs() -> None:
    """A later private line is no answer for another person."""
    ask = changing(("Ada lives in Leeds.", 0, ()), ("Ada moved to Porto.", 5, ("Cy",))).ask
    for person, town in (("Dee", "Leeds"), ("Cy", "Porto"), ("", "Porto")):
        told = ask("Where does Ada live?", person=person)
        assert told is not None
        assert told.value == town
        assert person != "Dee" or told.others == ()


def test_an_embedder_is_needed() -> None:
    """Without an embedder the question is refused with what to do."""
    with pytest.raises(MemoryFault, match="embed="):
        TemporalQA(Memory(":memory:", "Bo"))


def test_who_is_asked_about() -> None:
    """The name in a question, without the words that ask."""
    asked = ["Where does Ada Pell live?", "Who is Bo's partner?", "Is it raining?"]
    assert [question_subject(question) for question in asked] == ["Ada Pell", "Bo", ""]


def test_thoughts_carry_only_asks() -> None:
    """A reading of nothing asks nothing."""
    thought = extract_facts_with_model([])
    with pytest.raises(StopIteration) as end:
        next(thought)
    assert end.value.value == ()
