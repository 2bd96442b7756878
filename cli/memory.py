"""memory verify, repair, export, import, forget: looking after a memory file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core import MemoryFault
from .app import EXIT_USER_ERROR, JsonOption, ViewerOption, app, print_json, print_line

if TYPE_CHECKING:
    from ..memory import Memory
    from ..store import Store

memory = typer.Typer(help="Look after a memory file.", no_args_is_help=True)
app.add_typer(memory, name="memory")

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A memory file or run.db.")]
AgentOption = Annotated[
    str | None, typer.Option("--agent", help="Whose memory; not needed where there is one.")
]


@memory.command()
def verify(file: FileArgument, json: JsonOption = False) -> None:
    """Check every record's checksum and the chains; name what is damaged."""
    from ..memory import agents_in, prepare_store
    from ..store import Store

    with Store(file, write=False) as store:
        prepare_store(store)
        found = [str(damage) for damage in store.verify()]
        names = list(agents_in(store)) if not found else []
    if json:
        print_json({"whole": not found, "agents": names, "damage": found})
    else:
        for line in found:
            print_line(line)
        said = "damaged; mend it with: denizens memory repair" if found else "whole"
        print_line(f"{file}: {said}")
    if found:
        raise typer.Exit(EXIT_USER_ERROR)


@memory.command()
def repair(file: FileArgument, json: JsonOption = False) -> None:
    """Set damaged records aside and keep the rest; the original stays as FILE.damaged."""
    from ..memory.repairing import repair_file as mend

    done = mend(file)
    if json:
        places = {"original": done.original, "aside": done.aside}
        print_json(
            {"kept": done.kept, "lost": list(done.lost)}
            | {name: str(place) if place else None for name, place in places.items()}
        )
        return
    if done.original is None:
        print_line(f"{file}: is whole ({done.kept} records); nothing to repair")
        return
    for line in done.lost:
        print_line(line)
    print_line(f"{file}: {done.kept} records kept; the original is {done.original}")
    print_line(f"what was set aside: {done.aside}")


@memory.command("export")
def export(
    file: FileArgument,
    to: Annotated[Path, typer.Argument(metavar="LINES", help="The JSON Lines file to write.")],
    agent: AgentOption = None,
    person: ViewerOption = None,
) -> None:
    """Write a memory as JSON Lines: all of it, or what one person may see."""
    from ..memory import export_lines

    with open_memory(file, agent, write=False) as held:
        count = export_lines(held, to, person=person or "")
    print_line(f"{to}: {count} lines")


@memory.command("import")
def import_command(
    file: FileArgument,
    source: Annotated[Path, typer.Argument(metavar="LINES", help="What export wrote.")],
    agent: Annotated[str, typer.Option("--agent", help="Whose memory it becomes.")],
) -> None:
    """Read JSON Lines into an agent's empty memory, in a new file or an old one."""
    from ..memory import Memory, import_lines
    from ..memory.exchange import read_lines

    # Before the file is made: lines that are none leave no empty file behind.
    read_lines(source)
    with Memory(file, agent) as made:
        count = import_lines(made, source)
    print_line(f"{file}: {count} lines")


@memory.command()
def forget(
    file: FileArgument,
    person: Annotated[str, typer.Option("--person", help="Who is to be erased.")],
    agent: AgentOption = None,
    mentions: Annotated[
        bool, typer.Option("--mentions", help="Erase whatever names them as well.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Erase what a person said, asked for and what is for them only; then search the file."""
    from ..memory.forgetting import erase_person as erase

    done = erase(file, person, now=datetime.now(), agent=agent or "", mentions=mentions)
    total = sum(done.records.values())
    if json:
        more = {"beside": done.beside, "named": done.named, "unclear": done.unclear}
        print_json(
            {"records": done.records, "searched": done.searched, "found": done.found}
            | {"shared": done.shared}
            | {name: count for name, count in more.items() if count}
            | ({"left": list(done.left)} if done.left else {})
        )
    else:
        beside = "".join(f", {count} of {part}" for part, count in sorted(done.beside.items()))
        print_line(f"{file}: {total} records erased{beside}")
        print_line(f"searched the file for their {done.searched} texts: {done.found} found")
        if done.shared:
            print_line(f"{done.shared} of them are also said by what was kept")
        if done.named and not mentions:
            print_line(f"{done.named} kept texts name them; --mentions erases these too")
        if done.unclear:
            given = person.split()[0]
            print_line(
                f"{done.unclear} kept texts may mean them ('{given}' alone, who may be another, or "
                "the name in another form): look at them"
            )
        for line in done.left:
            print_line(line)
    if done.found:
        raise typer.Exit(EXIT_USER_ERROR)


@contextmanager
def open_memory(file: Path, agent: str | None, *, write: bool) -> Iterator[Memory]:
    """Somebody's memory. Raises MemoryFault for writing into a run, whose replay would
    differ from then on."""
    from ..memory import Memory, prepare_store
    from ..store import Store

    if write and not file.is_file():
        raise MemoryFault(f"{file}: there is no such memory file; check the path")
    with Store(file, write=write) as store:
        prepare_store(store)
        if write and store.get("start") is not None:
            raise MemoryFault(
                f"{file}: is a run, and replays as it was lived; give documents and a memory "
                "budget in its scenario, or export the memory into a file of its own"
            )
        yield Memory(store, _agent_of(store, agent))


def _agent_of(store: Store, agent: str | None) -> str:
    """Whose memory is meant. Raises MemoryFault unless exactly one is."""
    from ..memory import agents_in

    known = agents_in(store)
    if agent is None and len(known) == 1:
        return known[0]
    if agent not in known:
        asked = f"no memory of '{agent}'" if agent else "name whose memory with --agent"
        raise MemoryFault(f"{store.name}: {asked}; known: {', '.join(known) or 'nobody'}")
    return agent
