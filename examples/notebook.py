"""A simulation in a notebook's few lines: two people at a crossroads, watched and whispered to."""

from datetime import datetime

from denizens import begin, load_model, load_scenario
from denizens.core import Input
from denizens.simulation import Tick


def watch(tick: Tick) -> None:
    """Print what is said."""
    for event in tick.events:
        if event.kind == "said":
            print(f"{tick.at:%H:%M}  {event.text}")


if __name__ == "__main__":
    town = begin(load_scenario("crossroads"), "runs/notebook", model=load_model("smollm2"))
    town.observers.append(watch)
    first = next(iter(town.agents))
    town.add(Input(kind="whisper", to=first, text=f"{first} heard that a storm is coming."))
    for tick in town.run(until=datetime(2026, 5, 2, 9, 0)):
        for name, step in tick.steps.items():
            if step.action.verb == "act":
                print(f"{tick.at:%H:%M}  {name}: {step.action.fields['doing']}")
    print("hash", town.hash)
