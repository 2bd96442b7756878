"""An agent in a chatbot: a persona, a memory in one file, a tool, on a local model."""

from denizens import Agent, Memory, Persona, load_model, tool


@tool
def opening_hours(day: str) -> str:
    """When the bakery is open on a day of the week.

    Args:
        day: Name of the day, such as "Monday".
    """
    return "closed" if day.lower() == "sunday" else "6:30 to 14:00"


bo = Agent(
    Persona(
        name="Bo Lind",
        traits="warm, quick, curious",
        background="Bo Lind is the baker of a small town. Bo's rye bread is famous.",
        facts=("Bo Lind's oven broke last winter.", "Bo Lind hopes to win the bread fair."),
    ),
    model=load_model("smollm2"),
    memory=Memory("bo.db", "Bo Lind"),
    tools=[opening_hours],
)

if __name__ == "__main__":
    for line in iter(lambda: input("> "), ""):
        print(bo.chat(line, person="Ada").text)
