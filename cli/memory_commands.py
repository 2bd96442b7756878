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
    from ..memory import EmbedFunction, Memory, Snapshot
    from ..store import Store

memory = typer.Typer(help="Inspect and maintain memory files.", no_args_is_help=True)
app.add_typer(memory, name="memory")

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A memory file or run.db.")]
AgentOption = Annotated[
    str | None, typer.Option("--agent", help="Whose memory; optional if there is only one.")
]

RecordArgument = Annotated[int, typer.Argument(metavar="RECORD", help="The record's number.")]
WhyOption = Annotated[str, typer.Option("--why", help="A reason, kept with the history.")]
ByOption = Annotated[
    str, typer.Option("--by", help="On whose word; default: the owner of the memory.")
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


@memory.command()
def correct(
    file: FileArgument,
    record: RecordArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What is right.")],
    agent: AgentOption = None,
    erase_history: Annotated[
        bool, typer.Option("--erase-history", help="Erase the old text for good.")
    ] = False,
    by: ByOption = "",
    why: WhyOption = "",
    json: JsonOption = False,
) -> None:
    """Replace a record by one with another text, and withdraw what rested on the old one."""
    from ..memory import Corrections

    with open_memory(file, agent, write=True) as agent_memory:
        corrections = Corrections(agent_memory, embedder_for(agent_memory))
        new = corrections.correct(record, text, keep_history=not erase_history, by=by, why=why)
    if json:
        print_json({"record": to_json(new)})
    else:
        print_line(f"{file}: record {record} is now record {new.id}: {new.text[:60]}")


@memory.command()
def forget(
    file: FileArgument,
    person: Annotated[str, typer.Option("--person", help="Erase a person.")] = "",
    record: Annotated[
        list[int] | None, typer.Option("--record", help="Forget a record; may be repeated.")
    ] = None,
    keep_history: Annotated[
        bool, typer.Option("--keep-history", help="Only withdraw the records from recall.")
    ] = False,
    agent: AgentOption = None,
    mentions: Annotated[
        bool, typer.Option("--mentions", help="Erase records that name the person, too.")
    ] = False,
    why: WhyOption = "",
    json: JsonOption = False,
) -> None:
    """Erase what a person said and asked, and what only they may see, or single records with what
    rests on them; then verify the erasure."""
    if bool(person) == bool(record):
        raise SettingError("forget: say --person NAME or --record NUMBER, one of them")
    if record and mentions:
        raise SettingError("forget: --mentions is of --person; a record's own words go with it")
    if person and (keep_history or why):
        raise SettingError("forget: --keep-history and --why are of --record; a person is erased")
    if record:
        _forget_records(file, record, agent, keep_history, why, json)
    else:
        _forget_person(file, person, agent, mentions, json)


def _forget_person(file: Path, person: str, agent: str | None, mentions: bool, json: bool) -> None:
    from ..memory.erasure import erase_person as erase

    report = erase(file, person, now=datetime.now(), agent=agent or "", mentions=mentions)
    erased = sum(report.records.values())
    if json:
        extra = {"beside": report.beside, "named": report.named, "unclear": report.unclear}
        print_json(
            {"records": report.records, "searched": report.searched, "found": report.found}
            | {"shared": report.shared}
            | {name: count for name, count in extra.items() if count}
            | ({"left": list(report.left)} if report.left else {})
        )
    else:
        erased_elsewhere = "".join(
            f", {count} of {part}" for part, count in sorted(report.beside.items())
        )
        print_line(f"{file}: {erased} records erased{erased_elsewhere}")
        print_line(f"searched the file for their {report.searched} texts: {report.found} found")
        if report.shared:
            print_line(f"{report.shared} of them are also said by what was kept")
        if report.named and not mentions:
            print_line(f"{report.named} kept texts name them; --mentions erases these too")
        if report.unclear:
            given = person.split()[0]
            print_line(
                f"{report.unclear} kept texts may mean them ('{given}' alone, or the name in "
                "another form): review them"
            )
        for line in report.left:
            print_line(line)
    if report.found:
        raise typer.Exit(EXIT_USER_ERROR)


def _forget_records(
    file: Path, numbers: list[int], agent: str | None, keep_history: bool, why: str, json: bool
) -> None:
    from ..memory import Corrections

    with open_memory(file, agent, write=True) as agent_memory:
        report = Corrections(agent_memory).forget(numbers, keep_history=keep_history, why=why)
    if json:
        print_json(to_json(report))
    else:
        erased = "withdrawn, and kept as history" if keep_history else "erased"
        beside = "".join(f", {count} of {part}" for part, count in sorted(report.beside.items()))
        shown = ", ".join(map(str, report.records))
        print_line(f"{file}: records {shown} {erased}{beside}")
        if not keep_history:
            print_line(f"searched the file for {report.searched} texts: {report.found} found")
        if report.shared:
            print_line(f"{report.shared} of them are also said by what was kept")
        for line in report.left:
            print_line(line)
    if report.found:
        raise typer.Exit(EXIT_USER_ERROR)


@memory.command()
def history(
    file: FileArgument,
    record: RecordArgument,
    agent: AgentOption = None,
    json: JsonOption = False,
) -> None:
    """List the versions of a corrected record, oldest first."""
    from ..memory import Corrections

    with open_memory(file, agent, write=False) as agent_memory:
        versions = Corrections(agent_memory).history(record)
    if json:
        print_json({"versions": [to_json(version) for version in versions]})
        return
    for version in versions:
        text = version.record.text if version.record else "(erased)"
        print_line(f"record {version.number}: {text}")
        if version.replaced_at:
            by = f" by {version.by}" if version.by else ""
            why = f": {version.why}" if version.why else ""
            print_line(f"  replaced {version.replaced_at:%Y-%m-%d %H:%M}{by}{why}")


@memory.command()
def snapshots(
    file: FileArgument,
    deed: Annotated[
        str,
        typer.Argument(
            metavar="[take LABEL|restore NUMBER|delete NUMBER]", help="Default: list them."
        ),
    ] = "",
    what: Annotated[str, typer.Argument(metavar="", help="", hidden=True)] = "",
    agent: AgentOption = None,
    json: JsonOption = False,
) -> None:
    """List the snapshots of a memory, take one, restore the memory to one, or delete one."""
    needs_number = deed in ("restore", "delete")
    if deed not in ("", "take", "restore", "delete") or (needs_number and not what):
        asked = f"{deed} {what}".strip()
        raise SettingError(
            f"snapshots: '{asked}': say take LABEL, restore NUMBER, delete NUMBER, or nothing"
        )
    if needs_number and not what.isdecimal():
        raise SettingError(f"snapshots: '{what}' is no number of a snapshot; list them first")
    with open_memory(file, agent, write=bool(deed)) as agent_memory:
        if deed == "take":
            now = datetime.now().replace(microsecond=0)
            message = f"taken: {_line(agent_memory.snapshot(what, at=now))}"
        elif deed == "restore":
            message = f"restored: {_line(agent_memory.restore(int(what)))}"
        elif deed == "delete":
            agent_memory.delete_snapshot(int(what))
            message = f"deleted: snapshot {what}"
        known = agent_memory.snapshots()
    if json:
        shown = [{k: v for k, v in to_json(one).items() if k != "state"} for one in known]
        print_json({"snapshots": shown})
    elif deed:
        print_line(f"{file}: {message}")
    else:
        for one in known:
            print_line(_line(one))


def _line(snapshot: Snapshot) -> str:
    label = f" '{snapshot.label}'" if snapshot.label else ""
    when = f"{snapshot.at:%Y-%m-%d %H:%M}"
    return f"snapshot {snapshot.id}{label} of {when}, {snapshot.records} records"


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
