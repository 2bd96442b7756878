"""The benchmark of conversation: faults of lines, figures, and the blind comparison."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest
from denizens.benchmarks.dialogue import (
    BlindSituation,
    TownConversation,
    TownLine,
    conversation_text,
    planner_lines,
    read_lines,
    read_situations,
    read_verdicts,
    role_play_lines,
    talk_situations,
    town_figures,
    town_situations,
    write_ballots,
    write_lines,
    write_situations,
)
from denizens.core import Choose, DataError, Generate, Message, ModelAsk, Persona
from denizens.testing import ScriptedAnswer, ScriptedModel
from denizens.training import DialogueLine, PersonaDialogue

NORA = Persona(
    name="Nora Vale",
    background="Nora Vale is the baker of Larkspur.",
    facts=("Nora Vale quarrelled with Greta Holm about the price of honey.",),
)
INES = Persona(
    name="Ines Calder",
    background="Ines Calder is the librarian of Larkspur.",
    facts=("Ines Calder found a letter in the old oak chest.",),
)
PROMPT = (Message.of("user", "Good morning!"),)


def talk(*lines: str, seed: int = 1) -> TownConversation:
    """A conversation in which Nora and Ines take turns, Nora first."""
    people = (NORA, INES)
    return TownConversation(
        seed=seed,
        at=datetime(2026, 5, 2, 7, 40),
        place="Larkspur:bakery:cafe",
        members=(NORA.name, INES.name),
        people={persona.name: persona for persona in people},
        lines=tuple(
            TownLine(step=place, who=people[place % 2].name, text=text, prompt=PROMPT)
            for place, text in enumerate(lines)
        ),
    )


GOOD = (
    "Good morning, Ines! How is the library?",
    "It is quiet today. What is new at the bakery?",
    "I quarrelled with Greta Holm about the price of honey.",
    "Oh no, I am sorry to hear that.",
)


def test_good_lines_have_no_fault() -> None:
    """Names of the scenario, told facts and answers are no faults."""
    figures = town_figures([talk(*GOOD)])
    assert figures["faults"] == []
    assert figures["invented_names"] == figures["repeats"] == figures["swapped_speakers"] == 0
    assert figures["lines"] == 4


@pytest.mark.parametrize(
    ("figure", "line"),
    [
        ("invented_names", "I met Zebulon Quill at the bridge."),
        ("repeats", "It is quiet today. What is new at the bakery?"),
        ("swapped_speakers", "You found a letter in the old oak chest."),
        ("third_person_self", "Ines found something in the library."),
        ("partner_absent", "I like the bread of Nora very much."),
        ("breaks_off", "I was in the library and the"),
    ],
)
def test_each_fault_is_counted(figure: str, line: str) -> None:
    """A line with one fault raises that figure."""
    figures = town_figures([talk(*GOOD[:3], line)])
    assert figures[figure] == (1 if figure == "invented_names" else 0.25)
    assert any(fault.startswith(f"{figure}: Ines Calder: {line}") for fault in figures["faults"])


def test_a_name_counts_where_it_is_invented_only() -> None:
    """A line that takes up an invented name has not invented it."""
    lines = ("I met Zebulon at the bridge.", "Who is Zebulon?")
    assert town_figures([talk(*lines)])["invented_names"] == 1


def test_lines_of_earlier_conversations_count_within_a_seed_only() -> None:
    """The same line in the runs of two seeds is no repetition."""
    line = "The silver bell fell into the river a hundred years ago."
    assert town_figures([talk(line), talk(line)])["repeats"] == 0.5
    assert town_figures([talk(line), talk(line, seed=2)])["repeats"] == 0


def test_a_conversation_reads_as_it_was_said() -> None:
    """The text has seed, time, place and members, and every line in order."""
    text = conversation_text(talk(*GOOD[:2]))
    assert text.splitlines()[:3] == [
        "== seed 1, 07:40, cafe: Nora Vale, Ines Calder",
        f"Nora Vale: {GOOD[0]}",
        f"Ines Calder: {GOOD[1]}",
    ]


# -- the blind comparison -------------------------------------------------------------------


def situations() -> list[BlindSituation]:
    dialogue = PersonaDialogue(
        lines=tuple(DialogueLine(n % 2, f"This is what I say, number {n}.") for n in range(6)),
        facts=(("I like tea.",), ("I have a dog.",)),
    )
    drawn = town_situations([talk(*GOOD)], 3)
    return drawn + talk_situations([dialogue] * 4, 4, first_id=len(drawn) + 1)


def test_situations_end_where_the_other_has_spoken(tmp_path: Path) -> None:
    """The person who is to speak did not say the last line; files keep situations whole."""
    drawn = situations()
    assert [one.id for one in drawn] == [*range(1, 8)]
    assert {one.source for one in drawn} == {"town", "talk"}
    for one in drawn:
        assert not one.lines or one.lines[-1][0] == one.partner
    write_situations(drawn, tmp_path / "situations.jsonl")
    assert read_situations(tmp_path / "situations.jsonl") == drawn


def test_open_names_are_no_situations() -> None:
    """A dialogue whose lines leave a name open is left out."""
    for opening in ("Hi, I'm (User 1's name).", "Hi! I'm [name].", "Hi! I'm user1."):
        lines = tuple(DialogueLine(n % 2, opening if n == 0 else "And you?") for n in range(5))
        assert talk_situations([PersonaDialogue(lines=lines)], 1) == []


def test_ballots_do_not_say_whose_a_line_is(tmp_path: Path) -> None:
    """Judges see lines in both orders and no hint; the key tells them apart; equal lines are left
    out."""
    drawn = situations()
    before = {one.id: f"An old line {one.id}." for one in drawn}
    after = {one.id: f"A new line {one.id}." for one in drawn}
    after[2] = before[2]
    ballots, key = tmp_path / "ballots.md", tmp_path / "key.json"
    write_ballots(drawn, before, after, ballots, key)
    text, keys = ballots.read_text(encoding="utf-8"), json.loads(key.read_text(encoding="utf-8"))
    assert "before" not in text.partition("## ")[2]
    assert "after" not in text.partition("## ")[2]
    assert "## 2\n" not in text
    assert set(keys) == {str(one.id) for one in drawn} - {"2"}
    assert {order["A"] for order in keys.values()} == {"before", "after"}
    for number, order in keys.items():
        first = {"before": before, "after": after}[order["A"]][int(number)]
        assert f"- A: {first}" in text


def test_verdicts_are_counted_by_majority(tmp_path: Path) -> None:
    """Three judges: a situation goes to the majority, and a tie counts half."""
    key = tmp_path / "key.json"
    sides = {"A": "after", "B": "before"}
    key.write_text(json.dumps({"1": sides, "2": sides, "3": sides}), encoding="utf-8")
    judges = []
    for number, answers in enumerate(("AAB", "ABt", "BAt")):
        judges.append(tmp_path / f"judge{number}.jsonl")
        rows = [
            {"id": place, "answer": "tie" if answer == "t" else answer}
            for place, answer in enumerate(answers, 1)
        ]
        judges[-1].write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    figures = read_verdicts(judges, key)
    assert (figures["preferred_after"], figures["preferred_before"], figures["ties"]) == (2, 1, 0)
    assert figures["share"] == pytest.approx(0.667)
    low, high = figures["interval"]
    assert 0 < low < 0.667 < high < 1


def test_an_answer_that_is_none_is_refused(tmp_path: Path) -> None:
    """The error names the file and the line."""
    key, judge = tmp_path / "key.json", tmp_path / "judge.jsonl"
    key.write_text('{"1": {"A": "after", "B": "before"}}', encoding="utf-8")
    for text in ('{"id": 1, "answer": "C"}', '{"id": 9, "answer": "A"}', "A"):
        judge.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=r"judge.jsonl, line 1"):
            read_verdicts([judge], key)


def test_speakers_answer_every_situation(tmp_path: Path) -> None:
    """The planner and the role-play prompt give a line for each situation, also for two
    situations of the same person."""
    drawn = situations()

    def script(ask: ModelAsk) -> ScriptedAnswer:
        if isinstance(ask, Choose):
            return ask.options[0].name
        return "I like the river a lot." if isinstance(ask, Generate) else 3

    model = ScriptedModel(script)
    for lines in (planner_lines(model, drawn), role_play_lines(model, drawn)):
        assert set(lines) == {one.id for one in drawn}
        write_lines(lines, tmp_path / "lines.json")
        assert read_lines(tmp_path / "lines.json") == lines
