"""The commands approve and calls."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core import Approval, ApprovalRequest, Json, SettingError, to_json
from .application import FolderArgument, JsonOption, app, print_json, print_line, shell_quote

if TYPE_CHECKING:
    from ..simulation import CallReceipt


def print_requests(folder: Path, requests: Sequence[ApprovalRequest]) -> None:
    """Print the calls that await approval, and the commands that answer them."""
    for request in requests:
        print_line(f"waits: {request}")
        key = shell_quote(request.key)
        print_line(f"answer it with: denizens approve {shell_quote(folder)} {key} --yes (or --no)")
    if requests:
        print_line(f"then go on with: denizens resume {shell_quote(folder)}")


@app.command()
def approve(
    folder: FolderArgument,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key of the call.")] = "",
    yes: Annotated[
        bool | None, typer.Option("--yes/--no", help="Approve or deny the call.")
    ] = None,
    note: Annotated[
        str, typer.Option("--note", help="A reason for a denial, given to the agent.")
    ] = "",
    by: Annotated[str, typer.Option("--by", help="Who answers; recorded with the call.")] = "",
    show: Annotated[bool, typer.Option("--list", help="Only list the waiting calls.")] = False,
    json: JsonOption = False,
) -> None:
    """Approve or deny a tool call for which a run waits, or list those that wait."""
    from ..memory import ToolCallLog
    from ..simulation import open_store

    only_list = show or not key
    if not only_list and yes is None:
        raise SettingError("approve: say --yes or --no")
    with open_store(folder, write=not only_list) as store:
        book = ToolCallLog(store)
        if not only_list:
            book.record_approval(key, Approval(bool(yes), note, by))
        waiting = book.pending_approvals()
    if json:
        answered = {} if only_list else {"answered": key, "yes": bool(yes)}
        print_json({**answered, "waiting": [to_json(request) for request in waiting]})
        return
    if not only_list:
        print_line(f"{key}: {'allowed' if yes else 'not allowed'}")
    print_requests(folder, waiting)
    if not waiting:
        print_line(
            "nothing waits" if only_list else f"go on with: denizens resume {shell_quote(folder)}"
        )


@app.command()
def calls(
    folder: FolderArgument,
    agent: Annotated[str, typer.Option("--agent", help="Only this one's calls.")] = "",
    json: JsonOption = False,
) -> None:
    """List all tool calls of a run: agent, arguments, reason, time, duration, result."""
    from ..simulation import Run, call_receipts

    with Run(folder) as run:
        found = [one for one in call_receipts(run) if agent in ("", one.where.agent)]
    if json:
        print_json({"calls": [_receipt_json(one) for one in found]})
        return
    for one in found:
        print_line(_receipt_line(one))
    print_line(f"{len(found)} calls")


def _receipt_json(one: CallReceipt) -> dict[str, Json]:
    entry = one.entry
    return {
        "step": one.where.step,
        "agent": one.where.agent,
        "path": one.where.path,
        "at": one.at.isoformat(),
        "call": to_json(one.call),
        "state": one.state,
        "result": to_json(one.result) if one.result else None,
        "began": entry.began if entry else "",
        "seconds": entry.seconds if entry else None,
        "approval": to_json(entry.approval) if entry and entry.approval else None,
    }


def _receipt_line(one: CallReceipt) -> str:
    given = ", ".join(f"{key}={value!r}" for key, value in dict(one.call.arguments or {}).items())
    what = f"{one.at:%Y-%m-%d %H:%M:%S} {one.where.agent}: {one.call.tool}({given})"
    result = one.result
    if result is None:
        outcome = one.state
    else:
        outcome = f"{result.value!r}" if result.ok else f"{result.reason}: {result.error}"
    duration = f" in {one.entry.seconds:.3f} s" if one.entry and one.entry.seconds else ""
    why = f" ({one.call.why})" if one.call.why else ""
    approval = one.entry.approval if one.entry else None
    by = f", on the word of {approval.by}" if approval and approval.by else ""
    return f"{what}{why} -> {outcome}{duration}{by}"
