"""The commands of ``denizens memory`` that correct and forget records, and restore snapshots."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core import SettingError, to_json
from .application import EXIT_USER_ERROR, JsonOption, print_json, print_line
from .memory_commands import AgentOption, FileArgument, embedder_for, memory, open_memory

if TYPE_CHECKING:
    from ..memory import Snapshot

RecordArgument = Annotated[int, typer.Argument(metavar="RECORD", help="The record's number.")]
WhyOption = Annotated[str, typer.Option("--why", help="A reason, kept with the history.")]
ByOption = Annotated[
    str, typer.Option("--by", help="On whose word; default: the owner of the memory.")
]


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
