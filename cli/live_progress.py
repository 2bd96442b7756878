"""The lines that show on a terminal how far a command has come."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from rich.live import Live
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from ..simulation import ProgressMeter, ProgressReporter, Simulation


@contextmanager
def loading_line(console: Console) -> Iterator[Callable[[str], None]]:
    """Yields a function that shows what is being loaded: on a terminal beside a spinner and the
    seconds that have passed, else as a printed line."""
    if not console.is_terminal:
        yield console.print
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as line:
        task = line.add_task("Loading", total=None)
        yield lambda text: line.update(task, description=text)


@contextmanager
def live_line(console: Console, simulation: Simulation, meter: ProgressMeter) -> Iterator[None]:
    """Show the meter's line while the block runs: on a terminal redrawn four times a second, also
    within a step; else printed after the first step and then from time to time."""
    if not console.is_terminal:
        simulation.observers.append(ProgressReporter(meter, console.print))
        yield
        return
    simulation.observers.append(meter.add)
    with Live(
        get_renderable=lambda: Text(meter.summary_line()), console=console, refresh_per_second=4
    ):
        yield


@contextmanager
def stop_cleanly(simulation: Simulation, console: Console) -> Iterator[None]:
    """Let the first Ctrl-C end the run at the step's end; the second one breaks it off."""

    def stop(number: int, frame: FrameType | None) -> None:
        if simulation.stopping:
            raise KeyboardInterrupt
        simulation.stopping = True
        console.print("Stopping at the end of this step (Ctrl-C again breaks it off).")

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        sys.stderr.flush()
