"""whisper."""

from __future__ import annotations

from typing import Annotated

import typer

from ..core import Input, SettingError
from .app import app, print_line, shell_quote
from .running import FolderArgument


@app.command()
def whisper(
    folder: FolderArgument,
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="In whose mind.")],
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help='The thought; "goal: ..." sets a goal.')
    ],
) -> None:
    """Put a thought into somebody's mind; it comes to it at the run's next step."""
    from ..simulation import Journal, Run, open_store
    from ..simulation.scenario import match_name

    if not text.strip():
        raise SettingError("whisper: the thought is empty; say something")
    with Run(folder) as run:
        who = match_name(agent, list(run.people))
    with open_store(folder, write=True) as store:
        journal = Journal(store)
        # What was answered in a step that has begun rests on its inputs.
        step = journal.steps + journal.has_pending
        journal.add_input(step, Input(kind="whisper", to=who, text=text))
    print_line(
        f"{who} will think of it at step {step}; go on with: denizens resume {shell_quote(folder)}"
    )
