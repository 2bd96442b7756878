"""The live line of a run."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from ..simulation import ProgressMeter, ProgressReporter, Simulation


@contextmanager
def live_line(console: Console, meter: ProgressMeter) -> Iterator[None]:
    """Redraw the meter's line while the block runs; where nothing can be redrawn, print it
    from time to time."""
    simulation = meter.simulation
    if console.is_terminal:
        simulation.observers.append(meter.add)
        with Live(Text(meter.summary_line()), console=console, refresh_per_second=4) as live:
            simulation.observers.append(lambda tick: live.update(Text(meter.summary_line())))
            yield
        return
    simulation.observers.append(ProgressReporter(meter, console.print))
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
