"""interview, chat."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ..core import Line, Request
from .app import (
    FAILED,
    CodeOption,
    JsonOption,
    ModelOption,
    app,
    complain,
    console,
    print_json,
    say,
)
from .running import FolderArgument


@app.command()
def interview(
    folder: FolderArgument,
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="Who is asked.")],
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="What is asked.")],
    at: Annotated[
        int | None, typer.Option("--at", min=0, help="As of after this many steps.")
    ] = None,
    model: ModelOption = None,
    person: Annotated[
        str, typer.Option("--person", help="Who asks: what is for others is not told.")
    ] = "an interviewer",
    allow_code: CodeOption = False,
    json: JsonOption = False,
) -> None:
    """Ask somebody of a run a question; no trace of it is left in the run."""
    from ..simulation import interview as ask

    reply = ask(folder, agent, question, at=at, model=model, person=person, allow_code=allow_code)
    if json:
        used = list(reply.step.used)
        told = {"agent": agent, "question": question, "answer": reply.text, "used": used}
        failure = {"failure": reply.failure.detail} if reply.failure else {}
        print_json({**told, **failure})
    elif reply.failure is None:
        say(f"{agent}: {reply.text}")
    if reply.failure:
        complain(f"no answer: {reply.failure.detail}")
        raise typer.Exit(1)


@app.command()
def chat(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help="Where the agent lives.")],
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="Whom to talk with.")],
    model: ModelOption = None,
    memory: Annotated[
        Path | None, typer.Option("--memory", help="File that keeps the agent's memory.")
    ] = None,
    person: Annotated[str, typer.Option("--person", help="Your name.")] = "a visitor",
) -> None:
    """Talk with somebody of a scenario. An empty line or Ctrl-D ends the talk. Exit code 3 where
    no message got an answer."""
    from ..simulation import load_scenario, wake
    from ..store import Store

    wanted = load_scenario(scenario).settle(model=model)
    with Store(memory if memory is not None else ":memory:") as store:
        mind = wake(wanted, agent, store)
        console().print(f"{mind.id} listens. (An empty line ends the talk.)")
        session: list[Line] = []
        failed = answered = 0
        for text in _lines():
            pieces: list[str] = []
            reply = mind.chat(
                text, person, session=session, on_text=partial(_show, pieces), approve=ask_for_leave
            )
            if reply.failure:
                if pieces:
                    typer.echo()
                complain(f"no answer: {reply.failure.detail}")
                failed += 1
                continue
            answered += 1
            # An answer that is another than its pieces is told as well.
            whole = "".join(pieces).strip() == reply.text.strip()
            typer.echo("" if pieces and whole else "\n" * bool(pieces) + reply.text)
            if reply.sources:
                console().print(f"({'; '.join(reply.sources)})", highlight=False)
            now = reply.step.records[-1].created if reply.step.records else None
            if now is not None:
                session += [Line(person, text, now), Line(mind.id, reply.text, now)]
    if failed and not answered:
        raise typer.Exit(FAILED)


def _lines() -> Iterator[str]:
    """What is typed, line by line, until an empty line or the end."""
    while True:
        if sys.stdin.isatty():
            typer.echo("> ", nl=False)
        text = sys.stdin.readline().strip()
        if not text:
            return
        yield text


def ask_for_leave(request: Request) -> bool:
    """Ask whoever types for their leave to a call."""
    typer.echo(f"\n{request}\nAllow it? [y/N] ", nl=False)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _show(pieces: list[str], piece: str) -> None:
    if piece:
        pieces.append(piece)
        typer.echo(piece, nl=False)
