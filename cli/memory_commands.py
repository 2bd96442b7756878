"""The commands of ``denizens memory``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core import MemoryFault, SettingError, to_json
from .application import EXIT_USER_ERROR, JsonOption, ViewerOption, app, print_json, print_line

if TYPE_CHECKING:
    from ..memory import EmbedFunction, Memory
    from ..store import Store

memory = typer.Typer(help="Inspect and maintain memory files.", no_args_is_help=True)
app.add_typer(memory, name="memory")

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A memory file or run.db.")]
AgentOption = Annotated[
    str | None, typer.Option("--agent", help="Whose memory; optional if there is only one.")
]


@memory.command()
def verify(file: FileArgument, json: JsonOption = False) -> None:
    """Check the checksums of all records and the hash chains; name what is damaged."""
    from ..memory import agents_in, prepare_store
    from ..store import Store

    with Store(file, write=False) as store:
        prepare_store(store)
        results = [str(damage) for damage in store.verify()]
        names = list(agents_in(store)) if not results else []
    if json:
        print_json({"whole": not results, "agents": names, "damage": results})
    else:
        for line in results:
            print_line(line)
        message = "damaged; repair it with: denizens memory repair" if results else "whole"
        print_line(f"{file}: {message}")
    if results:
        raise typer.Exit(EXIT_USER_ERROR)


@memory.command()
def repair(file: FileArgument, json: JsonOption = False) -> None:
    """Move damaged records aside and keep the others; the original stays as FILE.damaged."""
    from ..memory.storage import repair_file as mend

    report = mend(file)
    if json:
        paths = {"original": report.original, "aside": report.aside}
        print_json(
            {"kept": report.kept, "lost": list(report.lost)}
            | {name: str(place) if place else None for name, place in paths.items()}
        )
        return
    if report.original is None:
        print_line(f"{file}: is whole ({report.kept} records); nothing to repair")
        return
    for line in report.lost:
        print_line(line)
    print_line(f"{file}: {report.kept} records kept; the original is {report.original}")
    print_line(f"what was set aside: {report.aside}")


@memory.command("export")
def export(
    file: FileArgument,
    to: Annotated[Path, typer.Argument(metavar="LINES", help="The JSON Lines file to write.")],
    agent: AgentOption = None,
    person: ViewerOption = None,
) -> None:
    """Write a memory as JSON Lines: all of it, or what one person may see."""
    from ..memory import export_lines

    with open_memory(file, agent, write=False) as agent_memory:
        count = export_lines(agent_memory, to, person=person or "")
    print_line(f"{to}: {count} lines")


@memory.command("import")
def import_command(
    file: FileArgument,
    source: Annotated[Path, typer.Argument(metavar="LINES", help="What export wrote.")],
    agent: Annotated[str, typer.Option("--agent", help="Whose memory the records become.")],
) -> None:
    """Read JSON Lines into an agent's empty memory, in a new or an existing file."""
    from ..memory import Memory, import_lines, read_lines

    # Checked before the file is created, so that invalid lines leave no empty file behind.
    read_lines(source)
    with Memory(file, agent) as agent_memory:
        count = import_lines(agent_memory, source)
    print_line(f"{file}: {count} lines")


@contextmanager
def open_memory(file: Path, agent: str | None, *, write: bool) -> Iterator[Memory]:
    """An agent's memory. Raises MemoryFault for writing into a run, which could then no longer be
    replayed."""
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
    """The agent whose memory is meant. Raises MemoryFault unless exactly one is."""
    from ..memory import agents_in

    known = agents_in(store)
    if agent is None and len(known) == 1:
        return known[0]
    if agent not in known:
        asked = f"no memory of '{agent}'" if agent else "name whose memory with --agent"
        raise MemoryFault(f"{store.name}: {asked}; known: {', '.join(known) or 'nobody'}")
    return agent


@memory.command()
def claims(
    file: FileArgument,
    agent: AgentOption = None,
    learn: Annotated[
        bool, typer.Option("--learn", help="First extract facts from the records by rules.")
    ] = False,
    about: Annotated[str, typer.Option("--about", help="Only facts about this subject.")] = "",
    as_of: Annotated[
        str, typer.Option("--as-of", help="Facts valid at this time, as 2023-03-01; default: now.")
    ] = "",
    past: Annotated[
        bool, typer.Option("--past", help="Include facts that are no longer valid.")
    ] = False,
    person: ViewerOption = None,
    json: JsonOption = False,
) -> None:
    """List the facts of a memory with their times of validity."""
    from ..memory import Facts

    then = _parse_time(as_of) if as_of else None
    with open_memory(file, agent, write=learn) as agent_memory:
        known = Facts(agent_memory)
        count = known.learn(agent_memory.records()) if learn else 0
        results = known.find(about, as_of=then, person=person or "", past=past)
    if json:
        print_json({"learned": count, "claims": [to_json(claim) for claim in results]})
        return
    if learn:
        print_line(f"{file}: {count} facts learned")
    for claim in results:
        until = f" until {claim.until:%Y-%m-%d}" if claim.until else ""
        print_line(f"{claim} (since {claim.since:%Y-%m-%d}{until})")


@memory.command()
def documents(
    file: FileArgument,
    deed: Annotated[
        str, typer.Argument(metavar="[add PATH|remove NAME]", help="Default: list the documents.")
    ] = "",
    what: Annotated[str, typer.Argument(metavar="", help="", hidden=True)] = "",
    agent: AgentOption = None,
    json: JsonOption = False,
) -> None:
    """List the documents of a memory, add or update a file, or remove a document."""
    from ..memory import Documents

    if deed not in ("", "add", "remove") or bool(deed) != bool(what):
        asked = f"{deed} {what}".strip()
        raise SettingError(f"documents: '{asked}': say add PATH, remove NAME, or nothing")
    with open_memory(file, agent, write=bool(deed)) as agent_memory:
        known = Documents(agent_memory, embedder_for(agent_memory) if deed == "add" else None)
        message = ""
        if deed == "add":
            report = known.add(Path(what), at=datetime.now().replace(microsecond=0))
            counts = (len(report.added), len(report.kept), len(report.replaced))
            message = "{}: {} pieces added, {} kept, {} replaced".format(report.document, *counts)
        elif deed == "remove":
            message = f"{what}: {len(known.remove(what))} pieces are no longer recalled"
        counts_by_document = {name: len(known.passages(name)) for name in known.names()}
    if json:
        print_json({"documents": counts_by_document})
        return
    for line in (
        [message]
        if message
        else [f"{name}: {count} pieces" for name, count in counts_by_document.items()]
    ):
        print_line(line)


@memory.command()
def fold(
    file: FileArgument,
    budget: Annotated[
        int, typer.Option("--budget", min=10, help="Number of records that remain recallable.")
    ],
    per_day: Annotated[
        int,
        typer.Option(
            "--per-day", min=0, help="Records that remain of each past day (0: no limit)."
        ),
    ] = 0,
    fresh_hours: Annotated[
        float, typer.Option("--fresh-hours", min=0, help="Younger records are not compacted.")
    ] = 48.0,
    agent: AgentOption = None,
    json: JsonOption = False,
) -> None:
    """Compact old records into summaries until the memory is within a budget; unfold reverses it.
    Hours count back from the newest record."""
    from ..memory import Compaction, CompactionBudget

    bounds = CompactionBudget(records=budget, per_day=per_day, fresh_hours=fresh_hours)
    with open_memory(file, agent, write=True) as agent_memory:
        folding = Compaction(agent_memory, embedder_for(agent_memory))
        at = agent_memory.index.latest_time(agent_memory.index.count_at(None))
        before = folding.recallable_count(at)
        with agent_memory.store.transaction():
            summaries = folding.compact(bounds, at=at)
        left = folding.recallable_count(at)
    if json:
        print_json({"summaries": [s.id for s in summaries], "before": before, "records": left})
    else:
        print_line(f"{file}: {before} records recalled before, {left} now")
        for summary in summaries:
            print_line(
                f"summary {summary.id} of {len(summary.evidence)} records: {summary.text[:60]}"
            )


@memory.command()
def unfold(
    file: FileArgument,
    summary: Annotated[int, typer.Argument(metavar="SUMMARY", help="The summary's number.")],
    agent: AgentOption = None,
) -> None:
    """Restore the records of a summary."""
    from ..memory import Compaction

    with open_memory(file, agent, write=True) as agent_memory:
        restored = Compaction(agent_memory).expand(
            summary, at=agent_memory.index.latest_time(agent_memory.index.count_at(None))
        )
    print_line(f"{file}: {len(restored)} records of summary {summary} are recalled again")


def embedder_for(agent_memory: Memory) -> EmbedFunction | None:
    """The packaged embedder if the memory has embeddings, else None."""
    columns = agent_memory.index.vectors.columns
    if not columns:
        return None
    from ..models import load_embedder

    if columns != 384:
        raise MemoryFault(
            f"{agent_memory.store.name}: memory of {agent_memory.agent}: its embeddings have "
            f"{columns} dimensions, those of the packaged embedder 384; do this in Python with the "
            "embedder of the memory"
        )
    return load_embedder().vectors


def _parse_time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingError(f"--as-of: '{text}' is not a time; write it as 2023-03-01") from error
    if time.tzinfo is not None:
        raise SettingError(f"--as-of: '{text}' has a time zone, and a memory's times have none")
    return time
