"""A chat on the terminal: the reply is streamed, Ctrl-C cuts it, and the session is kept."""

from denizens import Agent, Memory, Persona, load_model
from denizens.agents import TextPiece

bo = Agent(
    Persona(name="Bo Lind", background="Bo Lind is the baker of a small town."),
    model=load_model("smollm2"),
    memory=Memory("bo.db", "Bo Lind"),
)


def answer(text: str, person: str = "Ada") -> None:
    """Print the reply to a line, piece by piece."""
    stream = bo.stream(text, person)
    try:
        for event in stream:
            if isinstance(event, TextPiece):
                print(event.text, end="", flush=True)
    except KeyboardInterrupt:
        stream.cancel()  # What was shown is what Bo remembers.
    print()


if __name__ == "__main__":
    for line in iter(lambda: input("> "), ""):
        answer(line)
