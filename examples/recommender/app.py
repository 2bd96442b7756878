"""A personal recommender: it learns from talk what each person likes, changes its mind when they
do, and says by which words of theirs, and since when.

    python examples/recommender/app.py           # "I love jazz.", "What is on tonight?"
    python examples/recommender/app.py --demo    # two weeks of talk, with a change of taste
"""

import argparse
import csv
import re
from datetime import datetime, timedelta
from pathlib import Path

from denizens import Agent, Memory, Persona, ToolContext, load_model, tool
from denizens.core import Model
from denizens.core.text import terms
from denizens.memory import Fact, Facts, Statement
from denizens.planners import Dialogue
from denizens.tools import AnyTool

with (Path(__file__).parent / "catalogue.csv").open(encoding="utf-8") as file:
    CATALOGUE = list(csv.DictReader(file))
DEMO = (
    (0, "I love jazz."),
    (1, "I hate horror."),
    (2, "What should I do tonight?"),
    (9, "I have gone off jazz. I am really into blues now."),
    (10, "Can you recommend something for tonight?"),
    (11, "Since when do I like blues?"),
    (12, "What do I like, and what not any more?"),
)


def likes(facts: Facts, person: str, now: datetime) -> list[Fact]:
    """What a person likes now, the latest liking first. That a later word ends an earlier one is
    the facts' own doing: they have times of validity."""
    found = facts.find(person, "likes", as_of=now, person=person)
    return sorted(found, key=lambda fact: fact.since, reverse=True)


def dislikes(facts: Facts, person: str, now: datetime) -> list[Statement]:
    """What a person said not to like, or to like no longer, and has not come to like since."""
    liked = {fact.object.casefold() for fact in likes(facts, person, now)}
    return [
        said
        for said in facts.statements(person)
        if said.denies and said.relation == "likes" and said.object.casefold() not in liked
    ]


def matches(taste: str, item: dict[str, str]) -> bool:
    """Whether an item is of a taste: it has all the words of it, by their stems."""
    return set(terms(taste)) <= set(terms(f"{item['title']} {item['kind']} {item['topics']}"))


def taste_tools(memory: Memory) -> list[AnyTool]:
    """The tools by which the agent recommends and explains, from the facts of its memory."""
    facts = Facts(memory)

    def because(fact: Fact | Statement, person: str) -> str:
        """Since when, and in which words: the evidence that the person may see."""
        said = "".join(memory.record(number).text for number in fact.sources[:1])
        quotes = re.findall(rf'([^".!?]*\b{re.escape(fact.object)}\b[^".!?]*)', said)
        since = f"{fact.since.day} {fact.since:%B}"
        return f'{since} ("{quotes[0].strip()}")' if quotes else since

    @tool(effect="reads")
    def recommend(context: ToolContext) -> str:
        """Recommend something to do tonight: what is on, a concert, film, walk, class or play."""
        person, now = context.person, context.now
        unwanted = [said.object for said in dislikes(facts, person, now)]
        offered = [i for i in CATALOGUE if not any(matches(taste, i) for taste in unwanted)]
        for liked in likes(facts, person, now):
            for item in offered:
                if matches(liked.object, item):
                    reason = f"you have liked {liked.object} since {because(liked, person)}"
                    return f"{item['title']} ({item['kind']}), because {reason}."
        return f"{offered[0]['title']} ({offered[0]['kind']}), but tell me what you like."

    @tool(effect="reads")
    def tastes(context: ToolContext) -> str:
        """Tell what I like and dislike, which taste of mine has changed, and since when."""
        person, now = context.person, context.now
        parts = [
            f"you have liked {fact.object} since {because(fact, person)}"
            for fact in likes(facts, person, now)
        ]
        parts += [
            f"you have not liked {said.object} since {because(said, person)}"
            for said in dislikes(facts, person, now)
        ]
        text = "; ".join(parts) or "you have not told me yet what you like"
        return f"{text[0].upper()}{text[1:]}."

    return [recommend, tastes]


def make_guide(model: Model, path: Path | str) -> Agent:
    """The agent, with its memory in one file."""
    memory = Memory(path, "Iris Bell")
    return Agent(
        Persona(name="Iris Bell", background="Iris Bell knows what is on in town tonight."),
        model=model,
        memory=memory,
        tools=taste_tools(memory),
        # It makes nothing up, tells what its tools say word for word, and calls one only if that
        # is clearly meant: "I love jazz." asks for nothing.
        dialogue=Dialogue(known_only=True, margin=0.8),
    )


def talk(guide: Agent, text: str, person: str, at: datetime | None = None) -> str:
    """The answer to a person, whose likings are learned on the way. What is told is learned
    before what is asked is answered: people say "I have gone off jazz. What is on?" at once."""
    sentences = re.findall(r"[^.!?]+[.!?]*", text)
    told = " ".join(s.strip() for s in sentences if not s.strip().endswith("?"))
    asked = " ".join(s.strip() for s in sentences if s.strip().endswith("?"))
    replies = []
    for part in filter(None, (told, asked)):
        known = len(guide.memory)
        replies.append(guide.session(person).say(part, at=at).text)
        new = guide.memory.records()[known:]
        # From the person's own words only: what the guide says of a person proves nothing.
        Facts(guide.memory).learn([record for record in new if record.who == person])
    return " ".join(replies)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What is on tonight, for you.")
    parser.add_argument("--person", default="Ada", help="who is talking")
    parser.add_argument("--demo", action="store_true", help="two weeks of talk, in one go")
    options = parser.parse_args()
    if options.demo:
        iris = make_guide(load_model("smollm2"), ":memory:")
        for day, line in DEMO:
            at = datetime(2026, 5, 4, 18) + timedelta(days=day)
            print(f"{at:%d %B}  {options.person}: {line}")
            print(f"         Iris: {talk(iris, line, options.person, at)}")
    else:
        iris = make_guide(load_model("smollm2"), "iris.db")
        for line in iter(lambda: input("> ").strip(), ""):
            print(talk(iris, line, options.person))
