"""The commands interview, chat and whisper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..core import Input, SettingError
from .application import (
    EXIT_ASKS_FAILED,
    CodeOption,
    FolderArgument,
    JsonOption,
    ModelOption,
    VoiceOption,
    app,
    console,
    print_error,
    print_json,
    print_line,
    shell_quote,
)


@app.command()
def interview(
    folder: FolderArgument,
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="Who is asked.")],
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="What is asked.")],
    at: Annotated[
        int | None, typer.Option("--at", min=0, help="The agent as of this many steps.")
    ] = None,
    model: ModelOption = None,
    voice: VoiceOption = None,
    person: Annotated[
        str, typer.Option("--person", help="Who asks; records for others are not used.")
    ] = "an interviewer",
    allow_code: CodeOption = False,
    json: JsonOption = False,
) -> None:
    """Ask an agent of a run a question; the run is not changed."""
    from ..simulation import interview as ask

    reply = ask(
        folder,
        agent,
        question,
        at=at,
        model=model,
        voice=voice,
        person=person,
        allow_code=allow_code,
    )
    if json:
        used = list(reply.step.used)
        figures = {"agent": agent, "question": question, "answer": reply.text, "used": used}
        failure = {"failure": reply.failure.detail} if reply.failure else {}
        print_json({**figures, **failure})
    elif reply.failure is None:
        print_line(f"{agent}: {reply.text}")
    if reply.failure:
        print_error(f"no answer: {reply.failure.detail}")
        raise typer.Exit(1)


@app.command()
def chat(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help="Where the agent lives.")],
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="Whom to talk with.")],
    model: ModelOption = None,
    voice: VoiceOption = None,
    memory: Annotated[
        Path | None, typer.Option("--memory", help="File that keeps the agent's memory.")
    ] = None,
    person: Annotated[str, typer.Option("--person", help="Your name.")] = "a visitor",
    session: Annotated[
        str, typer.Option("--session", help="Which of your talks; --memory keeps them.")
    ] = "main",
) -> None:
    """Chat with an agent of a scenario, or with a card; an empty line, /quit or Ctrl-D ends it,
    /help lists the commands. Exit code 3 if no message got an answer."""
    from ..interop import load_scenario
    from ..interop.cards import card_of_person
    from ..simulation import agent_from_scenario
    from ..store import Store
    from .chat_session import TerminalChat, typed_lines

    settings = load_scenario(scenario).with_overrides(model=model, voice=voice)
    with Store(memory if memory is not None else ":memory:") as store:
        mind = agent_from_scenario(settings, agent, store)
        console().print(f"{mind.id} listens. (An empty line ends the talk, /help helps.)")
        talk = mind.session(person, session)
        earlier = talk.lines
        if earlier:
            console().print(f"({len(earlier)} earlier lines; the last: {earlier[-1].text})")
        elif greeting := card_of_person(settings, mind.id).greeting(person):
            typer.echo(talk.greet(greeting).text)
        chat = TerminalChat(mind, talk)
        chat.run(typed_lines())
    if chat.failed and not chat.answered:
        raise typer.Exit(EXIT_ASKS_FAILED)


@app.command()
def whisper(
    folder: FolderArgument,
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="The agent.")],
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help='The thought; "goal: ..." sets a goal.')
    ],
) -> None:
    """Give an agent a thought; it receives it at the run's next step."""
    from ..simulation import Journal, Run, match_name, open_store

    if not text.strip():
        raise SettingError("whisper: the thought is empty; say something")
    with Run(folder) as run:
        who = match_name(agent, list(run.people))
    with open_store(folder, write=True) as store:
        journal = Journal(store)
        # A step that has begun keeps its inputs: the recorded answers depend on them.
        step = journal.steps + journal.has_pending
        journal.add_input(step, Input(kind="whisper", to=who, text=text))
    print_line(
        f"{who} will think of it at step {step}; go on with: denizens resume {shell_quote(folder)}"
    )
