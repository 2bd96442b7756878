"""The commands interview, chat (with its own commands, which begin with a slash) and whisper."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core import ApprovalRequest, DenizensError, Input, Record, SettingError
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

if TYPE_CHECKING:
    from ..agents import Agent, ReplyStream, Session, SessionLine


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


SHOWN_RECORDS = 10
"""Records that /memory lists at most."""


class TerminalChat:
    """A chat of a person with an agent, line by line. ``answered`` and ``failed`` count the
    messages that got a reply and that did not."""

    def __init__(self, agent: Agent, session: Session) -> None:
        self.agent, self.session = agent, session
        self.answered = self.failed = 0
        self._commands: dict[str, tuple[Callable[[str], None], str]] = {
            "/why": (self._why, "what the last reply rests on"),
            "/memory": (self._memory, "[WORDS]: what is remembered of you, with numbers"),
            "/plan": (self._plan, "what the agent does and plans"),
            "/tools": (self._tools, "the tools that it has"),
            "/regenerate": (self._regenerate, "another reply to your last message"),
            "/forget": (self._forget, "NUMBER: forget a record of /memory for good"),
            "/help": (self._help, "these commands"),
            "/quit": (self._help, "end the chat"),
        }

    def run(self, lines: Iterator[str]) -> None:
        """Answer the lines until one is /quit."""
        for text in lines:
            word, _, rest = text.partition(" ")
            if word == "/quit":
                return
            try:
                if word in self._commands:
                    self._commands[word][0](rest.strip())
                elif text.startswith("/"):
                    print_error(f"no command {word}; /help lists them")
                else:
                    self._print(self.session.stream(text, approve=ask_approval))
            except DenizensError as error:
                print_error(str(error))

    def _print(self, stream: ReplyStream) -> None:
        """Print a reply as it comes; Ctrl-C cancels it."""
        from ..agents import ReplyEnd, TextPiece

        pieces: list[str] = []
        try:
            for event in stream:
                if isinstance(event, TextPiece):
                    pieces.append(event.text)
                    typer.echo(event.text, nl=False)
                elif isinstance(event, ReplyEnd):
                    break
        except KeyboardInterrupt:
            stream.cancel()
        reply = stream.result()
        if reply.failure:
            if pieces:
                typer.echo()
            print_error(f"no answer: {reply.failure.detail}")
            self.failed += 1
            return
        self.answered += 1
        # The final answer is printed too if it differs from the streamed pieces.
        whole = "".join(pieces).strip() == reply.text.strip()
        typer.echo("" if pieces and whole else "\n" * bool(pieces) + reply.text)
        if reply.sources:
            console().print(f"({'; '.join(reply.sources)})", highlight=False)

    # -- commands ----------------------------------------------------------------------------

    def _help(self, rest: str) -> None:
        for name, (_, told) in self._commands.items():
            typer.echo(f"{name:12} {told}")

    def _why(self, rest: str) -> None:
        said = [line for line in self.session.lines if line.who == self.agent.id]
        if not said:
            typer.echo("nothing was answered yet")
            return
        _print_basis(said[-1], self._visible_records())

    def _memory(self, rest: str) -> None:
        words = rest.casefold().split()
        records = [
            record
            for record in self._visible_records().values()
            if all(word in record.text.casefold() for word in words)
        ]
        for record in records[-SHOWN_RECORDS:]:
            typer.echo(f"{record.id:5} {record.created:%Y-%m-%d %H:%M} {record.text}")
        more = len(records) - SHOWN_RECORDS
        typer.echo(f"({more} earlier ones)" if more > 0 else "" if records else "nothing")

    def _visible_records(self) -> dict[int, Record]:
        """The records that the person may see and that are recalled, by number."""
        withdrawn = self.agent.corrections.withdrawn
        records = self.agent.memory.records(person=self.session.person)
        return {record.id: record for record in records if record.id not in withdrawn}

    def _plan(self, rest: str) -> None:
        state = self.agent.state
        entries = [f"{entry.start:%H:%M} {entry.doing}" for entry in state.schedule]
        doing = [f"now: {state.doing.doing}"] if state.doing else []
        told = [state.currently or self.agent.persona.currently, *doing, *state.plan, *entries]
        typer.echo("\n".join(filter(None, told)) or "no plan")

    def _tools(self, rest: str) -> None:
        for spec in self.agent.tools.specs():
            typer.echo(f"{spec.name}: {spec.description.partition(chr(10))[0]}")
        if not self.agent.tools.specs():
            typer.echo("no tools")

    def _regenerate(self, rest: str) -> None:
        self._print(self.session.stream_regenerate(approve=ask_approval))

    def _forget(self, rest: str) -> None:
        if not rest.isdecimal() or int(rest) not in self._visible_records():
            print_error("which record? /memory lists them with their numbers: /forget NUMBER")
            return
        report = self.agent.corrections.forget(int(rest), by=self.session.person)
        typer.echo(f"forgotten: {len(report.records)} record(s)")


def _print_basis(line: SessionLine, records: dict[int, Record]) -> None:
    typer.echo(line.why or "no explanation")
    for number, score in line.recalled:
        text = records[number].text if number in records else "(not for you, or forgotten)"
        typer.echo(f"{number:5} {score:.2f} {text}")
    for place in line.places:
        typer.echo(f"      from {place}")


def typed_lines() -> Iterator[str]:
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
