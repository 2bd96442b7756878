"""memory claims, documents, fold, unfold: what a memory file knows beside what was said."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core import MemoryFault, SettingError, to_json
from .app import JsonOption, ViewerOption, print_json, print_line
from .memory import AgentOption, FileArgument, memory, open_memory

if TYPE_CHECKING:
    from ..memory import Memory
    from ..memory.memory import EmbedFunction


@memory.command()
def claims(
    file: FileArgument,
    agent: AgentOption = None,
    learn: Annotated[
        bool, typer.Option("--learn", help="First learn by rule what the records state.")
    ] = False,
    about: Annotated[str, typer.Option("--about", help="Only claims on this subject.")] = "",
    as_of: Annotated[
        str, typer.Option("--as-of", help="What was valid then, as 2023-03-01 (now).")
    ] = "",
    past: Annotated[bool, typer.Option("--past", help="Those that ended too.")] = False,
    person: ViewerOption = None,
    json: JsonOption = False,
) -> None:
    """List what a memory holds for true, with since when and until when."""
    from ..memory import Facts

    then = _parse_time(as_of) if as_of else None
    with open_memory(file, agent, write=learn) as held:
        known = Facts(held)
        count = known.learn(held.records()) if learn else 0
        found = known.find(about, as_of=then, person=person or "", past=past)
    if json:
        print_json({"learned": count, "claims": [to_json(claim) for claim in found]})
        return
    if learn:
        print_line(f"{file}: {count} facts learned")
    for claim in found:
        until = f" until {claim.until:%Y-%m-%d}" if claim.until else ""
        print_line(f"{claim} (since {claim.since:%Y-%m-%d}{until})")


@memory.command()
def documents(
    file: FileArgument,
    deed: Annotated[
        str, typer.Argument(metavar="[add PATH|remove NAME]", help="Nothing: list them.")
    ] = "",
    what: Annotated[str, typer.Argument(metavar="", help="", hidden=True)] = "",
    agent: AgentOption = None,
    json: JsonOption = False,
) -> None:
    """List the documents of a memory, add a file to it (anew: what changed), or remove one."""
    from ..memory import Documents

    if deed not in ("", "add", "remove") or bool(deed) != bool(what):
        asked = f"{deed} {what}".strip()
        raise SettingError(f"documents: '{asked}': say add PATH, remove NAME, or nothing")
    with open_memory(file, agent, write=bool(deed)) as held:
        known = Documents(held, _embedder_for(held) if deed == "add" else None)
        said = ""
        if deed == "add":
            done = known.add(Path(what), at=datetime.now().replace(microsecond=0))
            counts = (len(done.added), len(done.kept), len(done.replaced))
            said = "{}: {} pieces added, {} kept, {} replaced".format(done.document, *counts)
        elif deed == "remove":
            said = f"{what}: {len(known.remove(what))} pieces are no longer recalled"
        listed = {name: len(known.passages(name)) for name in known.names()}
    if json:
        print_json({"documents": listed})
        return
    for line in [said] if said else [f"{name}: {count} pieces" for name, count in listed.items()]:
        print_line(line)


@memory.command()
def fold(
    file: FileArgument,
    budget: Annotated[int, typer.Option("--budget", min=10, help="Records that stay.")],
    per_day: Annotated[
        int, typer.Option("--per-day", min=0, help="Of each day that is over (0: any).")
    ] = 0,
    fresh_hours: Annotated[
        float, typer.Option("--fresh-hours", min=0, help="What is younger stays.")
    ] = 48.0,
    agent: AgentOption = None,
    json: JsonOption = False,
) -> None:
    """Fold old records into summaries until the memory is within a budget; all come back by
    unfold. The hours count back from the newest record."""
    from ..memory import Compaction, CompactionBudget

    bounds = CompactionBudget(records=budget, per_day=per_day, fresh_hours=fresh_hours)
    with open_memory(file, agent, write=True) as held:
        folding = Compaction(held, _embedder_for(held))
        at = held.index.latest_time(held.index.count_at(None))
        before = folding.recallable_count(at)
        with held.store.transaction():
            made = folding.compact(bounds, at=at)
        left = folding.recallable_count(at)
    if json:
        print_json({"summaries": [s.id for s in made], "before": before, "records": left})
    else:
        print_line(f"{file}: {before} records recalled before, {left} now")
        for summary in made:
            print_line(
                f"summary {summary.id} of {len(summary.evidence)} records: {summary.text[:60]}"
            )


@memory.command()
def unfold(
    file: FileArgument,
    summary: Annotated[int, typer.Argument(metavar="SUMMARY", help="The summary's number.")],
    agent: AgentOption = None,
) -> None:
    """Bring the records of a summary back."""
    from ..memory import Compaction

    with open_memory(file, agent, write=True) as held:
        back = Compaction(held).expand(
            summary, at=held.index.latest_time(held.index.count_at(None))
        )
    print_line(f"{file}: {len(back)} records of summary {summary} are recalled again")


def _embedder_for(held: Memory) -> EmbedFunction | None:
    """The packaged embedder where the memory has embeddings, and none where it has not."""
    columns = held.index.vectors.columns
    if not columns:
        return None
    from ..evaluation.embedding import packaged_embedder

    if columns != 384:
        raise MemoryFault(
            f"{held.store.name}: memory of {held.agent}: its embeddings have {columns} numbers, "
            "the packaged embedder's 384; do this in Python with the embedder they were made by"
        )
    return packaged_embedder()


def _parse_time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingError(f"--as-of: '{text}' is no time; write it as 2023-03-01") from error
    if found.tzinfo is not None:
        raise SettingError(f"--as-of: '{text}' has a time zone, and a memory's times have none")
    return found
