"""The commands interview, chat and whisper."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ..core import ApprovalRequest, Input, SettingError, Utterance
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
) -> None:
    """Chat with an agent of a scenario; an empty line or Ctrl-D ends it. Exit code 3 if no message
    got an answer."""
    from ..interop import load_scenario
    from ..simulation import agent_from_scenario
    from ..store import Store

    settings = load_scenario(scenario).with_overrides(model=model, voice=voice)
    with Store(memory if memory is not None else ":memory:") as store:
        mind = agent_from_scenario(settings, agent, store)
        console().print(f"{mind.id} listens. (An empty line ends the talk.)")
        session: list[Utterance] = []
        failed = answered = 0
        for text in _typed_lines():
            pieces: list[str] = []
            reply = mind.chat(
                text,
                person,
                session=session,
                on_text=partial(_print_piece, pieces),
                approve=ask_approval,
            )
            if reply.failure:
                if pieces:
                    typer.echo()
                print_error(f"no answer: {reply.failure.detail}")
                failed += 1
                continue
            answered += 1
            # The final answer is printed too if it differs from the streamed pieces.
            whole = "".join(pieces).strip() == reply.text.strip()
            typer.echo("" if pieces and whole else "\n" * bool(pieces) + reply.text)
            if reply.sources:
                console().print(f"({'; '.join(reply.sources)})", highlight=False)
            now = reply.step.records[-1].created if reply.step.records else None
            if now is not None:
                session += [Utterance(person, text, now), Utterance(mind.id, reply.text, now)]
    if failed and not answered:
        raise typer.Exit(EXIT_ASKS_FAILED)


def _typed_lines() -> Iterator[str]:
    """The lines typed until an empty one or the end of input."""
    while True:
        if sys.stdin.isatty():
            typer.echo("> ", nl=False)
        text = sys.stdin.readline().strip()
        if not text:
            return
        yield text


def ask_approval(request: ApprovalRequest) -> bool:
    """Ask the user to approve a tool call."""
    typer.echo(f"\n{request}\nAllow it? [y/N] ", nl=False)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _print_piece(pieces: list[str], piece: str) -> None:
    if piece:
        pieces.append(piece)
        typer.echo(piece, nl=False)


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
